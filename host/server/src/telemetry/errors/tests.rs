use atelier_domain::plugin::SecretValue;
use atelier_runtime::egress::HostPattern;
use serde_json::Value;
use tracing::Dispatch;
use tracing_subscriber::layer::SubscriberExt as _;
use url::Url;

use super::*;

const PROMPT: &str = "canary-prompt-4711 täll me";

fn config(queue_max: usize, per_minute_max: u32) -> Errors {
    Errors {
        endpoint: Url::parse("http://127.0.0.1:9/api/42/envelope/").expect("a URL"),
        host: HostPattern::parse("127.0.0.1:9").expect("a host"),
        key: SecretValue::new("canary-key"),
        environment: "test".to_owned(),
        release: "atelier@9".to_owned(),
        timeout: Duration::from_secs(1),
        queue_max,
        per_minute_max,
    }
}

fn queue(queue_max: usize, per_minute_max: u32) -> Arc<ErrorQueue> {
    ErrorQueue::new(config(queue_max, per_minute_max), ErrorCounts::new().expect("a good name"))
}

/// What is gathered of what is said meanwhile.
fn gathered(say: impl FnOnce()) -> Vec<ErrorReport> {
    let queue = queue(100, 100);
    let layer = ErrorLayer { queue: queue.clone() };
    tracing::dispatcher::with_default(&Dispatch::new(tracing_subscriber::registry().with(layer)), say);
    std::iter::from_fn(|| queue.take()).collect()
}

fn report(message: &str) -> ErrorReport {
    ErrorReport {
        id: uuid::Uuid::now_v7(),
        time: Timestamp(0),
        target: "atelier_service::jobs",
        place: None,
        message: message.to_owned(),
        fields: Vec::new(),
    }
}

/// The three lines of an envelope with one event.
fn lines(report: &ErrorReport) -> [Value; 3] {
    let bytes = envelope::envelope(report, &config(1, 1), Timestamp(1_000));
    let text = String::from_utf8(bytes).expect("text");
    let lines: Vec<_> = text.split_terminator('\n').collect();
    let [header, item, event] = lines[..] else { panic!("{lines:?}") };
    let read = |line| serde_json::from_str::<Value>(line).expect("JSON");
    assert_eq!(read(item)["length"], event.len(), "in bytes");
    [header, item, event].map(read)
}

#[test]
fn only_errors_of_our_own_are_gathered_each_with_what_its_line_says() {
    let found = gathered(|| {
        tracing::warn!("not bad enough");
        tracing::error!(target: "plugin", "{PROMPT}");
        tracing::error!(target: "hyper::client", "{PROMPT}");
        tracing::error!(target: "atelier_server::telemetry::errors::send", "about the reporter itself");
        let error = std::io::Error::other("worn");
        tracing::error!(target: "atelier_storage", request_id = "r-1", code = 7, %error, "the disk is {}", "worn");
    });
    let [report] = &found[..] else { panic!("{found:?}") };
    assert_eq!((report.target, report.message.as_str()), ("atelier_storage", "the disk is worn"));
    let fields: Vec<_> = report.fields.iter().map(|(name, text)| (*name, text.as_str())).collect();
    assert_eq!(fields, [("request_id", "r-1"), ("code", "7"), ("error", "worn")]);
    assert!(report.place.is_some_and(|(file, _)| file.ends_with("tests.rs")));
}

#[test]
fn texts_are_as_long_as_they_may_be() {
    let long = "ä".repeat(100_000);
    let found = gathered(|| tracing::error!(target: "atelier", long, "{long}"));
    assert_eq!(found[0].message.chars().count(), 8192);
    assert_eq!(found[0].fields[0].1.chars().count(), 2048);
}

#[test]
fn panics_are_told_with_their_place_and_only_words_of_the_source() {
    log_panics();
    let found = gathered(|| {
        // In the middle of the `ä`.
        let quoting = || assert!(PROMPT.get(..21).is_some(), "no boundary in {PROMPT}");
        std::panic::catch_unwind(quoting).expect_err("it quotes what was sent");
        std::panic::catch_unwind(|| panic!("words of the source")).expect_err("it is said");
    });
    let [quoting, literal] = &found[..] else { panic!("{found:?}") };
    let [_, _, event] = lines(quoting);
    assert!(!event.to_string().contains("canary"), "{event}");
    let [_, _, event] = lines(literal);
    let exception = &event["exception"]["values"][0];
    assert_eq!((&exception["type"], &exception["value"]), (&"panic".into(), &"words of the source".into()));
    let frame = &exception["stacktrace"]["frames"][0];
    assert!(
        frame["filename"].as_str().is_some_and(|file| file.ends_with("telemetry/errors/tests.rs")),
        "{event}"
    );
    assert!(frame["lineno"].as_u64().is_some_and(|line| line > 1), "{event}");
    assert_eq!(event["level"], "error");
}

#[test]
fn an_envelope_is_a_header_an_item_and_an_event_that_names_no_machine() {
    let fields = vec![("request_id", "r\n-1".to_owned()), ("error", "worn\nout".to_owned())];
    let report = ErrorReport { fields, place: Some(("a.rs", 7)), ..report("several\nlines — ä") };
    let [header, item, event] = lines(&report);
    let id = header["event_id"].as_str().expect("text");
    assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    assert_eq!(header["sent_at"], "1970-01-01T00:00:01.000Z");
    assert_eq!(item["type"], "event");
    assert_eq!(
        (&event["event_id"], &event["timestamp"]),
        (&header["event_id"], &"1970-01-01T00:00:00.000Z".into())
    );
    assert_eq!(event["logentry"]["formatted"], "several\nlines — ä");
    assert_eq!((&event["release"], &event["environment"]), (&"atelier@9".into(), &"test".into()));
    assert_eq!(event["tags"], serde_json::json!({"request_id": "r -1", "module": "atelier_service::jobs"}));
    assert_eq!(
        event["contexts"]["log"],
        serde_json::json!({"request_id": "r\n-1", "error": "worn\nout", "place": "a.rs:7"})
    );
    let coded = ErrorReport { fields: vec![("code", "internal_error".to_owned())], ..report.clone() };
    let [_, _, coded] = lines(&coded);
    assert_eq!(coded["fingerprint"], serde_json::json!(["{{ default }}", "internal_error"]), "its own group");
    for absent in ["server_name", "user", "request", "fingerprint"] {
        assert!(event.get(absent).is_none(), "{absent}");
    }
}

#[test]
fn what_is_too_much_at_once_or_in_a_minute_is_dropped_and_counted() {
    let (queue, begun) = (queue(2, 3), Instant::now());
    for _ in 0..3 {
        queue.add(report("a"), begun);
    }
    assert_eq!(queue.counts.dropped.get(), 1, "two may wait");
    while queue.take().is_some() {}
    for _ in 0..2 {
        queue.add(report("b"), begun + Duration::from_secs(59));
    }
    assert_eq!((queue.counts.dropped.get(), queue.lock().reports.len()), (2, 1), "three in a minute");
    queue.add(report("c"), begun + MINUTE);
    assert_eq!((queue.counts.dropped.get(), queue.lock().reports.len()), (2, 2), "another minute");
}
