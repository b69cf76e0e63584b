//! What a trace tells of a request that leaves: OpenTelemetry's conventions for HTTP clients
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>), without `url.full`: paths may hold secrets and what callers sent.

use atelier_domain::trace::{Span, SpanKind, Trace};
use http::{HeaderName, HeaderValue};

use super::client::{EgressError, OutgoingRequest, Received};

const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Begins a request's span and tells its receiver of it. Their `tracestate` is not passed on: it belongs to the callers, and providers are others.
pub(super) fn begin(trace: &Trace, request: &mut OutgoingRequest) -> Span {
    let mut span = trace.begin(SpanKind::Client, request.method.to_string());
    if let Ok(context) = HeaderValue::try_from(span.trace().context().to_string()) {
        request.headers.insert(TRACEPARENT, context);
    }
    span.set_with("http.request.method", || request.method.to_string());
    span.set_with("url.scheme", || request.url.scheme().to_owned());
    span.set_with("server.address", || request.url.host_str().unwrap_or_default().to_owned());
    span.set("server.port", u64::from(request.url.port_or_known_default().unwrap_or_default()));
    // Until there is an answer: whoever is dropped before was canceled.
    span.failed(Some("canceled".into()));
    span
}

/// Notes the head of the answer, or why there is none.
pub(super) fn answered(span: &mut Span, outcome: &Result<Received, EgressError>) {
    match outcome {
        Ok(received) => {
            let status = received.status;
            span.set("http.response.status_code", u64::from(status.as_u16()));
            let is_failure = status.is_client_error() || status.is_server_error();
            span.failed(is_failure.then(|| status.as_str().to_owned().into()));
        }
        Err(error) => span.failed(Some(error.code().into())),
    }
}
