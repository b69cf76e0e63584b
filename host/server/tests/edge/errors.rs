//! Errors, as a receiver that speaks Sentry's protocol is told of them.

#[path = "errors/receiver.rs"]
mod receiver;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use http::StatusCode;
use mock_upstream::{Config, MockUpstream};
use receiver::{KEY, Manner, Receiver};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::binary::{Binary, SECRET};

const CONTENT: &str = "canary-content-4711 tell nobody";

/// A server that reports, and the path of what it cannot give: a file whose content was taken away behind its back.
struct Faulty {
    atelier: Binary,
    _upstream: MockUpstream,
    path: String,
}

impl Faulty {
    async fn start(errors: &str) -> Self {
        let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
        let atelier = Binary::start(&upstream, |text| {
            text.replace("# drain_seconds = 30 ", "drain_seconds = 1 ") + errors
        });
        let file = Part::bytes(CONTENT.as_bytes()).file_name("canary-name-4712.txt");
        let file = file.mime_str("text/plain").expect("a type");
        let form = Form::new().text("purpose", "user_data").part("file", file);
        let made = atelier.post("/v1/files").multipart(form).send().await.expect("answered");
        let made: Value = made.json().await.expect("JSON");
        let id = made["id"].as_str().expect("an id");
        std::fs::remove_file(atelier.blob(CONTENT.as_bytes())).expect("its content");
        Self { path: format!("/v1/files/{id}/content"), atelier, _upstream: upstream }
    }

    async fn reporting(receiver: &Receiver, more: &str) -> Self {
        let dsn = &receiver.dsn;
        Self::start(&format!("\n[errors]\ndsn = {{ value = \"{dsn}\" }}\n{more}\n")).await
    }

    /// Asks for it: a fault of the server.
    async fn fail(&self, id: &str) {
        let answer = self.atelier.get(&self.path).header("x-request-id", id).send().await.expect("answered");
        assert_eq!(answer.status(), 500, "{}", answer.text().await.unwrap_or_default());
    }

    async fn fail_times(&self, times: usize) {
        for time in 0..times {
            self.fail(&format!("fault-{time}")).await;
        }
    }

    /// What became of reports.
    async fn counts(&self) -> HashMap<String, u64> {
        let answer = self.atelier.client.get(format!("{}/metrics", self.atelier.admin)).send().await;
        let text = answer.expect("answered").text().await.expect("text");
        let lines =
            text.lines().filter_map(|line| line.strip_prefix("atelier_error_reports_total{outcome=\""));
        let samples = lines.map(|line| line.split_once("\"} ").expect("a sample"));
        samples.map(|(outcome, value)| (outcome.to_owned(), value.parse().expect("a number"))).collect()
    }

    async fn counts_when(&self, are_enough: impl Fn(&HashMap<String, u64>) -> bool) -> HashMap<String, u64> {
        let begun = Instant::now();
        loop {
            let counts = self.counts().await;
            if are_enough(&counts) {
                return counts;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{counts:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its log once it has ended, well.
    async fn end(self) -> Vec<String> {
        self.atelier.terminate();
        // The receiver goes on meanwhile.
        let ending = tokio::task::spawn_blocking(|| self.atelier.ended(Duration::from_secs(60)));
        let (status, log) = ending.await.expect("it ends");
        assert_eq!(status.code(), Some(0), "{log:#?}");
        log
    }
}

#[tokio::test]
async fn an_error_is_reported_with_its_request_s_id_and_nothing_of_callers() {
    let receiver = Receiver::start(Manner::TAKES).await;
    let server = Faulty::reporting(&receiver, "environment = \"test\"\nrelease = \"atelier@9\"").await;
    server.atelier.warm().await;
    let nowhere = server.atelier.get("/v1/files/nothing/content").send().await.expect("answered");
    assert_eq!(nowhere.status(), 404, "the caller's mistake");
    server.fail("canary-free-1").await;
    let envelopes = receiver.received(1).await;
    let envelope = &envelopes[0];
    assert_eq!(envelope.headers["content-type"], "application/x-sentry-envelope");
    let auth = envelope.headers["x-sentry-auth"].to_str().expect("text");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(auth, format!("Sentry sentry_version=7, sentry_client=atelier/{version}, sentry_key={KEY}"));
    let event = &envelope.event;
    assert_eq!(envelope.header["event_id"], event["event_id"]);
    for (pointer, expected) in [
        ("/level", json!("error")),
        ("/platform", json!("other")),
        ("/environment", json!("test")),
        ("/release", json!("atelier@9")),
        ("/logentry/formatted", json!("a request failed")),
        ("/tags/request_id", json!("canary-free-1")),
        ("/tags/code", json!("content_missing")),
        ("/tags/module", event["logger"].clone()),
        ("/contexts/log/request_id", json!("canary-free-1")),
    ] {
        assert_eq!(event.pointer(pointer), Some(&expected), "{pointer} of {event:#}");
    }
    assert!(event.get("server_name").is_none() && event.get("user").is_none(), "{event:#}");
    server.counts_when(|counts| counts["reported"] == 1).await;
    let key = server.atelier.key.clone();
    let told: String = receiver
        .envelopes()
        .iter()
        .map(|envelope| String::from_utf8_lossy(&envelope.body).into_owned())
        .collect();
    for secret in ["canary-content", "canary-name", "canary0dsn", "127.0.0.1", SECRET, &key] {
        assert!(!told.contains(secret), "{secret} in {told}");
    }
    // It has what the log has: no more, and the same.
    let log = server.end().await;
    assert!(!log.join("\n").contains(KEY), "{log:#?}");
    let line =
        log.iter().find(|line| line.contains("canary-free-1") && line.contains("ERROR")).expect("a line");
    let line: Value = serde_json::from_str(line).expect("JSON");
    for (name, value) in event["contexts"]["log"].as_object().expect("fields") {
        assert!(name == "place" || &line[name] == value, "{name} of {line}");
    }
}

#[tokio::test]
async fn nobody_is_told_unless_the_operator_says_whom() {
    let receiver = Receiver::start(Manner::TAKES).await;
    // All but the DSN.
    let server = Faulty::start("\n[errors]\nenvironment = \"test\"\n").await;
    server.fail_times(3).await;
    assert!(server.counts().await.is_empty());
    let log = server.end().await;
    assert_eq!(log.iter().filter(|line| line.contains("ERROR")).count(), 3, "{log:#?}");
    assert!(receiver.envelopes().is_empty());
}

#[tokio::test]
async fn a_receiver_s_limit_is_kept_to_and_what_comes_meanwhile_is_refused() {
    let limit = ("x-sentry-rate-limits", "60:transaction:key, 3600:default;error:organization");
    let receiver = Receiver::start(Manner::Answers(StatusCode::OK, Some(limit))).await;
    let server = Faulty::reporting(&receiver, "").await;
    server.fail("taken").await;
    server.counts_when(|counts| counts["reported"] == 1).await;
    server.fail_times(4).await;
    let counts = server.counts_when(|counts| counts["refused"] == 4).await;
    assert_eq!((counts["reported"], counts["dropped"], counts["failed"]), (1, 0, 0), "{counts:?}");
    assert_eq!(receiver.envelopes().len(), 1, "even where it took one");
    server.end().await;
}

#[tokio::test]
async fn a_429_is_waited_out_as_long_as_it_says_and_not_tried_again() {
    let busy = Manner::Answers(StatusCode::TOO_MANY_REQUESTS, Some(("retry-after", "2")));
    let receiver = Receiver::start(busy).await;
    let server = Faulty::reporting(&receiver, "per_minute = 10000").await;
    let begun = Instant::now();
    server.fail("refused-1").await;
    server.counts_when(|counts| counts["refused"] == 1).await;
    receiver.behave(Manner::TAKES);
    while server.counts().await["reported"] == 0 {
        assert!(begun.elapsed() < Duration::from_secs(120));
        server.fail("later").await;
        // A caller may ask for this 120 times a minute.
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(begun.elapsed() >= Duration::from_secs(2), "{:?}", begun.elapsed());
    let ids: Vec<_> =
        receiver.envelopes().iter().map(|envelope| envelope.event["tags"]["request_id"].clone()).collect();
    assert_eq!(ids.iter().filter(|id| *id == "refused-1").count(), 1, "{ids:?}");
    assert!(ids[1..].iter().all(|id| id == "later"), "{ids:?}");
    server.end().await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_holds_neither_requests_nor_the_end() {
    let receiver = Receiver::start(Manner::NeverAnswers).await;
    let server = Faulty::reporting(&receiver, "timeout_seconds = 300").await;
    server.fail("first").await;
    receiver.received(1).await;
    // The report is held for longer than this test may take; nobody waits for it.
    server.fail_times(3).await;
    server.atelier.warm().await;
    let log = server.end().await;
    let lost = log.iter().find(|line| line.contains("reports of errors were not sent before the end"));
    assert!(lost.is_some_and(|line| line.contains("\"reports\":4")), "{log:#?}");
}

#[tokio::test]
async fn more_than_may_wait_or_a_minute_may_have_is_dropped_and_counted() {
    let receiver = Receiver::start(Manner::NeverAnswers).await;
    let server = Faulty::reporting(&receiver, "timeout_seconds = 300\nqueue_reports = 2").await;
    server.fail("first").await;
    receiver.received(1).await;
    server.fail_times(5).await;
    assert_eq!(server.counts().await["dropped"], 3);
    server.end().await;
    let receiver = Receiver::start(Manner::TAKES).await;
    let server = Faulty::reporting(&receiver, "per_minute = 2").await;
    server.fail_times(5).await;
    let counts = server.counts_when(|counts| counts["reported"] == 2).await;
    assert_eq!(counts["dropped"], 3, "{counts:?}");
    server.end().await;
}

#[tokio::test]
async fn what_cannot_be_told_is_tried_again_and_the_reporter_never_reports_itself() {
    let receiver = Receiver::start(Manner::Answers(StatusCode::SERVICE_UNAVAILABLE, None)).await;
    let server = Faulty::reporting(&receiver, "").await;
    server.fail("unavailable").await;
    let envelopes = receiver.received(2).await;
    assert_eq!(envelopes[0].event, envelopes[1].event, "the same again");
    receiver.behave(Manner::TAKES);
    server.counts_when(|counts| counts["reported"] == 1).await;
    receiver.behave(Manner::Answers(StatusCode::BAD_REQUEST, None));
    let before = receiver.envelopes().len();
    server.fail("unwanted").await;
    server.counts_when(|counts| counts["refused"] == 1).await;
    assert_eq!(receiver.envelopes().len(), before + 1, "it would be refused again");
    let told = receiver.envelopes();
    assert!(told.iter().all(|envelope| envelope.event["tags"]["request_id"].is_string()), "{told:#?}");
    let log = server.end().await;
    let said = log.iter().filter(|line| line.contains("the receiver of error reports does not take")).count();
    assert_eq!(said, 2, "once for each time that it began: {log:#?}");
}

#[tokio::test]
async fn what_waits_is_reported_before_the_server_ends() {
    let receiver = Receiver::start(Manner::NeverAnswers).await;
    let server = Faulty::reporting(&receiver, "timeout_seconds = 300").await;
    server.fail("waiting-1").await;
    receiver.received(1).await;
    server.fail("waiting-2").await;
    assert_eq!(receiver.envelopes().len(), 1);
    receiver.behave(Manner::TAKES);
    server.end().await;
    let told = receiver.envelopes();
    let ids: Vec<_> = told.iter().map(|envelope| envelope.event["tags"]["request_id"].clone()).collect();
    assert_eq!(ids, ["waiting-1", "waiting-1", "waiting-2"]);
    assert_eq!(
        told[0].event["event_id"], told[1].event["event_id"],
        "the receiver can tell that it is the same"
    );
}
