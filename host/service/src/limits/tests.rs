use std::sync::Arc;

use proptest::prelude::*;

use super::*;

fn limiter(requests: u64, seconds: u64) -> Limiter {
    Limiter::new(|_| Rate { requests, window: Duration::from_secs(seconds) })
}

#[test]
fn a_refused_caller_is_told_when_to_come_back_and_is_let_in_then() {
    let (limiter, who) = (limiter(2, 60), Subject::User(UserId::new()));
    assert_eq!(limiter.take(who, Class::Chat, 1_000).remaining, 1);
    assert_eq!(limiter.take(who, Class::Chat, 31_000).remaining, 0);
    let refused = limiter.take(who, Class::Chat, 60_999);
    assert_eq!(refused.retry_after, Some(Duration::from_millis(1)));
    assert_eq!(limiter.take(who, Class::Chat, 61_000).retry_after, None);
    assert_eq!(limiter.take(who, Class::Chat, 61_001).retry_after, Some(Duration::from_millis(29_999)));
}

#[test]
fn classes_and_callers_are_counted_apart() {
    let (limiter, alice) = (limiter(1, 60), Subject::User(UserId::new()));
    let now = 5;
    assert_eq!(limiter.take(alice, Class::Chat, now).retry_after, None);
    assert_eq!(limiter.take(alice, Class::Status, now).retry_after, None);
    assert_eq!(limiter.take(Subject::User(UserId::new()), Class::Chat, now).retry_after, None);
    assert!(limiter.take(alice, Class::Chat, now).retry_after.is_some());
}

#[test]
fn concurrent_requests_never_pass_the_limit_together() {
    let (limiter, who) = (Arc::new(limiter(100, 60)), Subject::User(UserId::new()));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let limiter = limiter.clone();
            std::thread::spawn(move || {
                (0..100).filter(|i| limiter.take(who, Class::Chat, *i).retry_after.is_none()).count()
            })
        })
        .collect();
    let passed: usize = threads.into_iter().map(|thread| thread.join().expect("no panic")).sum();
    assert_eq!(passed, 100);
}

proptest! {
    #[test]
    fn no_span_of_the_windows_length_ever_holds_more_than_the_limit(
        requests in prop_oneof![1u64..20, Just(300u64)],
        gaps in proptest::collection::vec(0u64..40, 1..1500),
    ) {
        let window = 1_000u64;
        let limiter = limiter(requests, 1);
        let who = Subject::User(UserId::new());
        let mut now = 10_000;
        let mut passed = Vec::new();
        for gap in gaps {
            now += gap;
            if limiter.take(who, Class::Chat, now).retry_after.is_none() {
                passed.push(now);
            }
        }
        for (i, first) in passed.iter().enumerate() {
            let within = passed[i..].iter().take_while(|moment| **moment < first + window).count() as u64;
            prop_assert!(within <= requests, "{within} in one window");
        }
    }
}
