use std::time::{Duration, Instant};

use mock_upstream::{Config, MockUpstream};

use crate::binary::Binary;

/// A provider whose streams take about this long: ten events and a few more.
async fn slow_provider(event_ms: u64) -> MockUpstream {
    let config = Config { event_interval_ms: event_ms, ..Config::default() };
    MockUpstream::start(config).await.expect("the upstream")
}

const PROMPT: &str = "one two three four five six seven eight nine ten";

#[tokio::test]
async fn a_running_stream_is_finished_before_the_server_ends_well() {
    let upstream = slow_provider(150).await;
    let atelier = Binary::start(&upstream, |text| text);
    let mut stream = atelier.chat(PROMPT, true).send().await.expect("answered");
    assert_eq!(stream.status(), 200);
    let mut text = stream.chunk().await.expect("a piece").expect("a first one").to_vec();
    atelier.terminate();
    while let Some(piece) = stream.chunk().await.expect("the stream goes on") {
        text.extend_from_slice(&piece);
    }
    let text = String::from_utf8(text).expect("text");
    assert!(text.trim_end().ends_with("data: [DONE]"), "{text}");
    assert!(text.contains("ten"), "{text}");
    let address = atelier.base.trim_start_matches("http://");
    let refused = std::net::TcpStream::connect(address).expect_err("nobody listens any more");
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    let (status, log) = atelier.ended(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "{log:?}");
}

#[tokio::test]
async fn a_stream_that_outlasts_the_deadline_is_broken_off_and_the_server_still_ends_well() {
    let upstream = slow_provider(1500).await;
    let atelier =
        Binary::start(&upstream, |text| text.replace("# drain_seconds = 30 ", "drain_seconds = 1 "));
    let mut stream = atelier.chat(PROMPT, true).send().await.expect("answered");
    let mut text = stream.chunk().await.expect("a piece").expect("a first one").to_vec();
    let told = Instant::now();
    atelier.terminate();
    // It ends by a broken connection: a clean end would pass for a whole answer.
    let broken = loop {
        match stream.chunk().await {
            Ok(Some(piece)) => text.extend_from_slice(&piece),
            Ok(None) => break false,
            Err(_) => break true,
        }
    };
    assert!(broken && !String::from_utf8_lossy(&text).contains("[DONE]"));
    let (status, log) = atelier.ended(Duration::from_secs(10));
    assert_eq!(status.code(), Some(0), "{log:?}");
    assert!(told.elapsed() >= Duration::from_secs(1) && told.elapsed() < Duration::from_secs(8));
    assert!(log.iter().any(|line| line.contains("still running when the server stopped")), "{log:?}");
}
