//! Server-sent events (WHATWG HTML §9.2) over a call's events: one frame for each batch, heartbeats while the provider is
//! silent, an error event where it fails.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use atelier_service::ServiceError;
use atelier_service::generation::{Live, LiveEvent};
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde::Serialize;
use tokio::time::{Instant, Sleep};

use super::{ApiError, Dialect, Reply};
use crate::config::Server;

const HEARTBEAT_AFTER: Duration = Duration::from_secs(15);
const HEARTBEAT: &[u8] = b": keep-alive\n\n";

/// How a dialect writes a call's events.
pub(super) trait Script<T>: Send + Unpin + 'static {
    /// The shape of its errors.
    const DIALECT: Dialect;
    /// Writes an event.
    fn event(&mut self, event: T, out: &mut Vec<u8>);
    /// Writes the end of a whole answer.
    fn end(&mut self, out: &mut Vec<u8>);
    /// Writes a failure, and nothing that looks like an end.
    fn failed(&mut self, error: &ApiError, request_id: &str, out: &mut Vec<u8>) {
        if Self::DIALECT == Dialect::Anthropic {
            out.extend_from_slice(b"event: error\n");
        }
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(&error.object(Self::DIALECT, request_id));
        out.extend_from_slice(b"\n\n");
    }
}

struct Events<L, S> {
    live: Option<L>,
    script: S,
    request_id: Arc<str>,
    idle_max: Duration,
    total_max: Duration,
    deadline: Instant,
    wrote: Instant,
    heard: Instant,
    timer: Pin<Box<Sleep>>,
}

/// Answers with a call's events as they come. The call ends when the caller leaves.
pub(super) fn stream<T: LiveEvent, S: Script<T>>(
    live: Live<T>,
    script: S,
    request_id: Arc<str>,
    limits: &Server,
) -> Reply {
    let provider_time = live.elapsed();
    events(live, provider_time, script, request_id, limits)
}

/// The same of any source of events that ends what it stands for when it is dropped.
pub(super) fn events<T, L, S>(
    live: L,
    provider_time: Duration,
    script: S,
    request_id: Arc<str>,
    limits: &Server,
) -> Reply
where
    T: 'static,
    L: Stream<Item = Result<Vec<T>, ServiceError>> + Send + Unpin + 'static,
    S: Script<T>,
{
    let now = Instant::now();
    let (idle_max, total_max) = (limits.stream_idle_max, limits.stream_max);
    let timer = Box::pin(tokio::time::sleep(HEARTBEAT_AFTER.min(idle_max).min(total_max)));
    let (live, deadline) = (Some(live), now + total_max);
    let events =
        Events { live, script, request_id, idle_max, total_max, deadline, wrote: now, heard: now, timer };
    Reply { provider_time: Some(provider_time), ..reply(Body::from_stream(events)) }
}

/// An answer whose body is events.
pub(super) fn reply(body: Body) -> Reply {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    Reply { response, provider_time: None, is_stream: true }
}

impl<L, S> Events<L, S> {
    /// The last frame of an answer that failed: an error, and nothing that looks like an end.
    fn fail<T>(&mut self, error: &ApiError) -> Bytes
    where
        S: Script<T>,
    {
        self.live = None;
        let detail = error.internal_detail().unwrap_or_default();
        error.log(&self.request_id, "a stream failed", &detail);
        let mut out = Vec::with_capacity(512);
        self.script.failed(error, &self.request_id, &mut out);
        out.into()
    }

    /// What to do when the timer rings.
    fn tick<T>(&mut self, now: Instant) -> Option<Bytes>
    where
        S: Script<T>,
    {
        if now >= self.deadline {
            return Some(self.fail::<T>(&ApiError::StreamTooLong { after: self.total_max }));
        }
        if now >= self.heard + self.idle_max {
            return Some(self.fail::<T>(&ApiError::StreamIdle { after: self.idle_max }));
        }
        if now >= self.wrote + HEARTBEAT_AFTER {
            self.wrote = now;
            return Some(Bytes::from_static(HEARTBEAT));
        }
        None
    }
}

impl<T, L, S> Stream for Events<L, S>
where
    L: Stream<Item = Result<Vec<T>, ServiceError>> + Unpin,
    S: Script<T>,
{
    type Item = Result<Bytes, Infallible>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        loop {
            let Some(live) = &mut this.live else { return Poll::Ready(None) };
            match live.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(batch))) => {
                    this.heard = Instant::now();
                    if this.heard >= this.deadline {
                        let error = ApiError::StreamTooLong { after: this.total_max };
                        return Poll::Ready(Some(Ok(this.fail::<T>(&error))));
                    }
                    let mut out = Vec::with_capacity(256 * batch.len().max(1));
                    for event in batch {
                        this.script.event(event, &mut out);
                    }
                    if !out.is_empty() {
                        this.wrote = this.heard;
                        return Poll::Ready(Some(Ok(out.into())));
                    }
                }
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Ok(this.fail::<T>(&error.into())))),
                Poll::Ready(None) => {
                    this.live = None;
                    let mut out = Vec::new();
                    this.script.end(&mut out);
                    return Poll::Ready((!out.is_empty()).then(|| Ok(out.into())));
                }
                Poll::Pending => {
                    if this.timer.as_mut().poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                    let now = Instant::now();
                    let frame = this.tick::<T>(now);
                    let next =
                        (this.wrote + HEARTBEAT_AFTER).min(this.heard + this.idle_max).min(this.deadline);
                    this.timer.as_mut().reset(next);
                    if let Some(frame) = frame {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
            }
        }
    }
}

/// Writes `data: JSON` as one event.
pub(super) fn data<T: Serialize>(out: &mut Vec<u8>, value: &T) {
    out.extend_from_slice(b"data: ");
    serde_json::to_writer(&mut *out, value).expect("our own types are JSON, and memory takes all");
    out.extend_from_slice(b"\n\n");
}

/// Writes a named event.
pub(super) fn named<T: Serialize>(out: &mut Vec<u8>, name: &str, value: &T) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.push(b'\n');
    data(out, value);
}
