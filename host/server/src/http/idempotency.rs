//! `Idempotency-Key` (IETF draft "The Idempotency-Key HTTP Header Field"): a request that is sent twice under one key has one
//! effect, and its answer is given again with `Idempotent-Replayed: true`.
//!
//! A request with a key is handled to its end even if its client leaves: that client will come back for the answer. What is kept
//! follows the payment APIs (Stripe, Adyen): a success always; a failure where something was created or may have been paid for;
//! nothing where the request was refused before, so that the same key may be tried again.

pub(super) mod payload;
mod recording;

use atelier_domain::idempotency::KeptAnswer;
use atelier_service::idempotency::{Effect, Entered, Ticket, When};
use axum::body::Body;
use axum::response::Response;
use http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, StatusCode};
use tokio::sync::oneshot;

use super::ApiError;
use super::gate::{Call, Reply};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const X_SHOULD_RETRY: HeaderName = HeaderName::from_static("x-should-retry");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const KEY_BYTES_MAX: usize = 255;

/// The largest body of a request with a key; larger ones (files) are sent without.
const KEYED_BODY_BYTES_MAX: usize = 32 << 20;

/// What becomes of a request that is sent twice: a rule of each route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idempotency {
    /// Twice is as good as once, or nothing is changed: a key is not looked at.
    Harmless,
    /// It creates something. Its claim is written before it is handled.
    Creates,
    /// It creates something whose answer holds a secret, which is shown once: a repetition learns only that it was answered.
    CreatesSecret,
    /// It generates. Its claim is written with its job, or before a request that costs leaves.
    Generates,
}

impl Idempotency {
    /// Whether requests may have a key.
    pub fn takes_key(self) -> bool {
        self != Self::Harmless
    }

    fn when(self) -> When {
        match self {
            Self::Generates => When::WithEffect,
            Self::Harmless | Self::Creates | Self::CreatesSecret => When::Before,
        }
    }
}

/// Whether a request is to be handled by [`answer`].
pub(super) fn wants_key(call: &Call) -> bool {
    call.route.idempotency.takes_key() && call.parts.headers.contains_key(IDEMPOTENCY_KEY)
}

/// Handles a request with a key, or gives its answer again.
pub(super) async fn answer<H, F>(mut call: Call, handler: H) -> Result<Reply, ApiError>
where
    H: Fn(Call) -> F,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    let key = key(&call.parts.headers)?;
    // Two requests are held against each other whole, in memory.
    let body_max = call.route.body_max.min(KEYED_BODY_BYTES_MAX);
    let body = call.read_body_within(body_max).await?;
    let payload = payload::digest(&call.parts, body.clone()).await?;
    let route = route(&call.route.method, call.route.path);
    let (idempotency, owner) = (call.app.idempotency.clone(), call.caller()?.user());
    let ticket = match idempotency.enter(owner, &route, &key, payload, call.route.idempotency.when()).await? {
        Entered::Replay { answer, body } => return again(&answer, body),
        Entered::Handle(ticket) => ticket,
    };
    if let Some(caller) = &mut call.caller {
        caller.keyed = Some(ticket.request());
    }
    call.body = Body::from(body);
    let recorder = recording::Recorder {
        dialect: call.route.dialect,
        request_id: call.request_id.clone(),
        request_max: call.app.config.server.request_max,
        stall_max: call.app.config.server.write_idle_max,
        keeps_body: call.route.idempotency != Idempotency::CreatesSecret,
        body_bytes_max: idempotency.limits().answer_bytes_max,
    };
    let (tell, told) = oneshot::channel();
    // On its own, so that it ends whether or not the client waits for it.
    tokio::spawn(recorder.run(handler(call), ticket, tell));
    told.await.map_err(|_| ApiError::bug("the handling of a request with a key stopped unexpectedly"))?
}

/// The key of a request: visible ASCII, quoted or not (the draft writes it as a structured string, clients as it is).
fn key(headers: &HeaderMap) -> Result<String, ApiError> {
    let wrong = |why: &str| Err(ApiError::invalid("Idempotency-Key", why));
    let mut values = headers.get_all(IDEMPOTENCY_KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return wrong("may be sent once");
    };
    let bytes = value.as_bytes();
    if !(1..=KEY_BYTES_MAX).contains(&bytes.len()) || !bytes.iter().all(u8::is_ascii_graphic) {
        return wrong("must have 1 to 255 visible ASCII characters, without spaces");
    }
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn route(method: &Method, path: &str) -> String {
    format!("{method} {path}")
}

/// A kept answer.
fn again(answer: &KeptAnswer, body: Vec<u8>) -> Result<Reply, ApiError> {
    let broken = || ApiError::bug("a kept answer has a head that cannot be sent");
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(answer.status).map_err(|_| broken())?;
    for (name, value) in &answer.headers {
        let name = HeaderName::try_from(name).map_err(|_| broken())?;
        response.headers_mut().append(name, HeaderValue::try_from(value).map_err(|_| broken())?);
    }
    if !response.status().is_success() {
        tell_that_it_stays(response.headers_mut());
    }
    Ok(replayed(response.into()))
}

/// Says of a failure that its request is never answered otherwise.
pub(super) fn tell_that_it_stays(headers: &mut HeaderMap) {
    headers.remove(RETRY_AFTER);
    headers.insert(X_SHOULD_RETRY, HeaderValue::from_static("false"));
}

/// Says of an answer that it tells what became of an earlier request.
pub(super) fn tell_that_it_is_replayed(headers: &mut HeaderMap) {
    headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
}

fn replayed(mut reply: Reply) -> Reply {
    tell_that_it_is_replayed(reply.response.headers_mut());
    reply
}

/// Whether an answer stands for good. If not, nothing has happened, and the key is free.
///
/// A success does. A request that only created something did so in one step, or was refused: its outcome is in doubt only where
/// the host failed or ran out of time. A request that may have been paid for stands, whatever its answer says: a status tells nothing of
/// what is outstanding at the provider.
fn stands(status: StatusCode, effect: Effect) -> bool {
    if status.is_success() || status.is_redirection() {
        return true;
    }
    match effect {
        Effect::None => false,
        Effect::Begun => status.is_server_error() && status != StatusCode::SERVICE_UNAVAILABLE,
        Effect::Charged | Effect::Job => true,
    }
}

/// The refusal of a request, as it is told under its key.
///
/// A job is its own answer, which is looked up anew each time: what stays is that it failed. Whatever else is told of it, that it goes on or that
/// storage is busy, may be another answer the next time.
fn keyed(error: ApiError, status: StatusCode, ticket: &Ticket) -> ApiError {
    let effect = ticket.effect();
    let stays = match effect {
        Effect::Job => error.tells_of_a_failed_job(),
        Effect::None | Effect::Begun | Effect::Charged => stands(status, effect),
    };
    let is_replayed = ticket.is_repetition() && error.tells_of_a_job();
    match (stays, is_replayed) {
        (false, false) => error,
        (stays, is_replayed) => ApiError::Keyed { error: Box::new(error), stays, is_replayed },
    }
}

/// Keeps what there is to keep of an answer, or frees its key.
async fn settle(ticket: Ticket, answer: KeptAnswer, body: Option<Vec<u8>>) {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let written =
        if stands(status, ticket.effect()) { ticket.keep(answer, body).await } else { ticket.free().await };
    if let Err(error) = written {
        tracing::error!(%error, "the answer to a request with an idempotency key could not be kept");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key_of(values: &[&str]) -> Result<String, ApiError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(IDEMPOTENCY_KEY, HeaderValue::from_bytes(value.as_bytes()).expect("a header"));
        }
        key(&headers)
    }

    #[test]
    fn a_key_has_1_to_255_visible_characters() {
        assert_eq!(key_of(&["a"]).expect("a key"), "a");
        assert_eq!(key_of(&[&"k".repeat(255)]).expect("a key").len(), 255);
        for bad in ["", "a b", "a\tb", "schlüssel", &"k".repeat(256)] {
            assert!(key_of(&[bad]).is_err(), "{bad:?}");
        }
        assert!(key_of(&["a", "b"]).is_err(), "two keys");
    }

    #[test]
    fn what_was_refused_before_anything_happened_leaves_the_key_free() {
        let refusals = [400, 401, 402, 404, 409, 413, 422, 429, 500, 502, 503, 504];
        for status in refusals.map(|status| StatusCode::from_u16(status).expect("a status")) {
            assert!(!stands(status, Effect::None), "{status}");
            assert!(stands(status, Effect::Job), "{status}: the job is the answer");
        }
        assert!(stands(StatusCode::OK, Effect::None) && stands(StatusCode::CREATED, Effect::Begun));
        let kept = |effect| {
            let kept = refusals
                .into_iter()
                .filter(|status| stands(StatusCode::from_u16(*status).expect("a status"), effect));
            kept.collect::<Vec<_>>()
        };
        assert_eq!(kept(Effect::Begun), [500, 502, 504]);
        assert_eq!(kept(Effect::Charged), refusals, "whatever the status, it may have been paid for");
    }
}
