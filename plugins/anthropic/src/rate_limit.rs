//! The `anthropic-ratelimit-*` headers (<https://platform.claude.com/docs/en/api/rate-limits#response-headers>).

use atelier_plugin_sdk::Pair;
use atelier_plugin_sdk::quota::Window;
use std::time::UNIX_EPOCH;

/// More windows than this in one response are not looked at.
const WINDOWS_MAX: usize = 8;

/// The windows that `anthropic-ratelimit-{requests,tokens,input-tokens,…}-{limit,remaining,reset}` describe. A reset is a time
/// (RFC 3339); the clock is asked only if there is one.
pub fn windows(headers: &[Pair], now_ms: impl Fn() -> u64) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for header in headers {
        let Some((what, field)) =
            header.name.strip_prefix("anthropic-ratelimit-").and_then(|rest| rest.rsplit_once('-'))
        else {
            continue;
        };
        if !matches!(field, "limit" | "remaining" | "reset") {
            continue;
        }
        let at = match windows.iter().position(|window| window.what == what) {
            Some(at) => at,
            None if windows.len() < WINDOWS_MAX => {
                windows.push(Window { what: what.to_owned(), limit: None, remaining: None, reset_ms: None });
                windows.len() - 1
            }
            None => continue,
        };
        let value = header.value.trim();
        match field {
            "limit" => windows[at].limit = value.parse().ok(),
            "remaining" => windows[at].remaining = value.parse().ok(),
            _ => windows[at].reset_ms = unix_ms(value).map(|reset| reset.saturating_sub(now_ms())),
        }
    }
    windows
        .retain(|window| window.limit.is_some() || window.remaining.is_some() || window.reset_ms.is_some());
    windows
}

/// How long until every empty window is full again.
pub fn wait_ms(windows: &[Window]) -> Option<u64> {
    windows.iter().filter(|window| window.remaining == Some(0)).filter_map(|window| window.reset_ms).max()
}

/// Milliseconds since 1970 of an RFC 3339 time.
pub fn unix_ms(time: &str) -> Option<u64> {
    let time = humantime::parse_rfc3339_weak(time).ok()?;
    u64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_plugin_sdk::pair;

    const NOW_MS: u64 = 1_767_225_600_000; // 2026-01-01T00:00:00Z

    fn headers() -> Vec<Pair> {
        vec![
            pair("request-id", "req_1"),
            pair("anthropic-ratelimit-requests-limit", "4000"),
            pair("anthropic-ratelimit-requests-remaining", "3999"),
            pair("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:01Z"),
            pair("anthropic-ratelimit-input-tokens-limit", "2000000"),
            pair("anthropic-ratelimit-input-tokens-remaining", "0"),
            pair("anthropic-ratelimit-input-tokens-reset", "2026-01-01T00:01:00Z"),
            pair("anthropic-ratelimit-unified-status", "allowed"),
        ]
    }

    #[test]
    fn headers_become_windows() {
        let found = windows(&headers(), || NOW_MS);
        let [requests, input] = found.as_slice() else { panic!("two windows, not {found:?}") };
        assert_eq!(
            (requests.what.as_str(), requests.limit, requests.remaining, requests.reset_ms),
            ("requests", Some(4000), Some(3999), Some(1_000))
        );
        assert_eq!(
            (input.what.as_str(), input.limit, input.remaining, input.reset_ms),
            ("input-tokens", Some(2_000_000), Some(0), Some(60_000))
        );
        assert_eq!(wait_ms(&found), Some(60_000));
        assert_eq!(wait_ms(&found[..1]), None);
    }

    #[test]
    fn a_reset_that_has_passed_is_now_and_one_that_is_no_time_is_none() {
        let reset = |value: &str| windows(&[pair("anthropic-ratelimit-tokens-reset", value)], || NOW_MS);
        assert_eq!(reset("2025-12-31T23:59:59Z")[0].reset_ms, Some(0));
        assert!(reset("soon").is_empty());
    }

    #[test]
    fn windows_are_bounded() {
        let headers: Vec<Pair> =
            (0..100).map(|n| pair(format!("anthropic-ratelimit-w{n}-limit"), "1")).collect();
        assert_eq!(windows(&headers, || 0).len(), WINDOWS_MAX);
    }
}
