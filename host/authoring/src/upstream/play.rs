//! Answers from recorded exchanges, and what a fault makes of them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::stream;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::json;

use super::{Arrived, Fault, Inner, RETRY_AFTER_S};
use crate::exchange::Answer;

/// A body of the upstream's.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A dripped body has about this many pieces.
const DRIPS: usize = 40;
const DRIP_PAUSE: Duration = Duration::from_millis(2);

/// How a body ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Whole,
    Cut,
    Stall,
}

/// Answers a request as recorded, or as the fault has it.
pub(super) fn answer(inner: &Arc<Inner>, arrived: &Arrived) -> Response<Body> {
    let find = |on_failure| inner.exchanges.find(on_failure, arrived.asked());
    let Some((at, exchange)) = find(None) else {
        let what = format!("{} {}", arrived.method, arrived.path);
        inner.note(|seen| seen.unknown.push(what.clone()));
        return refusal(404, &format!("no recorded exchange fits {what}"));
    };
    match inner.fault {
        Fault::Status(status) => {
            let mut response = match find(Some(status)) {
                Some((_, own)) => played(inner, &own.responses[0]),
                None => refusal(status, "this failure is injected by the conformance suite"),
            };
            if status == 429 {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(RETRY_AFTER_S));
            }
            response
        }
        Fault::Echo => refusal(400, &arrived.head()),
        Fault::None | Fault::Cut | Fault::Drip | Fault::Malformed | Fault::Stall => {
            let mut answered = inner.answered.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let count = answered.entry(at).or_default();
            let answer = &exchange.responses[(*count).min(exchange.responses.len() - 1)];
            *count += 1;
            played(inner, answer)
        }
    }
}

/// An error in the shape that most providers' have in common.
pub(super) fn refusal(status: u16, message: &str) -> Response<Body> {
    let error = json!({"error": {"message": message, "type": "error", "code": null}, "detail": message});
    let mut response = Response::new(whole(error.to_string().into()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A body of one piece.
pub(super) fn whole(bytes: Bytes) -> Body {
    http_body_util::Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}

fn played(inner: &Arc<Inner>, answer: &Answer) -> Response<Body> {
    let pieces = match answer.pieces(&inner.url) {
        Ok(pieces) => pieces,
        Err(error) => return refusal(500, &format!("{error:#}")),
    };
    let content_type = answer.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let content_type = content_type.map(|(_, value)| value.as_str()).unwrap_or_default();
    let parsed = content_type.starts_with("text/event-stream") || content_type.contains("json");
    if inner.fault == Fault::Malformed && parsed {
        inner.note(|seen| seen.spoiled = true);
    }
    let (pieces, end) = spoiled(inner.fault, pieces, content_type);
    let mut response = Response::new(body(Arc::clone(inner), pieces, end));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    for (name, value) in &answer.headers {
        let value = value.replace(crate::exchange::UPSTREAM, &inner.url);
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}

type Pieces = Vec<(Duration, Bytes)>;

fn spoiled(fault: Fault, pieces: Vec<(u64, Bytes)>, content_type: &str) -> (Pieces, End) {
    let all: Bytes = pieces.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let half = || vec![(Duration::ZERO, all.slice(..all.len() / 2))];
    match fault {
        Fault::Cut => (half(), End::Cut),
        Fault::Stall => (half(), End::Stall),
        Fault::Drip => {
            let size = (all.len() / DRIPS).max(1);
            let drops = (0..all.len()).step_by(size).map(|at| all.slice(at..all.len().min(at + size)));
            (drops.map(|bytes| (DRIP_PAUSE, bytes)).collect(), End::Whole)
        }
        Fault::Malformed if content_type.starts_with("text/event-stream") => {
            // The first event whole, then one that is no JSON, then the end.
            let first = event_end(&all).unwrap_or(all.len() / 2);
            let broken = Bytes::from_static(b"data: {\"broken\": \n\n");
            (vec![(Duration::ZERO, all.slice(..first)), (Duration::ZERO, broken)], End::Whole)
        }
        Fault::Malformed if content_type.contains("json") => (half(), End::Whole),
        Fault::Malformed | Fault::None | Fault::Status(_) | Fault::Echo => {
            (pieces.into_iter().map(|(ms, bytes)| (Duration::from_millis(ms), bytes)).collect(), End::Whole)
        }
    }
}

/// Where the first server-sent event ends.
fn event_end(bytes: &[u8]) -> Option<usize> {
    let ends: [&[u8]; 2] = [b"\n\n", b"\r\n\r\n"];
    let find =
        |end: &[u8]| bytes.windows(end.len()).position(|window| window == end).map(|at| at + end.len());
    ends.into_iter().filter_map(find).min()
}

/// Notes a client that left, when the body is dropped before its end.
struct Guard {
    inner: Arc<Inner>,
    finished: bool,
}

impl Guard {
    fn finish(&mut self) {
        self.finished = true;
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.finished {
            self.inner.note(|seen| seen.left = Some(Instant::now()));
        }
    }
}

fn body(inner: Arc<Inner>, pieces: Pieces, end: End) -> Body {
    let guard = Guard { inner, finished: false };
    let frames =
        stream::unfold((pieces.into_iter(), guard, end), |(mut pieces, mut guard, end)| async move {
            if let Some((delay, bytes)) = pieces.next() {
                if !delay.is_zero() {
                    tokio::time::sleep(delay).await;
                }
                return Some((Ok(Frame::data(bytes)), (pieces, guard, end)));
            }
            match end {
                End::Whole => {
                    guard.finish();
                    None
                }
                End::Cut => {
                    guard.finish();
                    let error = io::Error::other("the fault `cut`");
                    Some((Err(error), (pieces, guard, End::Whole)))
                }
                End::Stall => {
                    guard.inner.note(|seen| seen.stalled = true);
                    std::future::pending().await
                }
            }
        });
    StreamBody::new(frames).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dripped_body_is_the_same_and_a_malformed_stream_keeps_its_first_event() {
        let text = Bytes::from("data: {\"a\":1}\n\ndata: {\"b\":2}\n\n".repeat(20));
        let (drops, _) = spoiled(Fault::Drip, vec![(0, text.clone())], "text/event-stream");
        assert!(drops.len() >= DRIPS);
        assert_eq!(drops.into_iter().flat_map(|(_, bytes)| bytes).collect::<Bytes>(), text);
        let (pieces, end) = spoiled(Fault::Malformed, vec![(0, text)], "text/event-stream; charset=utf-8");
        assert_eq!(pieces[0].1, "data: {\"a\":1}\n\n");
        assert!(end == End::Whole && pieces.len() == 2);
    }
}
