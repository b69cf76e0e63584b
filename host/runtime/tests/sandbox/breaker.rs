//! Breakers: a plugin that keeps falling is left alone for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::failure::{Limit, ProviderError};
use atelier_domain::provider::{BreakerState, Provider as _};
use atelier_domain::time::Clock;
use atelier_runtime::Compiler;

use crate::clock::StoppedClock;
use crate::support::{Host, assert_good, chat, collect, context, profile, question};
use crate::upstream::{Script, Upstream, chunked_head, response};

fn stopped() -> (Host, Arc<StoppedClock>) {
    let clock = Arc::new(StoppedClock::default());
    let host = Host::with(profile(), Compiler::InProcess, Arc::clone(&clock) as Arc<dyn Clock>);
    (host, clock)
}

#[tokio::test]
async fn a_plugin_that_keeps_trapping_is_refused_at_once_until_a_trial_goes_well() {
    let upstream = Upstream::start([]).await;
    let (host, clock) = stopped();
    let (provider, neighbour) = (host.instance(&upstream.address), host.instance(&upstream.address));
    for _ in 0..5 {
        let error = chat(&provider, "trap", "").await.expect_error();
        assert!(matches!(error, ProviderError::Trapped { .. }), "{error}");
    }
    let asked = Instant::now();
    match chat(&provider, "good", "").await.expect_error() {
        ProviderError::Unavailable { retry_after: Some(wait), reason, .. } => {
            assert_eq!(wait, Duration::from_secs(30));
            assert!(reason.contains("stopped unexpectedly"), "{reason}");
        }
        error => panic!("{error}"),
    }
    assert!(asked.elapsed() < Duration::from_secs(1), "refused at once");
    assert!(matches!(provider.breaker(), BreakerState::Open { .. }));
    assert_good(&neighbour).await;

    clock.advance(Duration::from_secs(31));
    assert_eq!(provider.breaker(), BreakerState::HalfOpen);
    assert_good(&provider).await;
    assert_eq!(provider.breaker(), BreakerState::Closed);
}

#[tokio::test]
async fn an_upstream_that_keeps_failing_opens_the_breaker_and_a_callers_mistakes_do_not() {
    let upstream = Upstream::start([
        ("/broken", Script::Answer(response("500 Oops", "", b"{}"))),
        ("/wrong", Script::Answer(response("401 Wrong key", "", b"{}"))),
    ])
    .await;
    let (host, _clock) = stopped();
    let provider = host.instance(&upstream.address);
    for _ in 0..20 {
        chat(&provider, "relay", "/wrong").await.expect_error();
    }
    assert_eq!(provider.breaker(), BreakerState::Closed);
    let provider = host.instance(&upstream.address);
    for _ in 0..5 {
        let error = chat(&provider, "relay", "/broken").await.expect_error();
        assert!(matches!(error, ProviderError::Reported { .. }), "{error}");
    }
    let before = upstream.arrived().len();
    let error = chat(&provider, "relay", "/broken").await.expect_error();
    assert!(matches!(error, ProviderError::Unavailable { retry_after: Some(_), .. }), "{error}");
    assert_eq!(upstream.arrived().len(), before, "nothing was sent");
}

#[tokio::test]
async fn a_caller_in_a_hurry_says_nothing_of_the_plugin() {
    let upstream = Upstream::start([("/slow", Script::ThenSilence(chunked_head()))]).await;
    let (host, _clock) = stopped();
    let provider = host.instance(&upstream.address);
    for _ in 0..8 {
        let request = question("relay", "/slow", Vec::new());
        let call = Arc::clone(&provider).chat(context(Duration::from_millis(30)), request);
        let error = collect(call).await.expect_error();
        assert!(matches!(&error, ProviderError::LimitReached { limit: Limit::CallerTime, .. }), "{error}");
    }
    assert_eq!(provider.breaker(), BreakerState::Closed);
    assert_good(&provider).await;
}

#[tokio::test]
async fn how_long_to_wait_is_read_from_the_answer_where_the_plugin_does_not() {
    let soon = response("429 Slow down", "retry-after-ms: 1500\r\n", b"{}");
    let upstream = Upstream::start([("/busy", Script::Answer(soon))]).await;
    let (host, _clock) = stopped();
    let provider = host.instance(&upstream.address);
    match chat(&provider, "silent-on-waiting", "/busy").await.expect_error() {
        ProviderError::Reported { failure, .. } => {
            assert_eq!(failure.retry_after, Some(Duration::from_millis(1500)), "{failure:?}");
        }
        error => panic!("{error}"),
    }
}
