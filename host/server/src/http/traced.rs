//! What a trace tells of a request: OpenTelemetry's conventions for HTTP servers
//! (<https://opentelemetry.io/docs/specs/semconv/http/http-spans/>). No header, no query, no caller; and no path where a part of it is anybody's choice.

use atelier_domain::trace::{Span, SpanKind, TraceContext, TraceState};
use http::{HeaderMap, Method, StatusCode};

use super::route::Route;
use crate::app::App;

const TRACEPARENT: &str = "traceparent";
const TRACESTATE: &str = "tracestate";

/// Begins a request's span, if this server traces.
pub(super) fn begin(app: &App, route: &Route, headers: &HeaderMap, request_id: &str) -> Option<Span> {
    // The one thing that a request pays for where nothing is traced.
    let tracing = app.tracing.as_ref()?;
    let from = if tracing.trusts_callers { incoming(headers) } else { None };
    let name = format!("{} {}", route.method, route.path);
    let mut span = tracing.tracer.request(from, SpanKind::Server, name);
    describe(&mut span, app, &route.method, request_id);
    span.set("http.route", route.path);
    if !route.path.contains('{') {
        span.set("url.path", route.path);
    }
    Some(span)
}

/// The span of a request that reached no route.
pub(super) fn unrouted(app: &App, method: &Method, headers: &HeaderMap, request_id: &str) -> Option<Span> {
    let tracing = app.tracing.as_ref()?;
    let from = if tracing.trusts_callers { incoming(headers) } else { None };
    let mut span = tracing.tracer.request(from, SpanKind::Server, known(method));
    describe(&mut span, app, method, request_id);
    Some(span)
}

/// Notes how a request was answered; `None`: its caller left before.
pub(super) fn answered(
    span: &mut Span,
    status: Option<StatusCode>,
    code: Option<&'static str>,
    is_broken: bool,
) {
    let Some(status) = status else { return span.failed(Some("canceled".into())) };
    span.set("http.response.status_code", u64::from(status.as_u16()));
    let failure = match code {
        // What callers do wrong is no failure of this server.
        _ if !status.is_server_error() => is_broken.then_some("broken-off".into()),
        Some(code) => Some(code.into()),
        None => Some(status.as_str().to_owned().into()),
    };
    span.failed(failure);
}

fn describe(span: &mut Span, app: &App, method: &Method, request_id: &str) {
    span.set("http.request.method", known(method));
    span.set("url.scheme", if app.config.server.transport.tls.is_some() { "https" } else { "http" });
    span.set_with("atelier.request.id", || request_id.to_owned());
}

/// Methods are anybody's choice too: others than those of RFC 9110 and RFC 5789 are told as the conventions say.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        Method::TRACE => "TRACE",
        Method::CONNECT => "CONNECT",
        _ => "_OTHER",
    }
}

/// The caller's own span (W3C Trace Context). One that is malformed, or said more than once, is none.
fn incoming(headers: &HeaderMap) -> Option<(TraceContext, Option<TraceState>)> {
    let mut parents = headers.get_all(TRACEPARENT).iter();
    let parent = parents.next().filter(|_| parents.next().is_none())?;
    let context = parent.to_str().ok()?.parse().ok()?;
    let lines: Option<Vec<&str>> =
        headers.get_all(TRACESTATE).iter().map(|line| line.to_str().ok()).collect();
    Some((context, lines.and_then(TraceState::parse)))
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn read(lines: &[(&'static str, &str)]) -> Option<(String, Option<String>)> {
        let line = |(name, value): &(&'static str, &str)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).expect("a value"))
        };
        let mut headers = HeaderMap::new();
        headers.extend(lines.iter().map(line));
        for (name, value) in lines.iter().map(line) {
            if !headers.get_all(&name).iter().any(|known| known == value) {
                headers.append(name, value);
            }
        }
        let (context, state) = incoming(&headers)?;
        Some((context.to_string(), state.map(|state| state.as_str().to_owned())))
    }

    #[test]
    fn a_callers_context_is_read_with_its_state_or_without() {
        assert_eq!(read(&[("traceparent", GOOD)]), Some((GOOD.to_owned(), None)));
        let both = read(&[("traceparent", GOOD), ("tracestate", "a=1"), ("tracestate", "b=2")]);
        assert_eq!(both, Some((GOOD.to_owned(), Some("a=1,b=2".to_owned()))));
        // A malformed state takes nothing from the parent.
        assert_eq!(read(&[("traceparent", GOOD), ("tracestate", "?")]), Some((GOOD.to_owned(), None)));
    }

    #[test]
    fn a_context_that_is_malformed_or_said_twice_is_none() {
        let other = GOOD.replace("4bf9", "5bf9");
        assert_eq!(read(&[("traceparent", GOOD), ("traceparent", &other)]), None);
        assert_eq!(read(&[("traceparent", &GOOD.to_uppercase()), ("tracestate", "a=1")]), None);
        assert_eq!(read(&[("tracestate", "a=1")]), None);
        assert_eq!(read(&[]), None);
    }
}
