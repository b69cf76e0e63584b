//! Identical requests at the same time share one answer, if their callers allow it: `Atelier-Share: identical`.
//!
//! The first one is handled; whoever sends the same with the same key meanwhile waits for its answer, which is made, recorded and paid for
//! once. Nothing is kept: a request that comes after the answer is a new one. What cannot be given to many (a stream, a failure)
//! is the first one's alone, and the others are handled by themselves.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use atelier_domain::id::KeyId;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use http::StatusCode;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::ApiError;
use super::gate::{Call, PROVIDER_KEY, Reply};
use super::idempotency::{Idempotency, payload};
use super::route::{Media, Route};

pub(super) const ATELIER_SHARE: HeaderName = HeaderName::from_static("atelier-share");
const ATELIER_SHARED: HeaderName = HeaderName::from_static("atelier-shared");
pub(super) const IDENTICAL: &str = "identical";

/// What makes two requests the same: who pays, and what is asked for.
type Same = (KeyId, String);
/// An answer that many can be given, once it is there.
type Answering = Shared<BoxFuture<'static, Option<Answer>>>;
/// What the first one alone gets: its own answer, or why there is none.
type Own = Arc<Mutex<Option<Result<Reply, ApiError>>>>;

/// Whether requests to a route may share their answers: those that generate, and can be held against each other whole.
pub(super) fn is_possible(route: &Route) -> bool {
    route.idempotency == Idempotency::Generates && route.media == Media::Json
}

/// Whether a request is to be handled by [`answer`].
pub(super) fn is_wanted(call: &Call) -> bool {
    // What one key paid for is nobody else's, nor is what it is refused.
    let is_own = call.parts.headers.contains_key(PROVIDER_KEY);
    !is_own && call.parts.headers.contains_key(ATELIER_SHARE) && is_possible(&call.route)
}

/// Requests that are being answered for whoever asks the same.
#[derive(Debug, Default)]
pub struct Sharing {
    running: Mutex<HashMap<Same, Running>>,
}

#[derive(Debug)]
struct Running {
    answering: WeakShared<BoxFuture<'static, Option<Answer>>>,
    own: Own,
}

/// A complete answer.
#[derive(Clone, Debug)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    async fn read(response: Response) -> Result<Self, ApiError> {
        let (head, body) = response.into_parts();
        // It is in memory already: streams do not come here.
        let body = axum::body::to_bytes(body, usize::MAX).await;
        let body = body.map_err(|error| ApiError::bug(format!("an answer in memory broke off: {error}")))?;
        Ok(Self { status: head.status, headers: head.headers, body })
    }

    fn respond(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        response
    }
}

/// Handles a request that may share its answer.
pub(super) async fn answer<H, F>(mut call: Call, handler: H) -> Result<Reply, ApiError>
where
    H: Fn(Call) -> F,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    let mut wishes = call.parts.headers.get_all(ATELIER_SHARE).iter();
    if wishes.next().is_none_or(|wish| wish != IDENTICAL) || wishes.next().is_some() {
        return Err(ApiError::invalid("Atelier-Share", "must be \"identical\", once"));
    }
    let body = call.read_body().await?;
    let same = (call.caller()?.principal.key, payload::digest(&call.parts, body.clone()).await?);
    call.body = Body::from(body);
    let app = call.app.clone();
    match app.sharing.join(same, handler(call)) {
        Joined::First(answering, own) => {
            answering.await;
            let outcome = own.lock().unwrap_or_else(PoisonError::into_inner).take();
            outcome.unwrap_or_else(|| Err(ApiError::bug("a shared request ended without an outcome")))
        }
        Joined::Other(answering, handling) => {
            app.metrics.shared();
            let Some(answer) = answering.await else { return handling.await };
            let mut response = answer.respond();
            response.headers_mut().insert(ATELIER_SHARED, HeaderValue::from_static("true"));
            Ok(response.into())
        }
    }
}

enum Joined<F> {
    /// Nobody else asks this now.
    First(Answering, Own),
    /// Somebody does; the request itself has not begun.
    Other(Answering, F),
}

impl Sharing {
    fn running(&self) -> MutexGuard<'_, HashMap<Same, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins those who ask the same, or is the first of them.
    fn join<F>(self: &Arc<Self>, same: Same, handling: F) -> Joined<F>
    where
        F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
    {
        let mut running = self.running();
        // One that has ended takes nobody in any more: what comes later is a new request.
        let there = running.get(&same).and_then(|running| running.answering.upgrade());
        if let Some(answering) = there.filter(|answering| answering.peek().is_none()) {
            return Joined::Other(answering, handling);
        }
        let own = Own::default();
        let place = Place { sharing: Arc::clone(self), same: same.clone(), own: Arc::clone(&own) };
        let answering = shared(handling, place).boxed().shared();
        if let Some(weak) = answering.downgrade() {
            running.insert(same, Running { answering: weak, own: Arc::clone(&own) });
        }
        Joined::First(answering, own)
    }
}

/// Runs a request; gives its answer if it can be given to many. All of them poll it: it goes on when the first one leaves.
async fn shared(handling: impl Future<Output = Result<Reply, ApiError>>, place: Place) -> Option<Answer> {
    let (outcome, answer) = match handling.await {
        Ok(reply) if !reply.is_stream && reply.response.status().is_success() => {
            let provider_time = reply.provider_time;
            match Answer::read(reply.response).await {
                Ok(answer) => {
                    let response = answer.clone().respond();
                    (Ok(Reply { response, provider_time, is_stream: false }), Some(answer))
                }
                Err(error) => (Err(error), None),
            }
        }
        outcome => (outcome, None),
    };
    *place.own.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    answer
}

/// A place among what runs, left when the request has ended or nobody waits for it any more.
struct Place {
    sharing: Arc<Sharing>,
    same: Same,
    own: Own,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut running = self.sharing.running();
        // A later one of the same name may be there.
        if running.get(&self.same).is_some_and(|found| Arc::ptr_eq(&found.own, &self.own)) {
            running.remove(&self.same);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::sync::Notify;

    use super::*;

    fn same(what: &str) -> Same {
        (KeyId::from_bytes([7; 16]), what.to_owned())
    }

    /// Counts how often it is handled, and answers when it is let go.
    async fn handled(times: Arc<AtomicUsize>, go: Arc<Notify>) -> Result<Reply, ApiError> {
        times.fetch_add(1, Ordering::SeqCst);
        go.notified().await;
        Ok(Response::new(Body::from("said")).into())
    }

    #[tokio::test]
    async fn who_asks_the_same_meanwhile_gets_the_same_answer_though_the_first_left() {
        let (sharing, times, go) = (Arc::new(Sharing::default()), Arc::default(), Arc::new(Notify::new()));
        let join = |what: &str| sharing.join(same(what), handled(Arc::clone(&times), Arc::clone(&go)));
        let Joined::First(mut first, _) = join("a") else { panic!("nobody else asked") };
        assert!((&mut first).now_or_never().is_none());
        let Joined::Other(second, _) = join("a") else { panic!("the same is asked") };
        assert!(matches!(join("b"), Joined::First(..)), "another request");
        drop(first);
        go.notify_one();
        let answer = second.await.expect("an answer for many");
        assert_eq!((&answer.body[..], times.load(Ordering::SeqCst)), (&b"said"[..], 1));
        assert!(sharing.running().is_empty(), "nothing is kept");
        assert!(matches!(join("a"), Joined::First(..)), "what comes later is a new request");
        assert!(sharing.running().is_empty(), "nobody waits for it");
    }

    #[tokio::test]
    async fn a_failure_and_a_stream_are_the_first_ones_alone() {
        let sharing = Arc::new(Sharing::default());
        let stream = || Reply { is_stream: true, ..Response::new(Body::empty()).into() };
        for is_failing in [true, false] {
            let outcome = if is_failing { Err(ApiError::TimedOut) } else { Ok(stream()) };
            let Joined::First(first, own) = sharing.join(same("a"), std::future::ready(outcome)) else {
                panic!("nobody else asked")
            };
            let other = std::future::ready(Ok(stream()));
            let Joined::Other(answering, _) = sharing.join(same("a"), other) else {
                panic!("the same is asked")
            };
            assert!(first.await.is_none() && answering.await.is_none());
            let outcome = own.lock().expect("no panic").take().expect("an outcome");
            assert_eq!(outcome.is_err(), is_failing);
        }
    }
}
