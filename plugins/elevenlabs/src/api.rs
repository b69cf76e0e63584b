//! One call's view of the provider: where it is, and how this instance wants to be spoken to.

use crate::fault;
use atelier_plugin_sdk::http::{Request, Response, escape, header};
use atelier_plugin_sdk::quota::{self, Window};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Failure, Pair, UsageLine, failure::code};
use serde::Deserialize;

/// An instance's settings, as the manifest's schema allows them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    enable_logging: Option<bool>,
}

/// The provider, for one call.
#[derive(Debug)]
pub struct Api<'c> {
    context: &'c CallContext,
    settings: Settings,
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
        Request::get([self.context.base_url.as_str(), path].concat())
    }

    /// A request that makes something, with what the path's query says and what the instance wants in it.
    pub fn post<'b>(&self, path: &str, query: &[(&str, &str)]) -> Request<'b> {
        Request::post([self.context.base_url.as_str(), path, &self.query(query)].concat())
    }

    fn query(&self, query: &[(&str, &str)]) -> String {
        let logging =
            self.settings.enable_logging.filter(|enabled| !enabled).map(|_| ("enable_logging", "false"));
        let mut text = String::new();
        for (name, value) in query.iter().copied().chain(logging) {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            text.push_str(&escape(value));
        }
        text
    }

    /// Send a request, report the concurrency that its answer tells, and give the answer if it is a success.
    pub fn send(&self, request: Request<'_>) -> Result<Response, Failure> {
        let response = request.send()?;
        if let Some(window) = concurrency(&response.headers) {
            quota::report(&[window]);
        }
        if response.is_success() {
            return Ok(response);
        }
        let (failure, body) = response.fault();
        Err(fault::explained(failure, &body))
    }
}

/// How many calls an account may have under way at once.
fn concurrency(headers: &[Pair]) -> Option<Window> {
    let number = |name: &str| header(headers, name).and_then(|value| value.trim().parse::<u64>().ok());
    let limit = number("maximum-concurrent-requests")?;
    let remaining = number("current-concurrent-requests").map(|current| limit.saturating_sub(current));
    Some(Window { what: "concurrency".to_owned(), limit: Some(limit), remaining, reset_ms: None })
}

/// What a call used: as its answer's `character-cost` says, or the characters of its text.
pub fn used(headers: &[Pair], text: &str) -> UsageLine {
    let told = header(headers, "character-cost").and_then(|value| value.trim().parse::<f64>().ok());
    let characters = match told.filter(|cost| cost.is_finite() && *cost >= 0.0) {
        Some(cost) => cost.ceil() as u64,
        None => text.chars().count() as u64,
    };
    usage::line(meter::CHARACTERS, characters, &[])
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
            instance: "elevenlabs".to_owned(),
            base_url: "https://api.elevenlabs.io".to_owned(),
            settings: settings.to_owned(),
            callback_url: None,
            scope: "scope".to_owned(),
        }
    }

    #[test]
    fn the_query_has_what_the_call_and_the_instance_want() {
        let query = |settings| Api::new(&context(settings)).unwrap().query(&[("output_format", "a&b")]);
        assert_eq!(query("{}"), "?output_format=a%26b");
        assert_eq!(query(r#"{"enable-logging":false}"#), "?output_format=a%26b&enable_logging=false");
        assert_eq!(query(r#"{"enable-logging":true}"#), "?output_format=a%26b");
    }

    #[test]
    fn settings_that_the_schema_does_not_know_are_an_error() {
        assert_eq!(Api::new(&context(r#"{"logging":true}"#)).unwrap_err().code, "internal");
    }

    #[test]
    fn concurrency_is_one_window() {
        let headers = [pair("current-concurrent-requests", "3"), pair("maximum-concurrent-requests", "10")];
        let window = concurrency(&headers).unwrap();
        assert_eq!((window.limit, window.remaining), (Some(10), Some(7)));
        assert!(concurrency(&headers[..1]).is_none());
    }

    #[test]
    fn the_provider_s_own_count_goes_before_the_text_s_length() {
        assert_eq!(used(&[pair("character-cost", "7")], "é!").quantity, 7);
        assert_eq!(used(&[], "é!").quantity, 2);
        assert_eq!(used(&[pair("character-cost", "many")], "abc").quantity, 3);
        assert_eq!(used(&[pair("character-cost", "-1")], "abc").quantity, 3);
    }
}
