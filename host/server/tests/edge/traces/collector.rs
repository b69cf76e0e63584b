//! The far end of OTLP/HTTP: takes exports of traces as a collector does, or refuses them, or never answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use http::{HeaderMap, StatusCode};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(60);

/// What it does with an export.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Takes,
    /// Takes all but so many spans.
    Rejects(i64),
    Answers(StatusCode),
    NeverAnswers,
}

pub struct Collector {
    pub endpoint: String,
    manner: watch::Sender<Manner>,
    exports: watch::Receiver<Vec<Export>>,
}

/// One request that it got, whatever it answered.
#[derive(Clone)]
pub struct Export {
    pub headers: HeaderMap,
    pub body: Bytes,
    pub request: ExportTraceServiceRequest,
    pub is_taken: bool,
}

struct Seen {
    manner: watch::Receiver<Manner>,
    exports: watch::Sender<Vec<Export>>,
}

impl Collector {
    pub async fn start(manner: Manner) -> Self {
        let (manner, told) = watch::channel(manner);
        let (exports, seen) = watch::channel(Vec::new());
        let state = Arc::new(Seen { manner: told, exports });
        let router = Router::new().route("/v1/traces", post(take)).with_state(state);
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let endpoint = format!("http://{}/v1/traces", listener.local_addr().expect("bound"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { endpoint, manner, exports: seen }
    }

    pub fn behave(&self, manner: Manner) {
        self.manner.send_replace(manner);
    }

    pub fn exports(&self) -> Vec<Export> {
        self.exports.borrow().clone()
    }

    /// All that it took, once that is enough.
    pub async fn spans(&self, is_enough: impl Fn(&[Span]) -> bool) -> Vec<Span> {
        self.exports_when(|exports| is_enough(&taken(exports))).await;
        taken(&self.exports())
    }

    pub async fn exports_when(&self, is_enough: impl Fn(&[Export]) -> bool) {
        let mut exports = self.exports.clone();
        let waiting = exports.wait_for(|exports| is_enough(exports));
        let outcome = tokio::time::timeout(PATIENCE, waiting).await;
        outcome.expect("it comes in time").expect("the collector runs");
    }
}

async fn take(State(seen): State<Arc<Seen>>, headers: HeaderMap, body: Bytes) -> Response {
    let manner = *seen.manner.borrow();
    let request = ExportTraceServiceRequest::decode(body.clone()).expect("an export of traces");
    let is_taken = matches!(manner, Manner::Takes | Manner::Rejects(_));
    seen.exports.send_modify(|exports| exports.push(Export { headers, body, request, is_taken }));
    let rejected_spans = match manner {
        Manner::Takes => 0,
        Manner::Rejects(spans) => spans,
        Manner::Answers(status) => return status.into_response(),
        Manner::NeverAnswers => std::future::pending().await,
    };
    let partial = ExportTracePartialSuccess { rejected_spans, error_message: "no".to_owned() };
    let partial_success = (rejected_spans > 0).then_some(partial);
    ExportTraceServiceResponse { partial_success }.encode_to_vec().into_response()
}

fn taken(exports: &[Export]) -> Vec<Span> {
    let taken = exports.iter().filter(|export| export.is_taken);
    let resources = taken.flat_map(|export| &export.request.resource_spans);
    resources.flat_map(|resource| &resource.scope_spans).flat_map(|scope| scope.spans.clone()).collect()
}

/// Attributes as text.
pub fn attributes(all: &[KeyValue]) -> HashMap<String, String> {
    all.iter().map(|one| (one.key.clone(), text(one.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::ArrayValue(array)) => {
            array.values.iter().map(|value| text(Some(value))).collect::<Vec<_>>().join(",")
        }
        other => panic!("{other:?}"),
    }
}
