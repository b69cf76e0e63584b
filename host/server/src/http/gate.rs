//! The one path of every request: id, caller, limit, handler, headers, one log line, metrics.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::plugin::SecretValue;
use atelier_service::ServiceError;
use atelier_service::accounts::Authenticated;
use atelier_service::caller::Caller;
use atelier_service::limits::{Decision, Subject};
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, HeaderName, HeaderValue};
use http::request::Parts;
use http::{HeaderMap, StatusCode, Uri};

use super::audit;
use super::body::Leftover;
use super::observe::{Observation, ObservedBody};
use super::route::{Access, Media, Route};
use super::{ApiError, Dialect, browser, host, idempotency, sharing, traced};
use crate::app::App;

/// A request may come back to this host once: an instance may point at the host's own API.
const DEPTH_MAX: u32 = 1;
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Room for what every answer is given, so that the map of its headers grows once.
const HEADERS_ADDED_MAX: usize = 20;
const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The caller's own key for the provider of this request.
pub(super) const PROVIDER_KEY: HeaderName = HeaderName::from_static("atelier-provider-key");
const PROVIDER_KEY_BYTES_MAX: usize = 4096;
const X_API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A request let in: who is calling, and what they sent.
#[derive(Debug)]
pub struct Call {
    pub app: Arc<App>,
    pub caller: Option<Caller>,
    pub route: Arc<Route>,
    pub request_id: Arc<str>,
    pub parts: Parts,
    pub body: Body,
    /// When it is given up, and answered that it took too long.
    pub deadline: Instant,
}

impl Call {
    /// Who is calling.
    ///
    /// # Errors
    /// The route is open to anybody, which a handler that needs a caller is not.
    pub fn caller(&self) -> Result<&Caller, ApiError> {
        self.caller.as_ref().ok_or(ApiError::KeyMissing)
    }
}

/// An answer, and what is measured beside it.
#[derive(Debug)]
pub struct Reply {
    pub response: Response,
    /// How long the provider took, for an answer that is complete.
    pub provider_time: Option<Duration>,
    /// The answer goes on after its head: it is observed to its end.
    pub is_stream: bool,
}

impl From<Response> for Reply {
    fn from(response: Response) -> Self {
        Self { response, provider_time: None, is_stream: false }
    }
}

/// Lets a request through to its handler, and its answer out.
pub(super) async fn pass<H, F>(app: Arc<App>, route: Arc<Route>, request: Request, handler: H) -> Response
where
    H: Fn(Call) -> F + Send,
    F: Future<Output = Result<Reply, ApiError>> + Send + 'static,
{
    let started = Instant::now();
    let (parts, mut body) = request.into_parts();
    // Where the address is the permission, nothing is read from whoever has none.
    let is_read_on = route.media != Media::None && route.access != Access::Public;
    let leftover = is_read_on.then(|| Leftover::of(std::mem::take(&mut body), &parts.headers));
    let body = leftover.as_ref().map_or(body, Leftover::body);
    let request_id = request_id(&parts.headers);
    let mut observation =
        Observation::begin(app.clone(), route.clone(), &parts.headers, request_id.clone(), started);
    let mut decision = None;
    let outcome = match admit(&app, &route, &parts, &request_id, &mut decision).await {
        Ok(mut caller) => {
            observation.caller = caller.as_ref().map(|caller| caller.principal.clone());
            if let Some(caller) = &mut caller {
                caller.trace = observation.trace();
            }
            let deadline = Instant::now() + app.config.server.request_max;
            let call = Call {
                app: app.clone(),
                caller,
                route: route.clone(),
                request_id: request_id.clone(),
                parts,
                body,
                deadline,
            };
            let deadline = deadline.into();
            let answered = if audit::is_administration(&route) {
                tokio::time::timeout_at(deadline, Box::pin(audit::answer(call, handler))).await
            } else if idempotency::wants_key(&call) {
                tokio::time::timeout_at(deadline, Box::pin(idempotency::answer(call, handler))).await
            } else if sharing::is_wanted(&call) {
                tokio::time::timeout_at(deadline, Box::pin(sharing::answer(call, handler))).await
            } else {
                tokio::time::timeout_at(deadline, handler(call)).await
            };
            match answered {
                Ok(outcome) => outcome.inspect_err(|error| {
                    let who = observation.caller.as_deref();
                    audit::prompt_refused(&app, &route, &request_id, who, error);
                }),
                Err(_) => Err(ApiError::TimedOut),
            }
        }
        Err(error) => Err(error),
    };
    let is_refused = outcome.as_ref().is_err_and(|error| !error.is_about_silence());
    if let Some(leftover) = leftover.filter(|_| is_refused) {
        leftover.drain().await;
    }
    let mut reply: Reply = outcome.unwrap_or_else(|error| {
        observation.error(&error);
        error.respond(route.dialect, &request_id).into()
    });
    if let Some(deprecation) = &route.deprecation {
        deprecation.tell(reply.response.headers_mut());
    }
    finish(observation, reply, decision, &request_id)
}

fn finish(
    mut observation: Observation,
    reply: Reply,
    decision: Option<Decision>,
    request_id: &str,
) -> Response {
    let mut response = reply.response;
    let headers = response.headers_mut();
    headers.reserve(HEADERS_ADDED_MAX);
    if let Some(decision) = &decision {
        super::answer::limit_headers(headers, decision);
    }
    super::answer::common_headers(headers, request_id);
    observation.answered(response.status(), reply.provider_time);
    if let Some(timing) = observation.server_timing(reply.is_stream) {
        response.headers_mut().insert(HeaderName::from_static("server-timing"), timing);
    }
    if reply.is_stream {
        response.map(|body| Body::new(ObservedBody::new(body, observation)))
    } else {
        response
    }
}

async fn admit(
    app: &App,
    route: &Route,
    parts: &Parts,
    request_id: &Arc<str>,
    decision: &mut Option<Decision>,
) -> Result<Option<Caller>, ApiError> {
    let headers = &parts.headers;
    host::check(parts.version, &parts.uri, headers, &app.config.server.hosts)?;
    let caller = caller(app, route, parts, request_id, decision).await?;
    // What is compressed has a size that nobody knows before it was read.
    let is_coded = |coding: &HeaderValue| !coding.as_bytes().eq_ignore_ascii_case(b"identity");
    if route.media != Media::None && headers.get_all(CONTENT_ENCODING).iter().any(is_coded) {
        return Err(ApiError::ContentCoding);
    }
    Ok(caller)
}

async fn caller(
    app: &App,
    route: &Route,
    parts: &Parts,
    request_id: &Arc<str>,
    decision: &mut Option<Decision>,
) -> Result<Option<Caller>, ApiError> {
    let Access::Key(scope) = route.access else { return Ok(None) };
    let who = match authenticate(app, parts).await {
        Ok(who) => who,
        Err(error) => return Err(audit::refused(app, route, request_id, None, error)),
    };
    if let Some(class) = route.class {
        let taken = app.limiter.take(Subject::User(who.principal.user), class, app.clock.monotonic_ms());
        *decision = Some(taken);
        if taken.retry_after.is_some() {
            app.metrics.refused(class);
            return Err(ServiceError::RateLimited(taken).into());
        }
    }
    if !who.principal.may(scope) {
        let (who, error) = (Some(&*who.principal), ServiceError::ScopeMissing(scope).into());
        return Err(audit::refused(app, route, request_id, who, error));
    }
    let depth = depth(&parts.headers, &app.host_token);
    if depth > DEPTH_MAX {
        return Err(ApiError::RequestLoop);
    }
    let (principal, scope, request_id) = (who.principal, who.scope, request_id.clone());
    let own_key = own_key(&parts.headers)?;
    Ok(Some(Caller { principal, scope, request_id, depth, own_key, keyed: None, trace: None }))
}

/// A key for the provider that is good for this request alone.
fn own_key(headers: &HeaderMap) -> Result<Option<Arc<SecretValue>>, ApiError> {
    let mut keys = headers.get_all(PROVIDER_KEY).iter();
    let Some(key) = keys.next() else { return Ok(None) };
    let text = key.to_str().ok().filter(|text| !text.is_empty() && text.len() <= PROVIDER_KEY_BYTES_MAX);
    match text {
        Some(text) if keys.next().is_none() => Ok(Some(Arc::new(SecretValue::new(text)))),
        _ => Err(ApiError::invalid(
            "Atelier-Provider-Key",
            format!(
                "must be the provider's key, once, {PROVIDER_KEY_BYTES_MAX} visible ASCII characters at most"
            ),
        )),
    }
}

/// Whoever sends a key is known by it, whatever cookies come with it; else whoever is signed in.
async fn authenticate(app: &App, parts: &Parts) -> Result<Authenticated, ApiError> {
    let server = &app.config.server;
    if let Some(secret) = secret(&parts.headers)? {
        return Ok(app.accounts.authenticate(secret).await?);
    }
    let token = browser::token(server, &parts.headers).ok_or(ApiError::KeyMissing)?;
    let who = app.accounts.authenticate_session(&token).await?;
    browser::check_meant(server, parts, &token)?;
    Ok(who)
}

/// The key of a request: `authorization: Bearer …` (RFC 6750) or, as Anthropic's clients send it, `x-api-key`.
fn secret(headers: &HeaderMap) -> Result<Option<&str>, ApiError> {
    if let Some(value) = headers.get(AUTHORIZATION) {
        let text = value.to_str().map_err(|_| ApiError::KeyMissing)?;
        let (scheme, secret) = text.split_once(' ').ok_or(ApiError::KeyMissing)?;
        return if scheme.eq_ignore_ascii_case("bearer") {
            Ok(Some(secret.trim()))
        } else {
            Err(ApiError::KeyMissing)
        };
    }
    let Some(value) = headers.get(X_API_KEY) else { return Ok(None) };
    value.to_str().map(|text| Some(text.trim())).map_err(|_| ApiError::KeyMissing)
}

/// How often the request has already passed through this host, by its name in `via` (RFC 9110 §7.6.3).
fn depth(headers: &HeaderMap, host_token: &str) -> u32 {
    let lines = headers.get_all(http::header::VIA).iter().filter_map(|via| via.to_str().ok());
    let passes = lines
        .flat_map(|line| line.split(','))
        .filter(|hop| hop.split_whitespace().nth(1) == Some(host_token));
    u32::try_from(passes.count()).unwrap_or(u32::MAX)
}

/// The caller's id of the request if it is a decent one, else a new one (E-2).
fn request_id(headers: &HeaderMap) -> Arc<str> {
    let given = headers.get(X_REQUEST_ID).and_then(|value| value.to_str().ok());
    let is_decent = |id: &&str| {
        (1..=REQUEST_ID_BYTES_MAX).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
    };
    match given.filter(is_decent) {
        Some(id) => id.into(),
        None => super::prefix::id("req_").into(),
    }
}

fn dialect_of(uri: &Uri) -> Dialect {
    match uri.path() {
        path if path == "/v1/messages" || path.starts_with("/v1/messages/") => Dialect::Anthropic,
        path if path.starts_with("/v1/") => Dialect::OpenAi,
        _ => Dialect::Problem,
    }
}

pub(super) async fn not_found(State(app): State<Arc<App>>, request: Request) -> Response {
    refuse(&app, &request, ApiError::NoSuchRoute)
}

pub(super) async fn method_not_allowed(State(app): State<Arc<App>>, request: Request) -> Response {
    refuse(&app, &request, ApiError::MethodNotAllowed)
}

/// The answer to a request that reaches no route.
pub(super) fn refuse(app: &App, request: &Request, error: ApiError) -> Response {
    let started = Instant::now();
    let hosts = &app.config.server.hosts;
    let error =
        host::check(request.version(), request.uri(), request.headers(), hosts).err().unwrap_or(error);
    let request_id = request_id(request.headers());
    let span = traced::unrouted(app, request.method(), request.headers(), &request_id);
    let mut response = error.respond(dialect_of(request.uri()), &request_id);
    super::answer::common_headers(response.headers_mut(), &request_id);
    let timing = format!("total;dur={:.3}", started.elapsed().as_secs_f64() * 1e3);
    response.headers_mut().insert(HeaderName::from_static("server-timing"), ascii(&timing));
    app.metrics.unrouted(response.status());
    let (status, code) = (response.status().as_u16(), error.code());
    if let Some(mut span) = span {
        traced::answered(&mut span, Some(response.status()), Some(code), false);
    }
    tracing::info!(request_id = &*request_id, status, code, "a request reached no route");
    response
}

/// What every answer has, for one that is made before any route.
pub(super) fn common(headers: &mut HeaderMap, asked: &HeaderMap) {
    super::answer::common_headers(headers, &request_id(asked));
}

/// A header value of what is known to be visible ASCII.
pub(super) fn ascii(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("invalid"))
}

/// An empty answer.
pub(super) fn empty(status: StatusCode) -> Reply {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response.into()
}
