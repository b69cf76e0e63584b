//! Why a call gave no result: the contract's words, and how answers and errors of HTTP become one.

use crate::bindings::host::atelier::provider::{blobs::BlobError, chat_types::Closed, http::HttpError};
use crate::{Failure, Pair, clock, duration};

/// The words that `failure.code` knows.
pub mod code {
    pub const INVALID_REQUEST: &str = "invalid-request";
    pub const UNAUTHENTICATED: &str = "unauthenticated";
    pub const FORBIDDEN: &str = "forbidden";
    pub const NOT_FOUND: &str = "not-found";
    pub const RATE_LIMITED: &str = "rate-limited";
    pub const QUOTA_EXHAUSTED: &str = "quota-exhausted";
    pub const CONTENT_REFUSED: &str = "content-refused";
    pub const TOO_LARGE: &str = "too-large";
    pub const UNSUPPORTED: &str = "unsupported";
    pub const OVERLOADED: &str = "overloaded";
    pub const UNAVAILABLE: &str = "unavailable";
    pub const TIMEOUT: &str = "timeout";
    pub const CANCELED: &str = "canceled";
    pub const BAD_RESPONSE: &str = "bad-response";
    pub const INTERNAL: &str = "internal";
}

impl Failure {
    /// A failure of one of the [`code`]s.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
            param: None,
            http_status: None,
            retry_after_ms: None,
            provider_detail: None,
        }
    }

    /// The caller has to change the field `param` of the request.
    pub fn invalid(param: impl Into<String>, message: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..Self::new(code::INVALID_REQUEST, message) }
    }

    /// Neither provider nor plugin can do this.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(code::UNSUPPORTED, message)
    }

    /// There is no such model, job or file.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(code::NOT_FOUND, message)
    }

    /// The provider's answer is not what its documentation promises.
    pub fn bad_response(message: impl Into<String>) -> Self {
        Self::new(code::BAD_RESPONSE, message)
    }

    /// The same, with the provider's error document (a JSON text) for the operator.
    #[must_use]
    pub fn with_detail(self, json: impl Into<String>) -> Self {
        Self { provider_detail: Some(json.into()), ..self }
    }

    /// The same as the end of a job. Where a provider was asked how a job stands, `rate-limited`, `overloaded`, `unavailable` and
    /// `timeout` say that it could not be asked, and the host asks again until the job's deadline; so what a job itself has failed with is
    /// none of them.
    #[must_use]
    pub fn ends_job(self) -> Self {
        let passes = [code::RATE_LIMITED, code::OVERLOADED, code::UNAVAILABLE, code::TIMEOUT];
        if !passes.contains(&self.code.as_str()) {
            return self;
        }
        Self { code: code::INTERNAL.to_owned(), retry_after_ms: None, ..self }
    }

    /// The same, naming the offending field of the request.
    #[must_use]
    pub fn with_param(self, param: impl Into<String>) -> Self {
        Self { param: Some(param.into()), ..self }
    }

    /// What a response that is no success means, by its status and headers alone.
    pub fn from_status(status: u16, headers: &[Pair]) -> Self {
        Self::from_status_at(status, headers, clock::now_ms)
    }

    fn from_status_at(status: u16, headers: &[Pair], now_ms: impl FnOnce() -> u64) -> Self {
        let (code, message) = meaning(status);
        Self {
            http_status: Some(status),
            retry_after_ms: retry_after_ms(headers, now_ms),
            ..Self::new(code, message)
        }
    }
}

/// The failure word and a sentence for a status code (RFC 9110 §15).
fn meaning(status: u16) -> (&'static str, &'static str) {
    match status {
        401 => (code::UNAUTHENTICATED, "the provider did not accept the key: ask the operator to check it"),
        402 => (code::QUOTA_EXHAUSTED, "the provider account has no credit left"),
        403 | 451 => (code::FORBIDDEN, "the provider does not allow this with the configured key"),
        404 | 410 => (code::NOT_FOUND, "the provider does not know this model or address"),
        408 | 504 => (code::TIMEOUT, "the provider took too long: try again"),
        413 | 414 | 431 => (code::TOO_LARGE, "the request is larger than the provider takes"),
        429 => (code::RATE_LIMITED, "the provider's rate limit is reached: try again later"),
        405 | 501 => (code::UNSUPPORTED, "the provider does not offer this"),
        503 | 529 => (code::OVERLOADED, "the provider is overloaded: try again later"),
        500.. => (code::UNAVAILABLE, "the provider failed: try again later"),
        300..=399 => (
            code::BAD_RESPONSE,
            "the provider answered with a redirect: ask the operator to check the base URL",
        ),
        400.. => (code::INVALID_REQUEST, "the provider refused the request"),
        _ => (code::BAD_RESPONSE, "the provider's answer has an unexpected status"),
    }
}

/// How long a response asks to wait: `retry-after-ms`, `retry-after` in seconds or as a date (RFC 9110 §10.2.3), or the longest
/// of the `x-ratelimit-reset-*` whose window is empty.
pub fn retry_after_ms(headers: &[Pair], now_ms: impl FnOnce() -> u64) -> Option<u64> {
    let find =
        |name: &str| headers.iter().find(|header| header.name == name).map(|header| header.value.trim());
    if let Some(ms) = find("retry-after-ms").and_then(|value| value.parse::<f64>().ok())
        && ms >= 0.0
    {
        return Some(ms.ceil() as u64);
    }
    if let Some(value) = find("retry-after") {
        return duration::seconds_ms(value).or_else(|| {
            let date = httpdate::parse_http_date(value).ok()?;
            let at = date.duration_since(std::time::UNIX_EPOCH).ok()?.as_millis();
            Some(u64::try_from(at).ok()?.saturating_sub(now_ms()))
        });
    }
    headers
        .iter()
        .filter_map(|header| {
            let what = header.name.strip_prefix("x-ratelimit-remaining-")?;
            (header.value.trim() == "0").then_some(())?;
            let reset =
                headers.iter().find(|other| other.name.strip_prefix("x-ratelimit-reset-") == Some(what))?;
            duration::parse_ms(&reset.value)
        })
        .max()
}

impl From<HttpError> for Failure {
    fn from(error: HttpError) -> Self {
        let code = match error.code.as_str() {
            "denied" => code::FORBIDDEN,
            "secret-missing" | "secret-refused" => code::UNAUTHENTICATED,
            "token-unavailable" | "dns" | "connect" | "tls" | "reset" => code::UNAVAILABLE,
            "timeout" => code::TIMEOUT,
            "too-large" => code::BAD_RESPONSE,
            "limit-reached" => code::TOO_LARGE,
            "canceled" => code::CANCELED,
            _ => code::INTERNAL,
        };
        Self::new(code, error.message)
    }
}

impl From<BlobError> for Failure {
    fn from(error: BlobError) -> Self {
        match error {
            BlobError::Invalid(message) => Self::new(code::INTERNAL, message),
            BlobError::LimitReached(message) => Self::new(code::TOO_LARGE, message),
            BlobError::Unavailable(message) => Self::new(code::UNAVAILABLE, message),
        }
    }
}

impl From<Closed> for Failure {
    fn from(closed: Closed) -> Self {
        Self::new(code::CANCELED, closed.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pair;

    fn wait(headers: &[(&str, &str)]) -> Option<u64> {
        let headers: Vec<Pair> = headers.iter().map(|(name, value)| pair(*name, *value)).collect();
        retry_after_ms(&headers, || 784_111_777_000)
    }

    #[test]
    fn retry_after_is_read_as_seconds_milliseconds_and_date() {
        assert_eq!(wait(&[("retry-after", "3")]), Some(3_000));
        assert_eq!(wait(&[("retry-after", "0.25")]), Some(250));
        assert_eq!(wait(&[("retry-after-ms", "1500"), ("retry-after", "2")]), Some(1_500));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")]), Some(10_000));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT")]), Some(0));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
    }

    #[test]
    fn without_retry_after_the_longest_empty_window_says_how_long_to_wait() {
        let headers = [
            ("x-ratelimit-remaining-requests", "0"),
            ("x-ratelimit-reset-requests", "1s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
            ("x-ratelimit-remaining-images", "5"),
            ("x-ratelimit-reset-images", "1h"),
        ];
        assert_eq!(wait(&headers), Some(360_000));
        assert_eq!(wait(&headers[4..]), None);
    }

    #[test]
    fn what_a_job_has_failed_with_is_nothing_to_wait_for() {
        for passing in [code::RATE_LIMITED, code::OVERLOADED, code::UNAVAILABLE, code::TIMEOUT] {
            let told = Failure { retry_after_ms: Some(5), ..Failure::new(passing, "why") };
            let ended = told.with_detail("{}").ends_job();
            assert_eq!((ended.code.as_str(), ended.message.as_str()), (code::INTERNAL, "why"), "{passing}");
            assert_eq!((ended.retry_after_ms, ended.provider_detail.as_deref()), (None, Some("{}")));
        }
        for stays in [code::CONTENT_REFUSED, code::TOO_LARGE, code::BAD_RESPONSE, code::CANCELED] {
            assert_eq!(Failure::new(stays, "why").ends_job().code, stays);
        }
    }

    #[test]
    fn every_status_has_a_failure_word() {
        for (status, expected) in [
            (400, code::INVALID_REQUEST),
            (401, code::UNAUTHENTICATED),
            (402, code::QUOTA_EXHAUSTED),
            (404, code::NOT_FOUND),
            (418, code::INVALID_REQUEST),
            (429, code::RATE_LIMITED),
            (500, code::UNAVAILABLE),
            (503, code::OVERLOADED),
            (599, code::UNAVAILABLE),
            (307, code::BAD_RESPONSE),
            (101, code::BAD_RESPONSE),
        ] {
            let failure = Failure::from_status_at(status, &[], || 0);
            assert_eq!(failure.code, expected, "{status}");
            assert_eq!(failure.http_status, Some(status));
        }
    }
}
