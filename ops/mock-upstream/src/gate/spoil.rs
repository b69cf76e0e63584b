//! What each fault does to an answer.

use std::collections::VecDeque;

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::Value;

use crate::call::Call;
use crate::connection::ResetSwitch;
use crate::fault::{Fault, FaultKind};
use crate::gate::{echoes, filler, pause};
use crate::reply::{Last, MockBody, Pacing, Reply, ReplyBody};
use crate::server::Shared;

/// The faults that take effect before the provider does any work.
pub(super) async fn before(shared: &Shared, call: &Call) -> Option<Reply> {
    let fault = call.fault.as_ref()?;
    let dialect = call.dialect;
    match fault.kind {
        FaultKind::RateLimited => Some(dialect.rate_limited(fault.amount(1))),
        FaultKind::ServerError => {
            Some(dialect.refuse(StatusCode::INTERNAL_SERVER_ERROR, "The server had an error."))
        }
        FaultKind::Unavailable => {
            Some(dialect.refuse(StatusCode::SERVICE_UNAVAILABLE, "The engine is currently overloaded."))
        }
        FaultKind::Overloaded => {
            let status = StatusCode::from_u16(529).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
            Some(dialect.refuse(status, "Overloaded"))
        }
        FaultKind::RedirectPrivate => {
            let own = || format!("{}/_mock/private", shared.url);
            Some(redirect(fault.value.clone().unwrap_or_else(own)))
        }
        FaultKind::RedirectMetadata => Some(redirect("http://169.254.169.254/latest/meta-data/".to_owned())),
        FaultKind::EchoError => Some(dialect.unauthenticated(call.credential())),
        FaultKind::EchoRequest => {
            let message = format!("This request is not allowed: {}", String::from_utf8_lossy(&call.body));
            Some(dialect.refuse(StatusCode::BAD_REQUEST, &message))
        }
        FaultKind::Slow => {
            pause(fault.amount(shared.config.slow_first_byte_ms)).await;
            None
        }
        _ => None,
    }
}

fn redirect(location: String) -> Reply {
    Reply::bytes(StatusCode::FOUND, "text/html", "").header("location", location)
}

/// The faults that change what the answer says.
pub(super) fn after(mut reply: Reply, call: &Call) -> Reply {
    let Some(fault) = call.fault.as_ref().filter(|_| reply.status.is_success()) else { return reply };
    match fault.kind {
        FaultKind::EchoHeader => reply.header("x-mock-echo", call.credential().unwrap_or_default()),
        FaultKind::Malformed => {
            reply.body = malformed(reply.body);
            reply
        }
        FaultKind::StreamError => {
            if let ReplyBody::Pieces(pieces) = &mut reply.body {
                pieces.truncate(pieces.len() / 2);
                pieces.push(Bytes::from(call.dialect.stream_error()));
            }
            reply
        }
        kind if echoes(kind) => {
            reply.body = with_echo(reply.body, call);
            reply
        }
        _ => reply,
    }
}

/// Break the JSON of a plain answer, or of a stream's middle event.
fn malformed(body: ReplyBody) -> ReplyBody {
    let halve = |bytes: &Bytes| bytes.slice(..bytes.len().div_ceil(2));
    match body {
        ReplyBody::Whole(bytes) => ReplyBody::Whole(halve(&bytes)),
        ReplyBody::Pieces(mut pieces) => {
            let middle = pieces.len() / 2;
            if let Some(piece) = pieces.get_mut(middle) {
                let mut broken = halve(piece).to_vec();
                broken.extend_from_slice(b"\n\n");
                *piece = Bytes::from(broken);
            }
            ReplyBody::Pieces(pieces)
        }
    }
}

/// Give an answer that has no text of its own (an image, a job) a field that holds the echo.
fn with_echo(body: ReplyBody, call: &Call) -> ReplyBody {
    let ReplyBody::Whole(bytes) = &body else { return body };
    let Some(echo) = call.echo() else { return body };
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(mut answer)) if !holds(bytes, "Mock-Echo") => {
            answer.insert("mock_echo".to_owned(), Value::String(echo));
            ReplyBody::Whole(Bytes::from(Value::Object(answer).to_string()))
        }
        _ => body,
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    memchr::memmem::find(bytes, text.as_bytes()).is_some()
}

/// The faults that act on the bytes of a body.
pub(super) fn body(
    shared: &Shared,
    fault: &Fault,
    mut pieces: VecDeque<Bytes>,
    announced: Option<u64>,
    pacing: Pacing,
    reset: ResetSwitch,
) -> MockBody {
    let plain = announced.is_some();
    match fault.kind {
        FaultKind::Cut => {
            let half = pieces.len().div_ceil(2);
            match pieces.front_mut().filter(|_| plain) {
                Some(whole) => whole.truncate(whole.len() / 2),
                None => pieces.truncate(half),
            }
            MockBody::new(pieces, Last::Cut(reset), pacing, announced)
        }
        FaultKind::Drip => {
            let interval_ms = fault.amount(shared.config.drip_interval_ms);
            let pacing = Pacing { interval_ms, piece_bytes_max: plain.then_some(1) };
            MockBody::new(pieces, Last::Finish, pacing, announced)
        }
        FaultKind::EchoSplit => {
            let pacing = Pacing { piece_bytes_max: Some(3), ..pacing };
            MockBody::new(pieces, Last::Finish, pacing, announced)
        }
        FaultKind::Giant => {
            let total = fault.amount(shared.config.giant_bytes);
            let (pieces, repeated) = giant(pieces, plain);
            MockBody::new(pieces, Last::Finish, pacing, None).repeating(repeated, total)
        }
        FaultKind::Idle => MockBody::new(VecDeque::new(), Last::Never, pacing, announced),
        _ => MockBody::new(pieces, Last::Finish, pacing, announced),
    }
}

/// An opening, what to repeat, and an end, so that the giant is as well-formed as what it replaces.
fn giant(mut pieces: VecDeque<Bytes>, plain: bool) -> (VecDeque<Bytes>, Bytes) {
    if !plain {
        let middle = pieces.remove(pieces.len() / 2).unwrap_or_else(filler);
        return (pieces, middle);
    }
    let json = pieces.front().is_some_and(|body| body.starts_with(b"{"));
    let ends = if json { ["{\"giant\":\"", "\"}"] } else { ["", ""] };
    (ends.map(|end| Bytes::from_static(end.as_bytes())).into(), filler())
}
