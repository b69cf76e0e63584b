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

/// When to try again after so many failures, one at least; `None`: no more. `random` is any number.
pub(super) fn after(tries: u32, now: Timestamp, random: u64) -> Option<Timestamp> {
    let pause = PAUSES_S.get(usize::try_from(tries).ok()?.checked_sub(1)?)? * 1000;
    let spread = pause * JITTER_PERCENT / 100;
    Some(now.plus(Duration::from_millis(pause - spread + random % (2 * spread + 1))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_end_after_about_three_days_and_no_two_pauses_are_surely_the_same() {
        let total = |random: u64| {
            let (mut now, mut tries) = (Timestamp(0), 1);
            while let Some(at) = after(tries, now, random) {
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
            let at = |random| after(tries, Timestamp(0), random).expect("again").0;
            (at(0), at(u64::MAX / 2), at(1))
        };
        for tries in 1..12 {
            let (low, some, next) = spread(tries);
            assert_eq!(next, low + 1);
            assert!(some >= low && some <= low * 3 / 2 + 1, "{tries}: {low} {some}");
        }
        let middle: u64 = PAUSES_S.iter().sum();
        assert!((70 * HOUR..=73 * HOUR).contains(&middle), "{} hours", middle / HOUR);
        assert_eq!(after(0, Timestamp(0), 0), None, "nothing has failed");
    }
}
