//! Telling the host what the provider says of its rate limits.

pub use crate::bindings::host::atelier::provider::quota::{Window, report};
use crate::{Pair, duration};

/// More windows than this in one response are not looked at.
const WINDOWS_MAX: usize = 8;

/// Report the `x-ratelimit-*` headers of a response, if it has any. One host call, or none.
pub fn report_headers(headers: &[Pair]) {
    let found = windows(headers);
    if !found.is_empty() {
        report(&found);
    }
}

/// The windows that `x-ratelimit-{limit,remaining,reset}-{requests,tokens,…}` describe.
pub fn windows(headers: &[Pair]) -> Vec<Window> {
    let mut windows: Vec<Window> = Vec::new();
    for header in headers {
        let Some((field, what)) =
            header.name.strip_prefix("x-ratelimit-").and_then(|rest| rest.split_once('-'))
        else {
            continue;
        };
        let at = match windows.iter().position(|window| window.what == what) {
            Some(at) => at,
            None if windows.len() < WINDOWS_MAX && matches!(field, "limit" | "remaining" | "reset") => {
                windows.push(Window { what: what.to_owned(), limit: None, remaining: None, reset_ms: None });
                windows.len() - 1
            }
            None => continue,
        };
        let value = header.value.trim();
        match field {
            "limit" => windows[at].limit = value.parse().ok(),
            "remaining" => windows[at].remaining = value.parse().ok(),
            "reset" => windows[at].reset_ms = duration::parse_ms(value),
            _ => {}
        }
    }
    windows
        .retain(|window| window.limit.is_some() || window.remaining.is_some() || window.reset_ms.is_some());
    windows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair;

    #[test]
    fn rate_limit_headers_become_windows() {
        let found = windows(&[
            pair("content-type", "application/json"),
            pair("x-ratelimit-limit-requests", "60"),
            pair("x-ratelimit-limit-tokens", "150000"),
            pair("x-ratelimit-remaining-requests", "59"),
            pair("x-ratelimit-remaining-tokens", "149984"),
            pair("x-ratelimit-reset-requests", "1s"),
            pair("x-ratelimit-reset-tokens", "6m0s"),
            pair("x-ratelimit-policy-odd", "?"),
        ]);
        let [requests, tokens] = found.as_slice() else { panic!("two windows, not {found:?}") };
        assert_eq!(
            (requests.what.as_str(), requests.limit, requests.remaining, requests.reset_ms),
            ("requests", Some(60), Some(59), Some(1_000))
        );
        assert_eq!(
            (tokens.what.as_str(), tokens.limit, tokens.remaining, tokens.reset_ms),
            ("tokens", Some(150_000), Some(149_984), Some(360_000))
        );
    }

    #[test]
    fn a_response_without_rate_limits_has_no_windows() {
        assert!(windows(&[pair("x-ratelimit-limit-requests", "many"), pair("date", "today")]).is_empty());
    }

    #[test]
    fn windows_are_bounded() {
        let headers: Vec<Pair> = (0..100).map(|n| pair(format!("x-ratelimit-limit-w{n}"), "1")).collect();
        assert_eq!(windows(&headers).len(), WINDOWS_MAX);
    }
}
