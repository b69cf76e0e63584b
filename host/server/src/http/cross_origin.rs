//! Pages of other origins (CORS, as the Fetch standard has it): those that the operator names, one by one, and no other.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::{ApiError, gate};
use crate::app::App;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, DELETE");
/// What a page may read of an answer beside what every page may.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "x-request-id, request-id, server-timing, retry-after, x-ratelimit-limit-requests, x-ratelimit-remaining-requests, \
     x-ratelimit-reset-requests, ratelimit, ratelimit-policy, x-atelier-model, idempotent-replayed, location, etag, content-range, \
     accept-ranges, content-disposition, deprecation, sunset",
);
/// Bytes of the names that a page asks for.
const NAMES_BYTES_MAX: usize = 4 * 1024;

/// Which pages of other origins may use the API.
#[derive(Clone, Debug, Default)]
pub struct CrossOrigin {
    /// As browsers write them.
    pub origins: Arc<[HeaderValue]>,
    /// Whether browsers may send cookies with such requests.
    pub credentials: bool,
    /// For how long browsers may remember what was answered.
    pub max_age_seconds: u64,
}

/// The router for pages of other origins, if there are any.
pub(super) fn shared(router: Router, app: &Arc<App>) -> Router {
    if app.config.server.cross_origin.origins.is_empty() {
        return router;
    }
    router.layer(from_fn_with_state(app.clone(), pass))
}

async fn pass(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let rules = &app.config.server.cross_origin;
    let origin = request.headers().get(ORIGIN).cloned();
    let allowed = origin.clone().filter(|origin| rules.origins.contains(origin));
    let is_preflight = request.method() == Method::OPTIONS
        && origin.is_some()
        && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = match (is_preflight, &allowed) {
        (false, _) => next.run(request).await,
        (true, None) => gate::refuse(&app, &request, ApiError::OriginUnknown),
        (true, Some(_)) => preflight(rules, &request),
    };
    let headers = response.headers_mut();
    // Whoever keeps answers keeps one for each origin.
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = allowed {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if rules.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        if !is_preflight {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        }
    }
    response
}

/// What a browser asks before it sends a request: it has no key yet.
fn preflight(rules: &CrossOrigin, request: &Request) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
    // Clients of other makers send names of their own; the origin is trusted with them.
    if let Some(names) = names(request.headers()) {
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names);
    }
    headers.insert(ACCESS_CONTROL_MAX_AGE, HeaderValue::from(rules.max_age_seconds));
    gate::common(headers, request.headers());
    response
}

fn names(asked: &HeaderMap) -> Option<HeaderValue> {
    let names = asked.get(ACCESS_CONTROL_REQUEST_HEADERS)?;
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~, ".contains(byte);
    (names.len() <= NAMES_BYTES_MAX && names.as_bytes().iter().all(is_name)).then(|| names.clone())
}
