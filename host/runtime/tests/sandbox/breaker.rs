//! Breakers: a plugin that keeps falling is left alone for a while.

use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::failure::ProviderError;
use atelier_domain::provider::{BreakerState, Provider as _};
use atelier_domain::time::Clock;
use atelier_runtime::Compiler;

use crate::clock::StoppedClock;
use crate::support::{Host, assert_good, chat, profile};
use crate::upstream::{Script, Upstream, response};

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
    assert!(asked.elapsed() < Duration::from_millis(50), "refused at once");
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
