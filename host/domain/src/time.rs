//! Wall-clock time, and the port through which it is read so that tests can set it.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

const DAY_MS: u64 = 86_400_000;

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// Whole seconds since 1970, as OpenAI's API writes time.
    pub fn unix_seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This moment moved forward.
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The day in UTC, counted from 1970-01-01.
    pub fn day(self) -> u32 {
        u32::try_from(self.0 / DAY_MS).unwrap_or(u32::MAX)
    }

    /// The month in UTC, counted from January of the year 0.
    pub fn month(self) -> u32 {
        let (year, month, _) = civil_from_days(self.0 / DAY_MS);
        u32::try_from(year * 12 + month - 1).unwrap_or(u32::MAX)
    }

    /// When the next day begins in UTC.
    pub fn next_day(self) -> Self {
        Self((self.0 / DAY_MS).saturating_add(1).saturating_mul(DAY_MS))
    }

    /// When the next month begins in UTC.
    pub fn next_month(self) -> Self {
        let mut next = self.next_day();
        // A month has 31 days at most.
        for _ in 0..31 {
            if next.month() != self.month() {
                break;
            }
            next = next.next_day();
        }
        next
    }

    /// RFC 3339 in UTC with milliseconds, as our own API writes time.
    pub fn rfc3339(self) -> String {
        let (days, ms) = (self.0 / DAY_MS, self.0 % DAY_MS);
        let (year, month, day) = civil_from_days(days);
        let (hour, minute, second, milli) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
    }
}

/// A day counted from 1970-01-01 as `YYYY-MM-DD`.
pub fn date_of(day: u32) -> String {
    let (year, month, day) = civil_from_days(u64::from(day));
    format!("{year:04}-{month:02}-{day:02}")
}

/// The day of a date written as `YYYY-MM-DD`, from 1970 to 9999, counted from 1970-01-01.
pub fn day_of(date: &str) -> Option<u32> {
    let well_formed = date.len() == 10
        && date
            .bytes()
            .enumerate()
            .all(|(i, byte)| if matches!(i, 4 | 7) { byte == b'-' } else { byte.is_ascii_digit() });
    if !well_formed {
        return None;
    }
    let year: u32 = date[..4].parse().ok()?;
    // The day lies in the year's span: a few hundred candidates, found by halving.
    let (mut low, mut high) = (year.checked_sub(1970)? * 365, (year - 1969) * 366);
    while low < high {
        let middle = low.midpoint(high);
        if date_of(middle).as_str() < date { low = middle + 1 } else { high = middle }
    }
    (date_of(low) == date).then_some(low)
}

/// The proleptic Gregorian date of a day counted from 1970-01-01, by counting in 400-year eras that begin in March.
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

/// Where the host reads the time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Milliseconds that never go backwards, from an arbitrary start.
    fn monotonic_ms(&self) -> u64;
}

/// The machine's own clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn monotonic_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_rfc_3339_says() {
        assert_eq!(Timestamp(0).rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp(951_782_400_123).rfc3339(), "2000-02-29T00:00:00.123Z");
        assert_eq!(Timestamp(1_795_305_600_000).rfc3339(), "2026-11-22T00:00:00.000Z");
    }
    #[test]
    fn dates_are_read_as_they_are_written() {
        for day in (0..60_000).step_by(7).chain([0, 58, 59, 60, 789, 11_016, 20_779]) {
            assert_eq!(day_of(&date_of(day)), Some(day));
        }
        for text in ["", "2026-02-29", "2026-13-01", "1969-12-31", "2026-1-01", "2026-01-0x", "２026-01-01"]
        {
            assert_eq!(day_of(text), None, "{text}");
        }
    }

    #[test]
    fn months_and_days_end_where_the_next_begin() {
        let leap = Timestamp(951_782_400_123);
        assert_eq!(leap.next_day().rfc3339(), "2000-03-01T00:00:00.000Z");
        assert_eq!(leap.next_month(), leap.next_day());
        assert_eq!(Timestamp(1_795_305_600_000).next_month().rfc3339(), "2026-12-01T00:00:00.000Z");
        assert_eq!(leap.month() + 1, leap.next_month().month());
    }
}
