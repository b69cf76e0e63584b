//! Passes a plugin's requests on to a real provider, and writes down what was said.
//!
//! The plugin's instance has placeholders for secrets. They are taken out of each request here; the real ones are put in by the
//! host's own egress, which also blanks them out of every answer, so that no secret is ever in what is recorded.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use atelier_runtime::egress::{Egress, Grants, IncomingBody, OutgoingBody, OutgoingRequest, Secrets};
use bytes::{Bytes, BytesMut};
use futures::stream;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, USER_AGENT, VIA};
use http::{HeaderMap, Method, Response};
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use serde_json::Value;
use url::Url;

use super::play::{Body, refusal, whole};
use super::{Arrived, REQUEST_BYTES_MAX};
use crate::exchange::{Answer, Chunk, Exchange, Pattern, UPSTREAM};

/// A recorded delay is cut to this, in milliseconds, so that a suite stays quick.
const DELAY_MS_MAX: u64 = 20;
/// A request's body is recorded as a pattern up to this size, in bytes.
const PATTERN_BYTES_MAX: usize = 8 << 10;

/// A real provider, and how to reach it.
#[derive(Debug)]
pub struct Provider {
    /// Scheme, host and port.
    pub origin: Url,
    pub egress: Egress,
    pub grants: Grants,
    pub secrets: Secrets,
    /// Placeholder → name of the secret that it stands for.
    pub placeholders: BTreeMap<String, String>,
    pub heard: Mutex<Vec<Heard>>,
}

/// One exchange as it went.
#[derive(Debug)]
pub struct Heard {
    arrived: Arrived,
    status: u16,
    headers: HeaderMap,
    /// With the milliseconds before each piece.
    pieces: Vec<(u64, Bytes)>,
}

/// Exchanges ready to be written.
#[derive(Debug, Default)]
pub struct Recorded(pub Vec<Exchange>);

impl Provider {
    pub(super) async fn pass_on(&self, own_url: &str, arrived: Arrived) -> Response<Body> {
        let request = match self.outgoing(&arrived) {
            Ok(request) => request,
            Err(why) => return refusal(400, &why),
        };
        let received = match self.egress.send(request, &self.grants, &self.secrets).await {
            Ok(received) => received,
            Err(error) => return refusal(502, &format!("the provider could not be reached: {error}")),
        };
        let mut response = Response::new(());
        *response.status_mut() = received.status;
        *response.headers_mut() = kept(&received.headers);
        let head = (received.status.as_u16(), response.headers().clone());
        let json = received.body.content_type().is_some_and(|kind| kind.contains("json"));
        let pieces = match heard(received.body).await {
            Ok(pieces) => pieces,
            Err(why) => return refusal(502, &why),
        };
        let all: Bytes = pieces.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let heard = Heard { arrived, status: head.0, headers: head.1, pieces };
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(heard);
        // Addresses of the provider's that a plugin will ask again lead here.
        let origin = self.origin.as_str().trim_end_matches('/');
        let body = match std::str::from_utf8(&all) {
            Ok(text) if json => whole(text.replace(origin, own_url).into()),
            _ => StreamBody::new(stream::iter([Ok::<_, io::Error>(Frame::data(all.clone()))])).boxed_unsync(),
        };
        response.map(|()| body)
    }

    fn outgoing(&self, arrived: &Arrived) -> Result<OutgoingRequest, String> {
        let mut url = self.origin.clone();
        url.set_path(&self.without_placeholders(&arrived.path));
        for (name, value) in &arrived.query {
            // The egress adds secrets of the query itself.
            if !self.placeholders.contains_key(value) {
                url.query_pairs_mut().append_pair(name, value);
            }
        }
        let mut headers = arrived.headers.clone();
        for name in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING, CONNECTION, VIA, USER_AGENT] {
            headers.remove(name);
        }
        let own: Vec<_> = headers.keys().filter(|name| self.secrets.owns_header(name)).cloned().collect();
        own.iter().for_each(|name| drop(headers.remove(name)));
        let method = Method::from_bytes(arrived.method.as_bytes()).map_err(|error| error.to_string())?;
        let body = OutgoingBody::full(arrived.body.clone());
        Ok(OutgoingRequest { method, url, headers, body, request_id: None, depth: 0, trace: None })
    }

    fn without_placeholders(&self, text: &str) -> String {
        self.placeholders.iter().fold(text.to_owned(), |text, (placeholder, name)| {
            text.replace(placeholder, &format!("{{secret:{name}}}"))
        })
    }

    /// All that was heard: equal requests share an exchange, in whose responses their answers stand in order.
    pub(super) fn recorded(&self, own_url: &str) -> Recorded {
        let mut exchanges: Vec<Exchange> = Vec::new();
        for heard in self.heard.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let request = self.pattern(&heard.arrived, own_url);
            let answer = self.answer(heard, own_url);
            match exchanges.iter_mut().find(|exchange| exchange.request == request) {
                Some(exchange) => exchange.responses.push(answer),
                None => exchanges.push(Exchange { request, on_failure: None, responses: vec![answer] }),
            }
        }
        Recorded(exchanges)
    }

    fn pattern(&self, arrived: &Arrived, own_url: &str) -> Pattern {
        let query = arrived.query.iter().filter(|(_, value)| !self.placeholders.contains_key(*value));
        let body = (arrived.body.len() <= PATTERN_BYTES_MAX)
            .then(|| serde_json::from_slice::<Value>(&arrived.body).ok())
            .flatten();
        let body = body.and_then(|body| serde_json::from_str(&self.general(&body.to_string(), own_url)).ok());
        Pattern {
            method: arrived.method.clone(),
            path: self.without_placeholders(&arrived.path),
            query: query.map(|(name, value)| (name.clone(), value.clone())).collect(),
            form: arrived.form.clone(),
            body,
        }
    }

    /// A text without what is this run's alone.
    fn general(&self, text: &str, own_url: &str) -> String {
        let origin = self.origin.as_str().trim_end_matches('/');
        self.without_placeholders(text).replace(own_url, UPSTREAM).replace(origin, UPSTREAM)
    }

    fn answer(&self, heard: &Heard, own_url: &str) -> Answer {
        let text =
            |value: &http::HeaderValue| self.general(&String::from_utf8_lossy(value.as_bytes()), own_url);
        let headers: BTreeMap<_, _> =
            heard.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut answer = Answer { status: heard.status, headers, ..Answer::default() };
        let all: BytesMut = heard.pieces.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let Ok(readable) = std::str::from_utf8(&all) else {
            let pieces = heard.pieces.iter();
            answer.chunks = pieces.map(|(ms, bytes)| Chunk::of(bytes, (*ms).min(DELAY_MS_MAX))).collect();
            return answer;
        };
        let readable = self.general(readable, own_url);
        if let Ok(json) = serde_json::from_str::<Value>(&readable) {
            answer.json = Some(json);
        } else if readable.is_empty() || heard.pieces.len() == 1 {
            answer.text = Some(readable).filter(|text| !text.is_empty());
        } else {
            // Text that came in pieces is cut at its own line ends, so that what is replaced in it stays whole.
            let lines = readable.split_inclusive("\n\n").map(|event| Chunk::of(event.as_bytes(), 0));
            answer.chunks = lines.collect();
        }
        answer
    }
}

/// Headers that are the connection's, or that tell of this one request and account: none that a plugin may depend on.
const DROPPED: [&str; 12] = [
    "alt-svc",
    "connection",
    "content-length",
    "date",
    "keep-alive",
    "openai-organization",
    "server",
    "set-cookie",
    "strict-transport-security",
    "transfer-encoding",
    "vary",
    "via",
];

fn kept(headers: &HeaderMap) -> HeaderMap {
    let dropped = |name: &str| {
        DROPPED.contains(&name)
            || name.ends_with("request-id")
            || ["access-control-", "cf-"].iter().any(|prefix| name.starts_with(prefix))
    };
    let kept = headers.iter().filter(|(name, _)| !dropped(name.as_str()));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

async fn heard(mut body: IncomingBody) -> Result<Vec<(u64, Bytes)>, String> {
    let (mut pieces, mut size, mut last) = (Vec::new(), 0, Instant::now());
    loop {
        match body.read(64 << 10).await {
            Ok(Some(bytes)) => {
                size += bytes.len();
                if size > REQUEST_BYTES_MAX {
                    return Err(format!("the provider's answer has more than {REQUEST_BYTES_MAX} bytes"));
                }
                let waited = u64::try_from(last.elapsed().as_millis()).unwrap_or(u64::MAX);
                pieces.push((waited, bytes));
                last = Instant::now();
            }
            Ok(None) => return Ok(pieces),
            Err(error) => return Err(format!("the provider's answer broke off: {error}")),
        }
    }
}
