//! One call's view of the provider: where it is, and how this instance wants to be spoken to.

use crate::fault;
use atelier_plugin_sdk::http::{Request, Response, header};
use atelier_plugin_sdk::quota::{self, Window};
use atelier_plugin_sdk::{CallContext, Failure, Pair, duration, failure::code};
use serde::Deserialize;

/// An instance's settings, as the manifest's schema allows them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// The collection whose models are listed.
    pub collection: Option<String>,
    /// Which model trainings write to.
    pub destination: Option<String>,
}

/// The provider, for one call.
#[derive(Debug)]
pub struct Api<'c> {
    pub context: &'c CallContext,
    pub settings: Settings,
}

impl<'c> Api<'c> {
    pub fn new(context: &'c CallContext) -> Result<Self, Failure> {
        let settings = match context.settings.as_str() {
            "{}" | "" => Settings::default(),
            settings => serde_json::from_str(settings).map_err(|error| {
                Failure::new(code::INTERNAL, ["the instance's settings: ", &error.to_string()].concat())
            })?,
        };
        Ok(Self { context, settings })
    }

    pub fn get<'b>(&self, path: &str) -> Request<'b> {
        Request::get(self.url(path))
    }

    pub fn post<'b>(&self, path: &str) -> Request<'b> {
        Request::post(self.url(path))
    }

    fn url(&self, path: &str) -> String {
        [self.context.base_url.as_str(), path].concat()
    }

    /// Send a request, report the rate limit that its answer tells, and give the answer if it is a success.
    pub fn send(&self, request: Request<'_>) -> Result<Response, Failure> {
        let response = request.send()?;
        let window = window(&response.headers);
        if let Some(window) = &window {
            quota::report(std::slice::from_ref(window));
        }
        if response.is_success() {
            return Ok(response);
        }
        let (failure, body) = response.fault();
        let mut failure = fault::explained(failure, &body);
        if failure.code == code::RATE_LIMITED && failure.retry_after_ms.is_none() {
            failure.retry_after_ms = window.and_then(|window| window.reset_ms);
        }
        Err(failure)
    }
}

/// The one window that `ratelimit-remaining` and `ratelimit-reset` (in seconds) describe.
fn window(headers: &[Pair]) -> Option<Window> {
    let remaining = header(headers, "ratelimit-remaining").and_then(|value| value.trim().parse().ok());
    let reset_ms = header(headers, "ratelimit-reset").and_then(duration::seconds_ms);
    let limit = header(headers, "ratelimit-limit").and_then(|value| value.trim().parse().ok());
    if remaining.is_none() && reset_ms.is_none() {
        return None;
    }
    Some(Window { what: "requests".to_owned(), limit, remaining, reset_ms })
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use atelier_plugin_sdk::pair;

    /// A call context for an instance with these settings.
    pub fn context(settings: &str) -> CallContext {
        CallContext {
            call_id: "call".to_owned(),
            attempt: 1,
            idempotency_key: "key".to_owned(),
            remaining_ms: 60_000,
            instance: "replicate".to_owned(),
            base_url: "https://api.replicate.com/v1".to_owned(),
            settings: settings.to_owned(),
            callback_url: None,
            scope: "scope".to_owned(),
        }
    }

    #[test]
    fn the_rate_limit_is_one_window_of_requests() {
        let found = window(&[pair("ratelimit-remaining", "599"), pair("ratelimit-reset", "12")]).unwrap();
        assert_eq!(
            (found.what.as_str(), found.remaining, found.reset_ms),
            ("requests", Some(599), Some(12_000))
        );
        assert!(window(&[pair("ratelimit-remaining", "many"), pair("date", "today")]).is_none());
    }

    #[test]
    fn settings_that_the_schema_does_not_know_are_an_error() {
        assert_eq!(Api::new(&context(r#"{"collections":"x"}"#)).unwrap_err().code, "internal");
    }
}
