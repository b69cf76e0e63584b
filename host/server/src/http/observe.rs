//! One log line and one measurement for each request, when its answer has ended.

use std::fmt::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use atelier_domain::account::Principal;
use atelier_domain::trace::{Span, Trace};
use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode};
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::ApiError;
use super::route::Route;
use super::traced;
use crate::app::App;

/// A request being answered. Dropped, it is logged and counted.
#[derive(Debug)]
pub(super) struct Observation {
    app: Arc<App>,
    route: Arc<Route>,
    request_id: Arc<str>,
    started: Instant,
    status: StatusCode,
    /// The head was made, so that the caller did not leave before.
    is_answered: bool,
    is_broken: bool,
    provider_time: Option<Duration>,
    to_head: Duration,
    code: Option<&'static str>,
    pub(super) caller: Option<Arc<Principal>>,
    span: Option<Span>,
}

impl Observation {
    pub(super) fn begin(
        app: Arc<App>,
        route: Arc<Route>,
        headers: &HeaderMap,
        request_id: Arc<str>,
        started: Instant,
    ) -> Self {
        let span = traced::begin(&app, &route, headers, &request_id);
        Self {
            app,
            route,
            request_id,
            started,
            status: StatusCode::OK,
            is_answered: false,
            is_broken: false,
            provider_time: None,
            to_head: Duration::ZERO,
            code: None,
            caller: None,
            span,
        }
    }

    /// Where what the request causes goes on, if it is traced.
    pub(super) fn trace(&self) -> Option<Trace> {
        self.span.as_ref().map(|span| span.trace().clone())
    }

    /// Notes a refusal; what callers are not told is logged here, once.
    pub(super) fn error(&mut self, error: &ApiError) {
        self.code = Some(error.code());
        if let Some(detail) = error.internal_detail() {
            error.log(&self.request_id, "a request failed", &detail);
        }
    }

    pub(super) fn answered(&mut self, status: StatusCode, provider_time: Option<Duration>) {
        self.status = status;
        self.provider_time = provider_time;
        self.to_head = self.started.elapsed();
        self.is_answered = true;
    }

    /// `Server-Timing` (W3C): milliseconds until the head was made, of which the provider took some. A stream's head is made
    /// when its first event is there, so that this is its time to the first byte.
    pub(super) fn server_timing(&self, is_stream: bool) -> Option<HeaderValue> {
        let ms = |duration: Duration| duration.as_secs_f64() * 1e3;
        let mut text = String::with_capacity(96);
        match self.provider_time {
            Some(provider) => {
                let host = self.to_head.saturating_sub(provider);
                write!(
                    text,
                    "total;dur={:.3}, host;dur={:.3}, upstream;dur={:.3}",
                    ms(self.to_head),
                    ms(host),
                    ms(provider)
                )
            }
            None => write!(text, "total;dur={:.3}", ms(self.to_head)),
        }
        .ok()?;
        if is_stream {
            write!(text, ", ttfb;dur={:.3}", ms(self.to_head)).ok()?;
        }
        HeaderValue::try_from(text).ok()
    }
}

impl Drop for Observation {
    fn drop(&mut self) {
        let total = self.started.elapsed();
        // 499: the caller left before there was an answer.
        let status = if self.is_answered { self.status.as_u16() } else { 499 };
        let host = self.provider_time.map(|provider| self.to_head.saturating_sub(provider));
        let trace_id = self.span.as_ref().map(|span| span.trace().context().trace);
        if let Some(mut span) = self.span.take() {
            traced::answered(&mut span, self.is_answered.then_some(self.status), self.code, self.is_broken);
        }
        self.app.metrics.request(self.route.index, status, total, host);
        tracing::info!(
            request_id = &*self.request_id,
            trace_id = trace_id.map(tracing::field::display),
            method = self.route.method.as_str(),
            route = self.route.path,
            status,
            code = self.code,
            key = self.caller.as_ref().map(|caller| tracing::field::display(caller.key)),
            duration_us = total.as_micros() as u64,
            host_us = host.map(|host| host.as_micros() as u64),
            broken = self.is_broken,
            "request"
        );
    }
}

/// A streamed body that ends its request's observation when it ends.
pub(super) struct ObservedBody {
    inner: Body,
    observation: Observation,
}

impl ObservedBody {
    pub(super) fn new(inner: Body, observation: Observation) -> Self {
        Self { inner, observation }
    }
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.inner).poll_frame(cx);
        if let Poll::Ready(Some(Err(_))) = &polled {
            this.observation.is_broken = true;
        }
        polled
    }
    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
