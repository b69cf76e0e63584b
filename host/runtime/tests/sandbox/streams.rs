//! Live streams: they end when their caller leaves, and never pretend to have ended well.

use std::time::{Duration, Instant};

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::chat::ChatEvent;
use atelier_runtime::Profile;
use futures::StreamExt as _;

use crate::support::{Host, assert_good, chat, profile, start};
use crate::upstream::{Script, Upstream, chunk, chunked_head, response};

fn beginning() -> Vec<u8> {
    [chunked_head(), chunk(b"data: one\n\n"), chunk(b"data: two\n\n")].concat()
}

/// Reads until the text `two` has come.
async fn until_two(stream: &mut atelier_domain::provider::EventStream<ChatEvent>) {
    loop {
        let batch = stream.next().await.expect("more to come").expect("no error yet");
        if batch.iter().any(|event| matches!(event, ChatEvent::Text(text) if text == "two")) {
            return;
        }
    }
}

#[tokio::test]
async fn a_stream_dropped_by_its_caller_closes_the_upstream_connection_at_once() {
    let upstream = Upstream::start([("/stream", Script::ThenSilence(beginning()))]).await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    let mut stream = start(&provider, "relay", "/stream");
    until_two(&mut stream).await;
    let dropped = Instant::now();
    drop(stream);
    let left = upstream.client_left().await;
    assert!(left - dropped < Duration::from_millis(100), "it took {:?}", left - dropped);
    assert_good(&provider).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_dropped_before_its_answer_began_closes_the_connection_too() {
    let upstream = Upstream::start([("/stream", Script::ThenSilence(Vec::new()))]).await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    let mut stream = start(&provider, "relay", "/stream");
    while upstream.arrived().is_empty() {
        // Polling drives the call; there is nothing to receive yet.
        assert!(tokio::time::timeout(Duration::from_millis(5), stream.next()).await.is_err());
    }
    let dropped = Instant::now();
    drop(stream);
    let left = upstream.client_left().await;
    assert!(left - dropped < Duration::from_millis(100), "it took {:?}", left - dropped);
}

#[tokio::test]
async fn a_call_dropped_in_the_slow_lane_closes_its_connection_too() {
    let upstream = Upstream::start([("/silent", Script::ThenSilence(chunked_head()))]).await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    let mut stream = start(&provider, "think-then-fetch", "/silent");
    while upstream.arrived().is_empty() {
        assert!(tokio::time::timeout(Duration::from_millis(5), stream.next()).await.is_err());
    }
    drop(stream);
    // The lane's threads have the lowest claim on the processor, so that this has no bound of its own.
    upstream.client_left().await;
    assert_good(&provider).await;
}

#[tokio::test]
async fn a_connection_dialed_for_a_call_in_the_slow_lane_serves_the_fast_ones_too() {
    let upstream = Upstream::start([("/small", Script::Answer(response("200 OK", "", b"small")))]).await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    assert_eq!(chat(&provider, "think-then-fetch", "/small").await.expect_text(), "small");
    let error = chat(&provider, "read-everything", "/small").await.expect_error();
    assert!(error.to_string().contains("it got all 5 bytes"), "{error}");
    assert_eq!((upstream.arrived().len(), upstream.connections()), (2, 1));
}

#[tokio::test]
async fn a_good_stream_arrives_whole_and_finished() {
    let script = Script::Answer([beginning(), chunk(b"data: [DONE]\n\n"), chunk(b"")].concat());
    let upstream = Upstream::start([("/stream", script)]).await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    assert_eq!(chat(&provider, "relay", "/stream").await.expect_text(), "onetwo");
}

#[tokio::test]
async fn a_call_that_only_waits_for_its_upstream_never_enters_the_slow_lane() {
    let pieces = [beginning(), chunk(b"data: three\n\n"), [chunk(b"data: [DONE]\n\n"), chunk(b"")].concat()];
    let script = Script::Pieces(pieces.to_vec(), Duration::from_millis(20));
    let upstream = Upstream::start([("/slow", script)]).await;
    let host = Host::new(Profile { slow_lane_calls: 0, ..profile() });
    let provider = host.instance(&upstream.address);
    assert_eq!(chat(&provider, "relay", "/slow").await.expect_text(), "onetwothree");
}

#[tokio::test]
async fn a_connection_cut_in_mid_stream_is_an_error_and_never_a_finish() {
    let upstream = Upstream::start([
        ("/cut", Script::ThenBreak(beginning())),
        ("/cut-in-chunk", Script::ThenBreak([beginning(), b"20\r\ndata: thr".to_vec()].concat())),
        (
            "/cut-by-length",
            Script::ThenBreak(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ndata: two\n\n".to_vec()),
        ),
    ])
    .await;
    let host = Host::new(profile());
    for path in ["/cut", "/cut-in-chunk", "/cut-by-length"] {
        let provider = host.instance(&upstream.address);
        let outcome = chat(&provider, "relay", path).await;
        assert!(outcome.text().ends_with("two"), "what came before is delivered: {path}");
        assert!(!outcome.finished(), "{path}");
        match outcome.expect_error() {
            ProviderError::Reported { failure, .. } => {
                assert_eq!(failure.code, FailureCode::Unavailable, "{path}")
            }
            error => panic!("{path}: {error}"),
        }
    }
}

#[tokio::test]
async fn a_stream_that_ends_cleanly_in_the_middle_is_an_error_too() {
    let upstream = Upstream::start([("/short", Script::Answer([beginning(), chunk(b"")].concat()))]).await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    let outcome = chat(&provider, "relay", "/short").await;
    assert!(!outcome.finished());
    let error = outcome.expect_error();
    assert!(
        matches!(&error, ProviderError::Reported { failure, .. } if failure.code == FailureCode::BadResponse),
        "{error}"
    );
}
