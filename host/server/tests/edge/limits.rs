use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use mock_upstream::{Config, Fault, MockUpstream};
use serde_json::Value;

use crate::binary::Binary;

/// The provider's next answers go wrong in this way.
fn spoil(upstream: &MockUpstream, fault: &str) {
    upstream.fault_next(fault.parse::<Fault>().expect("a fault"), 1);
}

/// What a whole answer was refused with, and how long that took.
async fn refusal(atelier: &Binary) -> (u16, String, Duration) {
    let begun = Instant::now();
    let answer = atelier.chat("hi", false).send().await.expect("answered");
    let (status, took) = (answer.status().as_u16(), begun.elapsed());
    let body: Value = answer.json().await.expect("an error");
    (status, body["error"]["code"].as_str().expect("a code").to_owned(), took)
}

/// The last event of a stream that was ended.
async fn ending(atelier: &Binary, prompt: &str) -> (Value, String, Duration) {
    let begun = Instant::now();
    let text = atelier.chat(prompt, true).send().await.expect("answered").text().await.expect("a stream");
    let last = text.lines().filter_map(|line| line.strip_prefix("data: ")).next_back().expect("an event");
    (serde_json::from_str(last).unwrap_or_default(), text.clone(), begun.elapsed())
}

#[tokio::test]
async fn a_request_that_takes_too_long_is_ended() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier =
        Binary::start(&upstream, |text| text.replace("# request_seconds = 600 ", "request_seconds = 1 "));
    atelier.warm().await;
    spoil(&upstream, "slow=20000");
    let (status, code, took) = refusal(&atelier).await;
    assert_eq!((status, code.as_str()), (504, "request_timeout"));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_provider_that_does_not_begin_to_answer_is_given_up() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier =
        Binary::start(&upstream, |text| text.replace("# first_byte_seconds = 300", "first_byte_seconds = 1"));
    atelier.warm().await;
    spoil(&upstream, "slow=20000");
    let (status, code, took) = refusal(&atelier).await;
    assert_eq!((status, code.as_str()), (504, "provider_timeout"));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_provider_that_stalls_in_a_body_is_given_up() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Binary::start(&upstream, |text| text.replace("# idle_seconds = 120", "idle_seconds = 1"));
    atelier.warm().await;
    spoil(&upstream, "idle");
    let (status, code, took) = refusal(&atelier).await;
    assert_eq!((status, code.as_str()), (504, "provider_timeout"));
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[tokio::test]
async fn a_stream_whose_provider_falls_silent_ends_with_an_error_and_no_done() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Binary::start(&upstream, |text| {
        text.replace("# stream_idle_seconds = 30 ", "stream_idle_seconds = 1 ")
    });
    atelier.warm().await;
    spoil(&upstream, "drip=3000");
    let (last, text, took) = ending(&atelier, "hi").await;
    assert_eq!(last["error"]["code"], "provider_timeout", "{text}");
    assert!(!text.contains("[DONE]") && took < Duration::from_secs(15), "{took:?}: {text}");
}

#[tokio::test]
async fn a_stream_that_never_ends_is_ended_with_an_error_and_no_done() {
    let slow = Config { event_interval_ms: 200, ..Config::default() };
    let upstream = MockUpstream::start(slow).await.expect("the upstream");
    let atelier =
        Binary::start(&upstream, |text| text.replace("# stream_seconds = 600 ", "stream_seconds = 1 "));
    let (last, text, took) = ending(&atelier, &"word ".repeat(200)).await;
    assert_eq!(last["error"]["code"], "stream_timeout", "{text}");
    assert!(!text.contains("[DONE]") && took < Duration::from_secs(5), "{took:?}: {text}");
}

#[tokio::test]
async fn a_client_that_stalls_is_let_go() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Binary::start(&upstream, |text| {
        text.replace("# head_seconds = 15 ", "head_seconds = 1 ")
            .replace("# body_idle_seconds = 30 ", "body_idle_seconds = 1 ")
    });
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n".to_owned();
    let rest = format!(
        "authorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"model\":",
        atelier.key
    );
    let address = atelier.base.trim_start_matches("http://").to_owned();
    let heard = tokio::task::spawn_blocking(move || {
        [String::new(), head.clone(), head + &rest].map(|sent| {
            let begun = Instant::now();
            let mut connection = TcpStream::connect(&address).expect("connected");
            connection.set_read_timeout(Some(Duration::from_secs(20))).expect("a limit");
            connection.write_all(sent.as_bytes()).expect("sent");
            let mut heard = Vec::new();
            connection.read_to_end(&mut heard).expect("it is closed in time");
            assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
            String::from_utf8(heard).expect("text")
        })
    });
    let [nothing, half_a_head, half_a_body] = heard.await.expect("joined");
    assert_eq!(nothing, "", "who says nothing is told nothing");
    assert!(half_a_head.is_empty() || half_a_head.starts_with("HTTP/1.1 408"), "{half_a_head}");
    assert!(half_a_body.starts_with("HTTP/1.1 408") && half_a_body.contains("body_timeout"), "{half_a_body}");
}
