//! Spans as OTLP writes them (<https://opentelemetry.io/docs/specs/otlp/>).

use std::time::{Duration, UNIX_EPOCH};

use atelier_domain::trace::{EndedSpan, SpanKind, SpanValue};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, any_value::Value,
};
pub(super) use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind as Kind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

use crate::config::Traces;

/// Bits of `flags` beside those of W3C: whether it is known if the parent is another process', and whether it is.
const IS_REMOTE_KNOWN: u32 = 0x100;
const IS_REMOTE: u32 = 0x200;

/// What the collector is told of this server.
pub(super) fn resource(config: &Traces) -> Resource {
    let own = [
        ("service.name".to_owned(), config.service_name.clone()),
        ("service.version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
    ];
    // What the operator says comes first, and is not said twice.
    let is_said = |name: &str| config.resource.iter().any(|(said, _)| said == name);
    let all = own.into_iter().filter(|(name, _)| !is_said(name)).chain(config.resource.clone());
    let attributes = all.map(|(name, text)| attribute(name, Value::StringValue(text))).collect();
    Resource { attributes, ..Resource::default() }
}

/// One export.
pub(super) fn request(resource: &Resource, spans: Vec<EndedSpan>) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: "atelier".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let spans = spans.into_iter().map(span).collect();
    let scope_spans = ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() };
    let resource_spans = ResourceSpans {
        resource: Some(resource.clone()),
        scope_spans: vec![scope_spans],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest { resource_spans: vec![resource_spans] }.encode_to_vec()
}

/// Spans that an answer says were not taken. One that is no such message says nothing.
pub(super) fn rejected(answer: &[u8]) -> u64 {
    let partial = ExportTraceServiceResponse::decode(answer).ok().and_then(|answer| answer.partial_success);
    partial.map_or(0, |partial| u64::try_from(partial.rejected_spans).unwrap_or(0))
}

fn span(ended: EndedSpan) -> Span {
    let begun = ended.begun.duration_since(UNIX_EPOCH).unwrap_or_default();
    let remote = if ended.is_parent_remote { IS_REMOTE } else { 0 };
    let mut attributes: Vec<KeyValue> =
        ended.attributes.into_iter().map(|(name, of)| attribute(name.to_owned(), value(of))).collect();
    let status = ended.error.map(|error| {
        attributes.push(attribute("error.type".to_owned(), Value::StringValue(error.into_owned())));
        Status { code: StatusCode::Error.into(), ..Status::default() }
    });
    let links = ended.link.map(|link| Link {
        trace_id: link.trace.to_bytes().into(),
        span_id: link.span.to_bytes().into(),
        flags: u32::from(link.is_sampled),
        ..Link::default()
    });
    Span {
        trace_id: ended.context.trace.to_bytes().into(),
        span_id: ended.context.span.to_bytes().into(),
        trace_state: ended.state.map(|state| state.as_str().to_owned()).unwrap_or_default(),
        parent_span_id: ended.parent.map(|parent| parent.to_bytes().into()).unwrap_or_default(),
        flags: u32::from(ended.context.is_sampled) | IS_REMOTE_KNOWN | remote,
        name: ended.name.into_owned(),
        kind: kind(ended.kind).into(),
        start_time_unix_nano: nanoseconds(begun),
        end_time_unix_nano: nanoseconds(begun + ended.duration),
        attributes,
        links: links.into_iter().collect(),
        status,
        ..Span::default()
    }
}

fn kind(kind: SpanKind) -> Kind {
    match kind {
        SpanKind::Server => Kind::Server,
        SpanKind::Client => Kind::Client,
    }
}

fn attribute(key: String, value: Value) -> KeyValue {
    KeyValue { key, value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

fn value(value: SpanValue) -> Value {
    match value {
        SpanValue::Text(text) => Value::StringValue(text.into_owned()),
        SpanValue::Number(number) => Value::IntValue(number),
        SpanValue::Texts(texts) => {
            let values = texts
                .into_iter()
                .map(|text| AnyValue { value: Some(Value::StringValue(text.into_owned())) })
                .collect();
            Value::ArrayValue(ArrayValue { values })
        }
    }
}

fn nanoseconds(since: Duration) -> u64 {
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
