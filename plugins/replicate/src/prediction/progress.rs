//! How far a model has come, as far as its logs tell plainly: the last `NN%` of a progress bar.

/// Only the logs' end is looked at, in bytes.
const LOOKED_AT: usize = 4 * 1024;

/// The last percentage in the logs, as a part of 1.
pub fn last(logs: &str) -> Option<f64> {
    let start = logs.len().saturating_sub(LOOKED_AT);
    let mut rest = &logs.as_bytes()[start..];
    while let Some(at) = rest.iter().rposition(|byte| *byte == b'%') {
        rest = &rest[..at];
        if let Some(percent) = number(rest) {
            return Some(percent / 100.0);
        }
    }
    None
}

/// The whole number, 0 to 100, that a line ends with, standing alone.
fn number(text: &[u8]) -> Option<f64> {
    let digits = text.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, digits) = text.split_at(text.len() - digits);
    let stands_alone = before.last().is_none_or(|byte| byte.is_ascii_whitespace() || b":([".contains(byte));
    if !stands_alone || digits.len() > 3 {
        return None;
    }
    let percent: u8 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    (percent <= 100).then_some(f64::from(percent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_plain_percentage_counts() {
        assert_eq!(
            last("Using seed: 7\n  0%|          | 0/20\r 45%|████▌     | 9/20 [00:01<00:01]"),
            Some(0.45)
        );
        assert_eq!(last("progress:100%\n"), Some(1.0));
        assert_eq!(last(" 30% done, guidance at x3.5% and 250% zoom"), Some(0.3));
    }

    #[test]
    fn other_logs_tell_nothing() {
        for logs in ["", "working\n", "100 of 200", "%", "a5%", "999%", "12.5%", "1000%"] {
            assert_eq!(last(logs), None, "{logs}");
        }
        let old = format!("50%{}", "x".repeat(LOOKED_AT));
        assert_eq!(last(&old), None);
        // The cut may fall within a character.
        assert_eq!(last(&format!("{}10%", "█".repeat(LOOKED_AT))), None);
    }
}
