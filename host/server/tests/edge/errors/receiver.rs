//! The far end of Sentry's protocol: takes envelopes as a server does, or refuses them, or never answers.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(60);
pub const KEY: &str = "canary0dsn0key0471100000000000ab";

/// What it does with an envelope.
#[derive(Clone, PartialEq, Eq)]
pub enum Manner {
    /// With a limit of one header, name and value, or of none.
    Answers(StatusCode, Option<(&'static str, &'static str)>),
    NeverAnswers,
}

impl Manner {
    pub const TAKES: Self = Self::Answers(StatusCode::OK, None);
}

pub struct Receiver {
    pub dsn: String,
    manner: watch::Sender<Manner>,
    envelopes: watch::Receiver<Vec<Envelope>>,
}

/// One request that it got, whatever it answered.
#[derive(Clone, Debug)]
pub struct Envelope {
    pub headers: HeaderMap,
    pub body: Bytes,
    pub header: Value,
    /// Of its one item.
    pub event: Value,
}

struct Seen {
    manner: watch::Receiver<Manner>,
    envelopes: watch::Sender<Vec<Envelope>>,
}

impl Receiver {
    pub async fn start(manner: Manner) -> Self {
        let (manner, told) = watch::channel(manner);
        let (envelopes, seen) = watch::channel(Vec::new());
        let state = Arc::new(Seen { manner: told, envelopes });
        let router = Router::new().route("/below/api/42/envelope/", post(take)).with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let dsn = format!("http://{KEY}@{}/below/42", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { dsn, manner, envelopes: seen }
    }

    pub fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    pub fn envelopes(&self) -> Vec<Envelope> {
        self.envelopes.borrow().clone()
    }

    /// All of them, once there are so many.
    pub async fn received(&self, count: usize) -> Vec<Envelope> {
        let mut envelopes = self.envelopes.clone();
        let waiting = envelopes.wait_for(|envelopes| envelopes.len() >= count);
        let outcome = tokio::time::timeout(PATIENCE, waiting).await;
        outcome.expect("they come in time").expect("the receiver runs").clone()
    }
}

async fn take(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    let (header, items) = parse(&body);
    let [(kind, event)] = &items[..] else { panic!("{items:?}") };
    assert_eq!(kind, "event");
    let event = serde_json::from_slice(event).expect("an event");
    seen.envelopes
        .send_modify(|all| all.push(Envelope { headers, body: body.clone(), header: header.clone(), event }));
    let manner = seen.manner.borrow().clone();
    match manner {
        Manner::Answers(status, limit) => {
            let answer = (status, axum::Json(json!({ "id": header["event_id"] })));
            match limit {
                Some(limit) => ([limit], answer).into_response(),
                None => answer.into_response(),
            }
        }
        Manner::NeverAnswers => std::future::pending().await,
    }
}

/// The header and the items, by their type, as <https://develop.sentry.dev/sdk/data-model/envelopes/> says: a line of headers; then for each item
/// a line of headers, and as many bytes as `length` says, or up to the end of the line.
fn parse(mut bytes: &[u8]) -> (Value, Vec<(String, Vec<u8>)>) {
    let mut line = |length: Option<usize>| -> Option<Vec<u8>> {
        if bytes.is_empty() {
            return None;
        }
        let length = length.or_else(|| bytes.iter().position(|byte| *byte == b'\n')).unwrap_or(bytes.len());
        let (line, rest) = bytes.split_at(length);
        bytes = match rest {
            [b'\n', rest @ ..] => rest,
            [] => rest,
            _ => panic!("there is more than `length` says"),
        };
        Some(line.to_vec())
    };
    let json = |line: &[u8]| serde_json::from_slice::<Value>(line).expect("a line of JSON");
    let header = json(&line(None).expect("headers"));
    let mut items = Vec::new();
    while let Some(item) = line(None) {
        let item = json(&item);
        let length = item["length"].as_u64().map(|length| length as usize);
        let payload = line(length).expect("a payload");
        items.push((item["type"].as_str().expect("a type").to_owned(), payload));
    }
    (header, items)
}
