//! A call's requests, over all its ways out: how many there were, how many are open, and how long the upstream asked to wait.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atelier_domain::time::Timestamp;
use http::HeaderMap;

use crate::limits::Profile;

/// What one call's requests have in common.
#[derive(Debug, Default)]
pub struct Traffic {
    requests: AtomicU32,
    open: AtomicU32,
    retry_after: Mutex<Option<Duration>>,
}

/// A request that counts as open until this is dropped.
#[derive(Debug)]
pub struct OpenRequest(Arc<Traffic>);

impl Drop for OpenRequest {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Traffic {
    /// Counts a request in.
    ///
    /// # Errors
    /// The budget that is used up.
    pub fn begin(self: &Arc<Self>, profile: &Profile) -> Result<OpenRequest, String> {
        let add = |count: &AtomicU32, max: u32| {
            count
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
                    (count < max).then_some(count + 1)
                })
                .is_ok()
        };
        if !add(&self.open, profile.open_requests) {
            return Err(format!("{} open at once", profile.open_requests));
        }
        let open = OpenRequest(Arc::clone(self));
        if !add(&self.requests, profile.requests) {
            return Err(format!("{} in all", profile.requests));
        }
        Ok(open)
    }

    /// How many there were.
    pub fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Notes what an answer's head says of waiting.
    pub fn answered(&self, is_success: bool, headers: &HeaderMap, now: Timestamp) {
        let wait = if is_success { None } else { retry_after(headers, now) };
        *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner) = wait;
    }

    /// How long the last answer asked to wait, if it was no success.
    pub fn retry_after(&self) -> Option<Duration> {
        *self.retry_after.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long an answer asks to wait: `retry-after-ms`, or `retry-after` in seconds or as a date (RFC 9110 §10.2.3).
pub fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let seconds = |number: f64| Duration::try_from_secs_f64(number).ok();
    if let Some(ms) = text("retry-after-ms").and_then(|value| value.parse::<f64>().ok()) {
        return seconds(ms / 1_000.0);
    }
    let value = text("retry-after")?;
    if let Ok(number) = value.parse::<f64>() {
        return seconds(number);
    }
    let date = httpdate::parse_http_date(value).ok()?;
    let at = date.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(at.saturating_sub(Duration::from_millis(now.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wait(headers: &[(&'static str, &str)]) -> Option<u128> {
        let headers: HeaderMap = headers
            .iter()
            .map(|(name, value)| (http::HeaderName::from_static(name), value.parse().expect("a value")))
            .collect();
        retry_after(&headers, Timestamp(784_111_777_000)).map(|wait| wait.as_millis())
    }

    #[test]
    fn how_long_to_wait_is_read_as_seconds_milliseconds_and_date() {
        assert_eq!(wait(&[("retry-after", "3")]), Some(3_000));
        assert_eq!(wait(&[("retry-after", "0.25")]), Some(250));
        assert_eq!(wait(&[("retry-after-ms", "1500"), ("retry-after", "2")]), Some(1_500));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:47 GMT")]), Some(10_000));
        assert_eq!(wait(&[("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT")]), Some(0));
        assert_eq!(wait(&[("retry-after", "soon")]), None);
        assert_eq!(wait(&[("retry-after", "-1")]), None);
        assert_eq!(wait(&[("retry-after", "inf")]), None);
    }
}
