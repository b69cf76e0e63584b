//! For how long a receiver takes no more reports (<https://develop.sentry.dev/sdk/expected-features/rate-limiting/>).

use std::time::Duration;

use atelier_domain::time::Timestamp;
use atelier_runtime::retry_after;
use http::{HeaderMap, StatusCode};

const RATE_LIMITS: &str = "x-sentry-rate-limits";
/// Where it says that there is a limit, and not for how long.
const USUAL: Duration = Duration::from_secs(60);
/// However long it says.
const MAX: Duration = Duration::from_secs(24 * 3600);

/// What an answer asks for, whatever its status. `Retry-After` counts only where the limits by category are not told.
pub(super) fn pause(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let mut told = headers.get_all(RATE_LIMITS).iter().peekable();
    let pause = if told.peek().is_some() {
        let limits = told.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(','));
        limits.filter_map(limit).max()
    } else {
        (status == StatusCode::TOO_MANY_REQUESTS).then(|| retry_after(headers, now).unwrap_or(USUAL))
    };
    pause.map(|pause| pause.min(MAX))
}

/// How long one limit, `SECONDS:CATEGORIES:…`, stands, if it is for errors: `error`, or no category, which is all.
fn limit(text: &str) -> Option<Duration> {
    let mut parts = text.split(':').map(str::trim);
    let seconds = parts.next()?;
    let categories = parts.next().unwrap_or_default();
    let is_ours = categories.is_empty() || categories.split(';').any(|category| category.trim() == "error");
    let seconds = seconds.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    is_ours.then(|| seconds.unwrap_or(USUAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paused(status: u16, headers: &[(&'static str, &'static str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| {
            (http::HeaderName::from_static(name), http::HeaderValue::from_static(value))
        });
        let status = StatusCode::from_u16(status).expect("a status");
        pause(status, &headers.collect(), Timestamp(0)).map(|pause| pause.as_secs())
    }

    #[test]
    fn limits_of_errors_and_of_everything_count_and_those_of_others_do_not() {
        for (limits, expected) in [
            ("60:transaction:key, 2700:default;error;security:organization", Some(2700)),
            ("60::organization, 270::organization", Some(270)),
            ("60:transaction:key", None),
            ("5", Some(5)),
            ("soon:error", Some(60)),
            ("-1:error", Some(60)),
            ("nan:error:x", Some(60)),
            ("1e300::", Some(60)),
            ("999999999::", Some(24 * 3600)),
            ("", Some(60)),
        ] {
            assert_eq!(paused(200, &[(RATE_LIMITS, limits)]), expected, "{limits}");
            let both = paused(429, &[(RATE_LIMITS, limits), ("retry-after", "7")]);
            assert_eq!(both, expected, "{limits} before retry-after");
        }
    }

    #[test]
    fn retry_after_counts_of_a_429_alone_and_a_minute_where_nothing_is_said() {
        assert_eq!(paused(429, &[("retry-after", "7")]), Some(7));
        assert_eq!(paused(429, &[]), Some(60));
        assert_eq!(paused(200, &[("retry-after", "7")]), None);
        assert_eq!(paused(503, &[("retry-after", "7")]), None);
    }
}
