//! Durations as providers write them in headers.

/// Milliseconds of a duration such as `1s`, `6m0s`, `20ms`, `1h2m3.5s` or `2d`, rounded up; a bare number counts seconds.
pub fn parse_ms(text: &str) -> Option<u64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let unit_end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, next) = after.split_at(unit_end);
        let unit_ms = match unit {
            "ns" => 1e-6,
            "us" | "µs" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            "" if total == 0 && next.is_empty() => 1e3,
            "m" => 6e4,
            "h" => 3.6e6,
            "d" => 8.64e7,
            _ => return None,
        };
        total = total.saturating_add(scaled(number, unit_ms)?);
        rest = next;
    }
    Some(total)
}

/// Milliseconds of a number of seconds, rounded up.
pub fn seconds_ms(text: &str) -> Option<u64> {
    scaled(text.trim(), 1e3)
}

/// `number` units of `unit_ms`, rounded up to the millisecond. Only digits and a point: no sign, exponent, or `inf`.
fn scaled(number: &str, unit_ms: f64) -> Option<u64> {
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let value: f64 = number.parse().ok()?;
    Some((value * unit_ms).ceil() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn documented_forms_are_read() {
        for (text, ms) in [
            ("1s", 1_000),
            ("6m0s", 360_000),
            ("20ms", 20),
            ("1h2m3.5s", 3_723_500),
            ("2d", 172_800_000),
            ("0s", 0),
            ("1.2ms", 2),
            ("120µs", 1),
            ("60", 60_000),
            (" 7.66s ", 7_660),
        ] {
            assert_eq!(parse_ms(text), Some(ms), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in
            ["", " ", "s", "1x", "-1s", "1e9s", "1s5", "inf", "NaN", "..s", "1 s", "2024-01-01T00:00:00Z"]
        {
            assert_eq!(parse_ms(text), None, "{text}");
        }
        assert_eq!(seconds_ms("-1"), None);
        assert_eq!(seconds_ms("inf"), None);
    }

    proptest! {
        #[test]
        fn a_written_duration_is_read_back(hours in 0u64..100_000, minutes in 0u64..60, seconds in 0u64..60, ms in 0u64..1000) {
            let expected = ((hours * 60 + minutes) * 60 + seconds) * 1000 + ms;
            prop_assert_eq!(parse_ms(&format!("{hours}h{minutes}m{seconds}s{ms}ms")), Some(expected));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = parse_ms(&text);
        }
    }
}
