//! Each limit ends the call that reaches it, says which it was, and touches nobody else.

use std::time::{Duration, Instant};

use atelier_domain::failure::{Limit, ProviderError};
use atelier_domain::generation::empty_object;
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::provider::Provider as _;
use atelier_runtime::{Package, Profile};
use futures::StreamExt as _;

use crate::support::{self, Host, assert_good, built, chat, collect, context, profile, question};
use crate::upstream::{Script, Upstream, chunked_head, response};

/// Runs an attack, asserts that it ends by `limit`, and that the next call is none the worse.
async fn assert_limit(profile: Profile, upstream: &Upstream, model: &str, argument: &str, limit: Limit) {
    let host = Host::new(profile);
    let provider = host.instance(&upstream.address);
    assert_good(&provider).await;
    let error = chat(&provider, model, argument).await.expect_error();
    match &error {
        ProviderError::LimitReached { limit: reached, budget, .. } => {
            assert_eq!(*reached, limit, "{error}");
            assert!(!budget.is_empty());
        }
        _ => panic!("{error}"),
    }
    assert_good(&provider).await;
}

async fn upstream() -> Upstream {
    Upstream::start([
        ("/small", Script::Answer(response("200 OK", "", b"small"))),
        ("/giant", Script::Zeros(1 << 30)),
        (
            "/drip",
            Script::Pieces(
                std::iter::once(chunked_head()).chain(drops()).collect(),
                Duration::from_millis(200),
            ),
        ),
    ])
    .await
}

fn drops() -> impl Iterator<Item = Vec<u8>> {
    std::iter::repeat_n(crate::upstream::chunk(b"."), 100)
}

#[tokio::test]
async fn a_guest_that_never_returns_is_stopped_by_its_cpu_time() {
    assert_limit(profile(), &upstream().await, "endless-loop", "", Limit::CpuTime).await;
}

#[tokio::test]
async fn a_guest_that_only_calls_the_host_is_stopped_by_its_cpu_time() {
    assert_limit(profile(), &upstream().await, "endless-host-calls", "", Limit::CpuTime).await;
}

#[tokio::test]
async fn a_guest_that_calls_the_host_too_often_is_stopped() {
    let profile = Profile { host_calls: 1_000, ..profile() };
    assert_limit(profile, &upstream().await, "endless-host-calls", "", Limit::HostCalls).await;
}

#[tokio::test]
async fn a_guest_that_hoards_memory_is_stopped() {
    assert_limit(profile(), &upstream().await, "memory-bomb", "", Limit::Memory).await;
}

#[tokio::test]
async fn a_guest_that_recurses_without_end_is_stopped() {
    assert_limit(profile(), &upstream().await, "deep-recursion", "", Limit::Stack).await;
}

#[tokio::test]
async fn a_guest_that_floods_the_log_is_stopped() {
    assert_limit(profile(), &upstream().await, "log-flood", "", Limit::LogBytes).await;
}

#[tokio::test]
async fn a_guest_that_floods_the_blob_store_is_stopped() {
    let profile = Profile { blob_bytes: 2 << 20, ..profile() };
    assert_limit(profile, &upstream().await, "blob-flood", "", Limit::BlobBytes).await;
}

#[tokio::test]
async fn a_guest_that_hoards_handles_is_stopped() {
    assert_limit(profile(), &upstream().await, "handle-flood", "", Limit::Handles).await;
}

#[tokio::test]
async fn a_guest_that_hands_the_host_a_giant_list_is_stopped() {
    assert_limit(profile(), &upstream().await, "host-call-memory", "", Limit::HostCallMemory).await;
}

#[tokio::test]
async fn a_guest_that_holds_too_many_answers_open_is_stopped() {
    let upstream = upstream().await;
    assert_limit(profile(), &upstream, "open-requests", "/small", Limit::OpenRequests).await;
    assert_eq!(upstream.arrived().len(), 4, "the fifth never left");
}

#[tokio::test]
async fn a_guest_that_sends_too_many_requests_is_stopped() {
    let upstream = upstream().await;
    assert_limit(profile(), &upstream, "many-requests", "/small", Limit::OpenRequests).await;
    assert_eq!(upstream.arrived().len(), 20);
}

#[tokio::test]
async fn a_guest_that_reads_a_gigabyte_is_stopped() {
    let profile = Profile { cpu: Duration::from_secs(20), ..profile() };
    assert_limit(profile, &upstream().await, "read-everything", "/giant", Limit::ResponseBytes).await;
}

#[tokio::test]
async fn speech_that_is_piped_through_counts_as_response_and_not_as_blob() {
    let path = "/v1/text-to-speech/v1/stream?output_format=mp3_44100_128";
    let upstream = Upstream::start([(path, Script::Zeros(16 << 20))]).await;
    let host = Host::new(Profile { blob_bytes: 1 << 10, ..profile() });
    let speak = |host: &Host| {
        let provider = host.instance_of(&upstream.address, |settings| {
            settings.file = built("elevenlabs");
            let package = Package::read(&std::fs::read(&settings.file).expect("the plugin's file"));
            let package = package.expect("a plugin");
            (settings.manifest, settings.digest) = (package.manifest, package.digest);
        });
        let request = SpeechRequest {
            model: "eleven_multilingual_v2".to_owned(),
            text: "hello".to_owned(),
            voice: "v1".to_owned(),
            format: Some("mp3".to_owned()),
            speed: None,
            instructions: None,
            language: None,
            options: empty_object(),
        };
        provider.speak(context(Duration::from_secs(30)), request)
    };
    let (mut heard, mut ended) = (0, None);
    let mut stream = speak(&host);
    while let Some(batch) = stream.next().await {
        match batch {
            Ok(events) => {
                heard += events
                    .iter()
                    .map(|event| if let SpeechEvent::Audio(bytes) = event { bytes.len() } else { 0 })
                    .sum::<usize>();
            }
            Err(error) => ended = Some(error),
        }
    }
    let error = ended.expect("16 MiB are more than the response may have");
    assert!(matches!(error, ProviderError::LimitReached { limit: Limit::ResponseBytes, .. }), "{error}");
    let max = usize::try_from(profile().response_bytes).expect("small");
    assert!(heard <= max && heard > max / 2, "{heard} of {max} bytes were passed on");
}

#[tokio::test]
async fn an_upstream_that_drips_is_ended_by_the_wall_clock() {
    let profile = Profile { wall: Duration::from_secs(1), ..profile() };
    assert_limit(profile, &upstream().await, "read-everything", "/drip", Limit::WallTime).await;
}

#[tokio::test]
async fn the_callers_own_budget_ends_a_call_before_the_profiles_wall_time() {
    let upstream = upstream().await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    let started = Instant::now();
    let stream = provider
        .clone()
        .chat(context(Duration::from_millis(300)), question("read-everything", "/drip", Vec::new()));
    let error = collect(stream).await.expect_error();
    assert!(matches!(error, ProviderError::LimitReached { limit: Limit::CallerTime, .. }), "{error}");
    assert!(started.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_guest_that_falls_is_reported_as_trapped() {
    let upstream = upstream().await;
    let host = Host::new(profile());
    let provider = host.instance(&upstream.address);
    let error = chat(&provider, "trap", "").await.expect_error();
    assert!(matches!(error, ProviderError::Trapped { .. }), "{error}");
    assert_good(&provider).await;
}

#[tokio::test]
async fn a_cache_keeps_no_more_than_its_bytes_and_drops_the_rest_silently() {
    let upstream = upstream().await;
    let host = Host::new(Profile { cpu: Duration::from_secs(5), ..profile() });
    let provider = host.instance(&upstream.address);
    let text = chat(&provider, "cache-flood", "").await.expect_text();
    let kept: usize = text.split(' ').next().and_then(|count| count.parse().ok()).expect("a count");
    // 4 MiB hold 127 entries of 32 KiB; the cache may run over while it tidies up, but never keeps all.
    assert!(kept < 500, "{text}");
    assert!(text.ends_with("too large: false"), "{text}");
}

#[tokio::test]
async fn a_full_slow_lane_refuses_further_computing_calls_without_blaming_their_plugin() {
    let upstream = upstream().await;
    let host = Host::new(Profile { slow_lane_calls: 1, cpu: Duration::from_secs(3), ..profile() });
    let provider = host.instance(&upstream.address);
    let other = host.instance(&upstream.address);
    assert_good(&provider).await;
    let spinning = tokio::spawn(collect(support::start(&provider, "endless-loop", "")));
    // The test's only thread polls it now, and its first poll ends in the slow lane.
    tokio::task::yield_now().await;
    for _ in 0..8 {
        let error = chat(&other, "think-then-fetch", "/small").await.expect_error();
        assert!(matches!(error, ProviderError::LimitReached { limit: Limit::SlowLane, .. }), "{error}");
    }
    assert_good(&other).await;
    let error = spinning.await.expect("no panic").expect_error();
    assert!(matches!(error, ProviderError::LimitReached { limit: Limit::CpuTime, .. }), "{error}");
}

#[tokio::test]
async fn many_attackers_at_once_leave_every_place_free_again() {
    let upstream = upstream().await;
    let host = Host::new(Profile { concurrent_calls: 8, cpu: Duration::from_millis(50), ..profile() });
    for _ in 0..4 {
        let mut calls = tokio::task::JoinSet::new();
        for model in
            ["endless-loop", "memory-bomb", "trap", "endless-host-calls", "log-flood", "handle-flood"]
        {
            // An instance each, so that no breaker takes part.
            let provider = host.instance(&upstream.address);
            calls.spawn(async move { chat(&provider, model, "").await });
        }
        while let Some(outcome) = calls.join_next().await {
            outcome.expect("no panic in the host").expect_error();
        }
        let mut good = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let provider = host.instance(&upstream.address);
            good.spawn(async move { assert_good(&provider).await });
        }
        while let Some(outcome) = good.join_next().await {
            outcome.expect("all eight places are free and all instances of the pool as well");
        }
    }
}
