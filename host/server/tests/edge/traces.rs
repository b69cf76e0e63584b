//! Traces, as a collector gets them and a provider is told of them.

#[path = "traces/collector.rs"]
mod collector;

use std::collections::HashMap;
use std::time::Duration;

use collector::{Collector, Manner, attributes};
use http::StatusCode;
use mock_upstream::{Config, FaultKind, MockUpstream};
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Outcome;
use serde_json::json;

use crate::binary::{Binary, SECRET};

const PROMPT: &str = "canary-prompt-4711 tell me a secret";
const COLLECTOR_KEY: &str = "canary-collector-key-4712";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

async fn provider() -> MockUpstream {
    MockUpstream::start(Config::default()).await.expect("the upstream")
}

fn traced(upstream: &MockUpstream, collector: &Collector, more: &str) -> Binary {
    let traces = format!("\n[traces]\nendpoint = \"{}\"\n{more}\n", collector.endpoint);
    Binary::start(upstream, |text| format!("{text}{traces}"))
}

/// The spans of the chats among all, by their kind and name.
fn chats(spans: &[Span]) -> Vec<&Span> {
    let servers = spans.iter().filter(|span| span.name == "POST /v1/chat/completions");
    let traces: Vec<_> = servers.map(|span| span.trace_id.clone()).collect();
    spans.iter().filter(|span| traces.contains(&span.trace_id)).collect()
}

fn named<'a>(spans: &[&'a Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "{name} among {:?}", spans.iter().map(|span| &span.name).collect::<Vec<_>>());
    found[0]
}

fn traceparent(span: &Span, sampled: u8) -> String {
    format!("00-{}-{}-{sampled:02x}", hex(&span.trace_id), hex(&span.span_id))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn lost(atelier: &Binary) -> HashMap<String, f64> {
    let answer = atelier.client.get(format!("{}/metrics", atelier.admin)).send().await.expect("answered");
    let text = answer.text().await.expect("text");
    let lines = text.lines().filter_map(|line| line.strip_prefix("atelier_trace_spans_total{outcome=\""));
    let samples = lines.map(|line| line.split_once("\"} ").expect("a sample"));
    samples.map(|(outcome, value)| (outcome.to_owned(), value.parse().expect("a number"))).collect()
}

/// Wait until so many spans ended so.
async fn until(atelier: &Binary, outcome: &str, spans: f64) {
    let wait = async {
        while lost(atelier).await.get(outcome).is_none_or(|count| *count < spans) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), wait).await.expect("in time");
}

#[tokio::test]
async fn a_chat_is_three_spans_and_its_provider_is_told_of_the_trace() {
    let (upstream, collector) = (provider().await, Collector::start(Manner::Takes).await);
    let more = format!(
        "every_ms = 10\nheaders = {{ x-collector-key = {{ value = \"{COLLECTOR_KEY}\" }} }}\n\
         resource = {{ \"deployment.environment.name\" = \"test\" }}"
    );
    let atelier = traced(&upstream, &collector, &more);
    atelier.warm().await;
    let mut told = Vec::new();
    for (id, stream) in [("whole-1", false), ("stream-1", true)] {
        upstream.reset();
        let before = collector.exports().len();
        let chat = atelier.chat(PROMPT, stream).header("x-request-id", id).send().await.expect("answered");
        assert_eq!(chat.status(), 200);
        chat.bytes().await.expect("a body");
        let is_this = |span: &Span| {
            attributes(&span.attributes).get("atelier.request.id").is_some_and(|found| found == id)
        };
        // Parts may be exported before the whole and after it.
        let is_whole = |spans: &[Span]| {
            let server = spans.iter().find(|span| is_this(span));
            server.is_some_and(|server| {
                spans.iter().filter(|span| span.trace_id == server.trace_id).count() == 3
            })
        };
        let spans = collector.spans(is_whole).await;
        assert!(collector.exports().len() > before);
        let server = spans.iter().find(|span| is_this(span)).expect("it was waited for");
        let own: Vec<_> = spans.iter().filter(|span| span.trace_id == server.trace_id).collect();
        assert_eq!(own.len(), 3, "{own:#?}");
        let (model, request) = (named(&own, "chat mock-chat"), named(&own, "POST"));
        assert_eq!(
            [server.kind(), model.kind(), request.kind()],
            [SpanKind::Server, SpanKind::Client, SpanKind::Client]
        );
        assert!(server.parent_span_id.is_empty());
        assert_eq!((&model.parent_span_id, &request.parent_span_id), (&server.span_id, &model.span_id));
        assert!(server.start_time_unix_nano <= model.start_time_unix_nano);
        assert!(request.start_time_unix_nano < request.end_time_unix_nano);
        assert!(own.iter().all(|span| span.status.is_none() && span.flags & 1 == 1), "{own:#?}");

        let found = attributes(&server.attributes);
        for (name, expected) in [
            ("http.request.method", "POST"),
            ("http.route", "/v1/chat/completions"),
            ("http.response.status_code", "200"),
            ("url.path", "/v1/chat/completions"),
            ("url.scheme", "http"),
        ] {
            assert_eq!(found.get(name).map(String::as_str), Some(expected), "{name} of {found:?}");
        }
        let found = attributes(&model.attributes);
        for (name, expected) in [
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.provider.name", "mock"),
            ("gen_ai.request.model", "mock-chat"),
            ("gen_ai.response.model", "mock-chat"),
            ("gen_ai.response.finish_reasons", "stop"),
        ] {
            assert_eq!(found.get(name).map(String::as_str), Some(expected), "{name} of {found:?}");
        }
        for name in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
            assert!(found[name].parse::<u64>().expect("a number") > 0, "{found:?}");
        }
        let found = attributes(&request.attributes);
        let (address, port) = (upstream.address().ip().to_string(), upstream.address().port().to_string());
        for (name, expected) in [
            ("http.request.method", "POST"),
            ("http.response.status_code", "200"),
            ("server.address", &address),
            ("server.port", &port),
            ("url.scheme", "http"),
        ] {
            assert_eq!(found.get(name).map(String::as_str), Some(expected), "{name} of {found:?}");
        }
        let arrived = upstream.requests();
        assert_eq!(arrived.len(), 1);
        assert_eq!(arrived[0].header("traceparent"), Some(traceparent(request, 1).as_str()));
        told.push((id, hex(&server.trace_id)));
    }
    let exports = collector.exports();
    for export in &exports {
        assert_eq!(export.headers["content-type"], "application/x-protobuf");
        assert_eq!(export.headers["x-collector-key"], COLLECTOR_KEY);
        let bytes = String::from_utf8_lossy(&export.body);
        for secret in ["canary-prompt", SECRET, COLLECTOR_KEY, &atelier.key, "Bearer"] {
            assert!(!bytes.contains(secret), "{secret} in {bytes}");
        }
        let resource = export.request.resource_spans[0].resource.as_ref().expect("who it is of");
        let found = attributes(&resource.attributes);
        assert_eq!(
            (found["service.name"].as_str(), found["deployment.environment.name"].as_str()),
            ("atelier", "test")
        );
    }
    until(&atelier, "exported", 6.0).await;
    atelier.terminate();
    let (_, log) = atelier.ended(Duration::from_secs(60));
    for (id, trace) in told {
        let line = log.iter().find(|line| line.contains(id) && line.contains("\"message\":\"request\""));
        assert!(line.is_some_and(|line| line.contains(&trace)), "{trace} in {line:?}");
    }
}

#[tokio::test]
async fn failures_are_told_in_words_and_addresses_that_open_something_never() {
    let (upstream, collector) = (provider().await, Collector::start(Manner::Takes).await);
    let atelier = traced(&upstream, &collector, "every_ms = 10");
    atelier.warm().await;
    upstream.fault_next(FaultKind::ServerError, 1);
    let failed = atelier.chat("hi", false).send().await.expect("answered");
    assert!(failed.status().is_server_error());
    for path in ["/hooks/canary-token-4713", "/l/canary-token-4713", "/canary-token-4713?q=canary-token-4713"]
    {
        let url = format!("{}{path}", atelier.base);
        atelier.client.get(url).send().await.expect("answered");
    }
    let is_failed = |span: &Span| span.status.as_ref().is_some_and(|status| status.code() == Outcome::Error);
    let are_all = |spans: &[Span]| {
        let unrouted =
            spans.iter().filter(|span| span.kind() == SpanKind::Server && !span.name.contains("chat"));
        spans.iter().filter(|span| is_failed(span)).count() >= 3 && unrouted.count() >= 3
    };
    let spans = collector.spans(are_all).await;
    let failed: HashMap<_, _> = spans
        .iter()
        .filter(|span| is_failed(span))
        .map(|span| (span.name.as_str(), attributes(&span.attributes)["error.type"].clone()))
        .collect();
    assert_eq!(failed["POST"], "500");
    assert_eq!(failed["chat mock-chat"], "reported");
    assert!(!failed["POST /v1/chat/completions"].is_empty());
    for export in collector.exports() {
        assert!(!String::from_utf8_lossy(&export.body).contains("canary-token"));
    }
}

#[tokio::test]
async fn a_trusted_caller_s_trace_goes_on_and_a_malformed_one_is_ignored() {
    let (upstream, collector) = (provider().await, Collector::start(Manner::Takes).await);
    let atelier = traced(&upstream, &collector, "every_ms = 10\ntrust_callers = true\nsample_ratio = 0.0");
    atelier.warm().await;
    upstream.reset();
    let ask = async |parent: &str| {
        let chat = atelier.chat("hi", false).header("traceparent", parent).header("tracestate", "us=1");
        assert_eq!(chat.send().await.expect("answered").status(), 200);
        let arrived = upstream.requests();
        let last = arrived.last().expect("one came");
        assert_eq!(last.header("tracestate"), None, "it is the caller's, and no provider's");
        last.header("traceparent").expect("told").to_owned()
    };
    let told = ask(&format!("00-{TRACE}-{PARENT}-01")).await;
    assert!(told.contains(TRACE) && told.ends_with("-01") && !told.contains(PARENT), "{told}");
    let unrecorded = ask(&format!("00-{TRACE}-{PARENT}-00")).await;
    assert!(unrecorded.contains(TRACE) && unrecorded.ends_with("-00"), "{unrecorded}");
    for malformed in [
        format!("00-{}-{PARENT}-01", TRACE.to_uppercase()),
        format!("ff-{TRACE}-{PARENT}-01"),
        format!("00-{TRACE}-{PARENT}-01-more"),
        format!("00-{}-{PARENT}-01", "0".repeat(32)),
        "nonsense".to_owned(),
    ] {
        let told = ask(&malformed).await;
        assert!(!told.contains(TRACE) && told.ends_with("-00"), "{malformed}: {told}");
    }
    let spans = collector.spans(|spans| chats(spans).len() >= 3).await;
    assert_eq!(spans.len(), 3, "only what the caller records is recorded: {spans:#?}");
    let server = named(&chats(&spans), "POST /v1/chat/completions");
    assert_eq!((hex(&server.parent_span_id).as_str(), server.trace_state.as_str()), (PARENT, "us=1"));
    assert_eq!(server.flags & 0x300, 0x300, "its parent is another process'");
}

#[tokio::test]
async fn nobody_s_traceparent_is_followed_unless_the_operator_says_so() {
    let (upstream, collector) = (provider().await, Collector::start(Manner::Takes).await);
    let atelier = traced(&upstream, &collector, "every_ms = 10");
    atelier.warm().await;
    upstream.reset();
    let chat = atelier.chat("hi", false).header("traceparent", format!("00-{TRACE}-{PARENT}-00"));
    assert_eq!(chat.send().await.expect("answered").status(), 200);
    let told = upstream.requests()[0].header("traceparent").expect("told").to_owned();
    assert!(!told.contains(TRACE) && told.ends_with("-01"), "{told}");
}

#[tokio::test]
async fn without_a_collector_no_provider_is_told_of_any_trace() {
    let upstream = provider().await;
    let atelier = Binary::start(&upstream, |text| text);
    let chat = atelier.chat("hi", false).header("traceparent", format!("00-{TRACE}-{PARENT}-01"));
    assert_eq!(chat.header("tracestate", "us=1").send().await.expect("answered").status(), 200);
    for arrived in upstream.requests() {
        assert_eq!((arrived.header("traceparent"), arrived.header("tracestate")), (None, None));
    }
    assert!(lost(&atelier).await.is_empty());
}

#[tokio::test]
async fn a_job_s_steps_are_traces_linked_to_the_request_that_began_it() {
    let (upstream, collector) = (provider().await, Collector::start(Manner::Takes).await);
    let atelier = traced(&upstream, &collector, "every_ms = 10");
    atelier.warm().await;
    let wanted = json!({"model": "mock/gpt-image-1", "prompt": PROMPT, "n": 1});
    let answer = atelier.post("/v1/images/generations").json(&wanted).send().await.expect("answered");
    assert_eq!(answer.status(), 200);
    let is_server = |span: &Span| span.name == "POST /v1/images/generations";
    let is_step = |span: &Span| span.name == "generate_content gpt-image-1";
    let spans = collector.spans(|spans| spans.iter().any(is_server) && spans.iter().any(is_step)).await;
    let (server, step) = (spans.iter().find(|span| is_server(span)), spans.iter().find(|span| is_step(span)));
    let (server, step) = (server.expect("waited for"), step.expect("waited for"));
    assert_ne!(server.trace_id, step.trace_id);
    assert_eq!(step.links.len(), 1);
    assert_eq!((&step.links[0].trace_id, &step.links[0].span_id), (&server.trace_id, &server.span_id));
    assert_eq!(attributes(&step.attributes)["atelier.job.step"], "submit");
    let asked = spans.iter().find(|span| span.parent_span_id == step.span_id).expect("its request");
    let arrived = upstream.requests();
    let told: Vec<_> = arrived.iter().filter_map(|request| request.header("traceparent")).collect();
    assert!(told.contains(&traceparent(asked, 1).as_str()), "{told:?}");
    for export in collector.exports() {
        assert!(!String::from_utf8_lossy(&export.body).contains("canary-prompt"));
    }
}

#[tokio::test]
async fn a_collector_that_never_answers_delays_nobody_and_what_is_lost_is_counted() {
    let (upstream, collector) = (provider().await, Collector::start(Manner::NeverAnswers).await);
    let bounds = "every_ms = 10\ntimeout_seconds = 300\nqueue_spans = 4\nbatch_spans = 2";
    let traces = format!("\n[traces]\nendpoint = \"{}\"\n{bounds}\n", collector.endpoint);
    let atelier = Binary::start(&upstream, |text| {
        text.replace("# drain_seconds = 30 ", "drain_seconds = 1 ") + &traces
    });
    atelier.warm().await;
    collector.exports_when(|exports| !exports.is_empty()).await;
    // The export is held for longer than this test may take; nobody waits for it.
    for stream in [false, true, false, true] {
        let chat = atelier.chat("hi", stream).send().await.expect("answered");
        assert_eq!(chat.status(), 200);
        chat.bytes().await.expect("a body");
    }
    until(&atelier, "dropped", 8.0).await;
    assert_eq!(lost(&atelier).await["exported"], 0.0);
    atelier.terminate();
    let (status, log) = atelier.ended(Duration::from_secs(60));
    assert_eq!(status.code(), Some(0), "{log:?}");
    assert!(log.iter().any(|line| line.contains("spans were not sent before the end")), "{log:#?}");
}

#[tokio::test]
async fn what_a_collector_refuses_is_tried_again_where_that_helps_and_said_once() {
    let unavailable = Manner::Answers(StatusCode::SERVICE_UNAVAILABLE);
    let (upstream, collector) = (provider().await, Collector::start(unavailable).await);
    let atelier = traced(&upstream, &collector, "every_ms = 10");
    atelier.warm().await;
    collector.exports_when(|exports| exports.len() >= 2).await;
    let refused = collector.exports();
    assert_eq!(refused[0].body, refused[1].body, "the same again");
    collector.behave(Manner::Takes);
    collector.spans(|spans| !chats(spans).is_empty()).await;
    collector.behave(Manner::Rejects(1));
    atelier.warm().await;
    until(&atelier, "rejected", 1.0).await;
    // Not to be tried again (OTLP/HTTP, Failures).
    collector.behave(Manner::Answers(StatusCode::BAD_REQUEST));
    atelier.warm().await;
    until(&atelier, "failed", 1.0).await;
    until(&atelier, "exported", 1.0).await;
    atelier.terminate();
    let (_, log) = atelier.ended(Duration::from_secs(60));
    let said = log.iter().filter(|line| line.contains("does not take spans")).count();
    assert_eq!(said, 2, "once for each time that it began: {log:#?}");
}

#[tokio::test]
async fn what_waits_is_sent_before_the_server_ends() {
    let (upstream, collector) = (provider().await, Collector::start(Manner::Takes).await);
    let atelier = traced(&upstream, &collector, "every_ms = 60000");
    atelier.warm().await;
    assert!(collector.exports().is_empty());
    atelier.terminate();
    let (status, log) = atelier.ended(Duration::from_secs(60));
    assert_eq!(status.code(), Some(0), "{log:?}");
    collector.spans(|spans| chats(spans).len() == 3).await;
}
