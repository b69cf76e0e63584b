//! Where every request comes in and every answer goes out: reading, recording,
//! authentication and faults, the same for all providers.

mod spoil;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header, request};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use tower::ServiceExt;

use crate::call::{Call, Form, header_texts};
use crate::chaos::Chaos;
use crate::connection::ResetSwitch;
use crate::dialect::Dialect;
use crate::fault::{Fault, FaultKind};
use crate::journal::{Charge, Ending, Entry, Spoilt};
use crate::reply::{Last, MockBody, Pacing, Reply, ReplyBody};
use crate::server::Shared;

/// Answer one request.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    router: Router,
    reset: ResetSwitch,
    request: Request<Incoming>,
) -> io::Result<Response<MockBody>> {
    let (parts, body) = request.into_parts();
    if parts.uri.path().starts_with("/_mock/") {
        let body = Limited::new(body, shared.config.request_body_bytes_max).collect().await;
        let body = body.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        return Ok(plain(crate::control::answer(&shared, &parts, &body)));
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let mut entry = shared.journal.open(parts.method.as_str(), &path, header_texts(&parts.headers));
    let head = parts.method == Method::HEAD;
    let (reply, fault) = match read(&shared, &entry, parts, body).await {
        Ok(call) => {
            if let Some(fault) = &call.fault {
                entry.fault(&fault.to_string());
                shared.journal.spoilt(Spoilt {
                    path,
                    request_id: call.header("x-request-id").map(str::to_owned),
                    fault: fault.to_string(),
                });
            }
            if call.has_fault(FaultKind::Reset) {
                entry.close(Ending::Cut);
                reset.pull();
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            let fault = call.fault.clone();
            (answer(&shared, router, call).await, fault)
        }
        Err(refusal) => (refusal, None),
    };
    entry.answered(reply.status.as_u16(), reply.streams());
    let response = send(&shared, reply, fault, reset, entry);
    Ok(if head { response.map(MockBody::skip) } else { response })
}

/// Read the request whole and understand as much of it as every handler needs.
async fn read(shared: &Shared, entry: &Entry, parts: request::Parts, body: Incoming) -> Result<Call, Reply> {
    let dialect = Dialect::of(parts.uri.path(), &parts.headers);
    let most = shared.config.request_body_bytes_max;
    let body = Limited::new(body, most).collect().await.map_err(|broken| {
        let too_large = broken.downcast_ref::<LengthLimitError>().is_some();
        let status = if too_large { StatusCode::PAYLOAD_TOO_LARGE } else { StatusCode::BAD_REQUEST };
        dialect
            .refuse(status, &format!("the request body could not be read: {broken} (at most {most} bytes)"))
    })?;
    let body = body.to_bytes();
    entry.body(&body);
    let form = Form::read(&parts.headers, &body).await;
    let form = form.map_err(|broken| dialect.refuse(StatusCode::BAD_REQUEST, &broken))?;
    let is_json = |kind: &HeaderValue| kind.as_bytes().starts_with(b"application/json");
    let says_json = parts.headers.get(header::CONTENT_TYPE).is_some_and(is_json);
    let json = match serde_json::from_slice(&body) {
        Ok(json) => json,
        Err(broken) if says_json && !body.is_empty() => {
            let message = format!("We could not parse the JSON body of your request: {broken}");
            return Err(dialect.refuse(StatusCode::BAD_REQUEST, &message));
        }
        Err(_) => Value::Null,
    };
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let base_url = host.map_or_else(|| shared.url.clone(), |host| format!("http://{host}"));
    let mut call = Call {
        number: entry.number(),
        dialect,
        method: parts.method,
        uri: parts.uri,
        headers: parts.headers,
        body,
        json,
        form,
        fault: None,
        base_url,
    };
    call.fault = fault_for(shared, &call)?;
    Ok(call)
}

/// The fault that applies: the header's, the model's, the next one due, or the server's own.
fn fault_for(shared: &Shared, call: &Call) -> Result<Option<Fault>, Reply> {
    if call.uri.path().starts_with("/files/") {
        return Ok(None);
    }
    if let Some(asked) = call.header("x-mock-fault") {
        let fault = asked.parse::<Fault>();
        return fault
            .map(Some)
            .map_err(|unknown| call.dialect.refuse(StatusCode::BAD_REQUEST, &unknown.to_string()));
    }
    let by_model = || call.model().and_then(Fault::from_model);
    // Gemini's methods follow the model's name after a colon.
    let by_path = || call.uri.path().split(['/', ':']).find_map(Fault::from_model);
    let at_random = || shared.chaos.as_ref().and_then(Chaos::draw);
    let everybodys = || shared.config.fault.clone();
    Ok(by_model().or_else(by_path).or_else(|| shared.due_fault()).or_else(at_random).or_else(everybodys))
}

async fn answer(shared: &Shared, router: Router, call: Call) -> Reply {
    let public = call.uri.path().starts_with("/files/");
    let dialect = call.dialect;
    if !public {
        let refused = match dialect.authenticate(&call) {
            Err(refusal) => Some(refusal),
            Ok(()) => spoil::before(shared, &call).await,
        };
        if let Some(mut reply) = refused {
            reply.headers.extend(request_headers(&call));
            return reply;
        }
    }
    // A key that was charged for before: its answer again, and nothing is made.
    let key = call.header("idempotency-key").filter(|_| call.method == Method::POST).map(str::to_owned);
    if let Some(reply) = key.as_ref().and_then(|key| shared.answered.get(key)) {
        shared.journal.charge(charge(&call));
        return reply;
    }
    let call = Arc::new(call);
    let mut request = Request::new(Body::empty());
    *request.method_mut() = call.method.clone();
    *request.uri_mut() = call.uri.clone();
    request.extensions_mut().insert(Arc::clone(&call));
    let Ok(mut response) = router.oneshot(request).await;
    let status = response.status();
    let mut reply = response.extensions_mut().remove::<Reply>().unwrap_or_else(|| {
        let message = format!("{} {} is not offered here", call.method, call.uri.path());
        dialect.refuse(status, &message)
    });
    let is_charged = reply.charged && reply.status.is_success();
    if is_charged {
        shared.journal.charge(charge(&call));
    }
    if !public {
        reply.headers.extend(request_headers(&call));
        if reply.status != StatusCode::TOO_MANY_REQUESTS {
            reply.headers.extend(dialect.limits(9_999, 1));
        }
    }
    let reply = spoil::after(reply, &call);
    if is_charged {
        if let Some(key) = &key {
            shared.answered.put(key, call.body.len(), reply.clone());
        }
        pause(shared.config.charged_answer_delay_ms).await;
    }
    reply
}

fn charge(call: &Call) -> Charge {
    Charge {
        request: call.number,
        path: call.uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
        key: call.header("idempotency-key").map(str::to_owned),
        request_id: call.header("x-request-id").map(str::to_owned),
    }
}

/// The headers with which each provider names a request.
fn request_headers(call: &Call) -> Vec<(&'static str, String)> {
    match call.dialect {
        Dialect::OpenAi => vec![
            ("x-request-id", call.id("req_")),
            ("openai-version", "2020-10-01".to_owned()),
            ("openai-processing-ms", "1".to_owned()),
        ],
        Dialect::Anthropic => vec![("request-id", call.id("req_"))],
        Dialect::ElevenLabs => vec![("request-id", call.id(""))],
        Dialect::Replicate | Dialect::Ollama | Dialect::Gemini => Vec::new(),
    }
}

/// Put a reply on the wire, spoilt by the faults that act on bytes.
fn send(
    shared: &Shared,
    reply: Reply,
    fault: Option<Fault>,
    reset: ResetSwitch,
    entry: Entry,
) -> Response<MockBody> {
    let streams = reply.streams();
    let (pieces, announced) = match reply.body {
        ReplyBody::Whole(body) => (VecDeque::from([body.clone()]), Some(body.len() as u64)),
        ReplyBody::Pieces(pieces) => (VecDeque::from(pieces), None),
    };
    let interval_ms = if streams { shared.config.event_interval_ms } else { 0 };
    let pacing = Pacing { interval_ms, piece_bytes_max: None };
    let spoilt = fault.filter(|_| reply.status.is_success());
    let body = match spoilt {
        Some(fault) => spoil::body(shared, &fault, pieces, announced, pacing, reset),
        None => MockBody::new(pieces, Last::Finish, pacing, announced),
    };
    let mut response = Response::new(body.watched(entry));
    *response.status_mut() = reply.status;
    for (name, value) in reply.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    response
}

fn plain(reply: Reply) -> Response<MockBody> {
    let ReplyBody::Whole(body) = reply.body else {
        return Response::new(MockBody::new(VecDeque::new(), Last::Finish, Pacing::default(), Some(0)));
    };
    let length = body.len() as u64;
    let body = MockBody::new(VecDeque::from([body]), Last::Finish, Pacing::default(), Some(length));
    let mut response = Response::new(body);
    *response.status_mut() = reply.status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// Bytes of filler sent at a time by endless bodies.
const FILLER_BYTES: usize = 64 << 10;

fn filler() -> Bytes {
    Bytes::from(vec![b'a'; FILLER_BYTES])
}

/// Wait as the `slow` fault does.
async fn pause(ms: u64) {
    tokio::time::sleep(Duration::from_millis(ms)).await;
}

/// Whether the fault is one that the answer's text shows.
fn echoes(kind: FaultKind) -> bool {
    matches!(kind, FaultKind::Echo | FaultKind::EchoSplit)
}
