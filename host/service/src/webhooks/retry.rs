//! When a message that was not taken is sent again.

use std::time::Duration;

use atelier_domain::time::Timestamp;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
/// Seconds between attempts: about three days in all, after which a message is given up.
const PAUSES_S: [u64; 11] = [
    5,
    MINUTE,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    5 * HOUR,
    8 * HOUR,
    10 * HOUR,
    14 * HOUR,
    16 * HOUR,
    16 * HOUR,
];
/// How far a pause may be from what it should be, in hundredths: endpoints that fail together must not be tried together for ever.
const JITTER_PERCENT: u64 = 20;

/// The longest that an endpoint is left alone because it asks for it: as long as the longest pause.
const TOLD_MAX: Duration = Duration::from_secs(16 * HOUR);

/// When to try again after so many failures, one at least; `None`: no more. `told` is how long the endpoint asks to be left alone: it is
/// not tried sooner. `random` is any number.
pub(super) fn after(tries: u32, now: Timestamp, told: Option<Duration>, random: u64) -> Option<Timestamp> {
    let pause = PAUSES_S.get(usize::try_from(tries).ok()?.checked_sub(1)?)? * 1000;
    let spread = pause * JITTER_PERCENT / 100;
    let usual = Duration::from_millis(pause - spread + random % (2 * spread + 1));
    let Some(told) = told.map(|told| told.min(TOLD_MAX)).filter(|told| *told > usual) else {
        return Some(now.plus(usual));
    };
    // Later by some of the usual pause: those that were told the same must not come at the same time either.
    Some(now.plus(told + Duration::from_millis(random % (spread + 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_end_after_about_three_days_and_no_two_pauses_are_surely_the_same() {
        let total = |random: u64| {
            let (mut now, mut tries) = (Timestamp(0), 1);
            while let Some(at) = after(tries, now, None, random) {
                assert!(at > now);
                (now, tries) = (at, tries + 1);
            }
            (tries, Duration::from_millis(now.0))
        };
        let day = Duration::from_secs(86_400);
        let (tries, shortest) = total(0);
        assert_eq!(tries, 12);
        assert!(shortest > 2 * day, "{shortest:?}");
        let spread = |tries: u32| {
            let at = |random| after(tries, Timestamp(0), None, random).expect("again").0;
            (at(0), at(u64::MAX / 2), at(1))
        };
        for tries in 1..12 {
            let (low, some, next) = spread(tries);
            assert_eq!(next, low + 1);
            assert!(some >= low && some <= low * 3 / 2 + 1, "{tries}: {low} {some}");
        }
        let middle: u64 = PAUSES_S.iter().sum();
        assert!((70 * HOUR..=73 * HOUR).contains(&middle), "{} hours", middle / HOUR);
        assert_eq!(after(0, Timestamp(0), None, 0), None, "nothing has failed");
    }

    #[test]
    fn an_endpoint_that_asks_for_time_is_given_it_within_a_bound() {
        let at = |tries, told_s, random| {
            let told = Some(Duration::from_secs(told_s));
            after(tries, Timestamp(0), told, random).map(|at| at.0)
        };
        assert_eq!(at(1, 0, 0), Some(4_000), "no sooner than usual");
        for random in [0, 1, 999, u64::MAX] {
            assert!((600_000..=601_000).contains(&at(1, 600, random).expect("again")), "as long as it asks");
            let most = at(1, u64::MAX, random).expect("again");
            assert!((16 * HOUR * 1000..=16 * HOUR * 1000 + 1_000).contains(&most), "{most}: not for ever");
        }
        assert_eq!(at(12, 600, 0), None, "it is no reason to try without end");
    }
}
