//! One call's view of the provider: where it is, and how this instance wants to be spoken to.

use crate::{fault, rate_limit};
use atelier_plugin_sdk::http::{Request, Response};
use atelier_plugin_sdk::{CallContext, Failure, clock, failure::code, quota};
use serde::Deserialize;

/// The version of the API that this plugin speaks (<https://platform.claude.com/docs/en/api/versioning>).
const VERSION: &str = "2023-06-01";
/// The longest answer of a model whose limit is not known; every Claude model allows it.
const MAX_TOKENS_DEFAULT: u32 = 8192;

/// How a model is asked to think (<https://platform.claude.com/docs/en/build-with-claude/thinking>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Thinking {
    /// The model decides how much; an effort steers it.
    Adaptive,
    /// Up to a number of tokens.
    Budget,
}

/// An instance's settings, as the manifest's schema allows them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
struct Settings {
    /// Sent as `anthropic-beta`.
    betas: Vec<String>,
    /// How thinking is asked for, whatever the model.
    thinking: Option<Thinking>,
    /// The longest answer of a model whose limit is not known.
    max_tokens: Option<u32>,
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

    /// How thinking is asked for, if the operator says.
    pub fn thinking(&self) -> Option<Thinking> {
        self.settings.thinking
    }

    /// The longest answer, in tokens, of a model whose limit is not known.
    pub fn max_tokens(&self) -> u32 {
        self.settings.max_tokens.unwrap_or(MAX_TOKENS_DEFAULT)
    }

    pub fn get<'b>(&self, path: &str) -> Request<'b> {
        self.versioned(Request::get(self.url(path)))
    }

    pub fn post<'b>(&self, path: &str) -> Request<'b> {
        self.versioned(Request::post(self.url(path)))
    }

    fn url(&self, path: &str) -> String {
        [self.context.base_url.as_str(), path].concat()
    }

    fn versioned<'b>(&self, request: Request<'b>) -> Request<'b> {
        let request = request.header("anthropic-version", VERSION);
        if self.settings.betas.is_empty() {
            return request;
        }
        request.header("anthropic-beta", self.settings.betas.join(","))
    }

    /// Send a request, report the rate limits that its answer tells, and give the answer if it is a success.
    pub fn send(&self, request: Request<'_>) -> Result<Response, Failure> {
        let response = request.send()?;
        let windows = rate_limit::windows(&response.headers, clock::now_ms);
        if !windows.is_empty() {
            quota::report(&windows);
        }
        if response.is_success() {
            return Ok(response);
        }
        let (failure, body) = response.fault();
        let mut failure = fault::explained(failure, &body);
        if failure.code == code::RATE_LIMITED && failure.retry_after_ms.is_none() {
            failure.retry_after_ms = rate_limit::wait_ms(&windows);
        }
        Err(failure)
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A call context for an instance with these settings.
    pub fn context(settings: &str) -> CallContext {
        CallContext {
            call_id: "call".to_owned(),
            attempt: 1,
            idempotency_key: "key".to_owned(),
            remaining_ms: 60_000,
            instance: "anthropic".to_owned(),
            base_url: "https://api.anthropic.com/v1".to_owned(),
            settings: settings.to_owned(),
            callback_url: None,
            scope: "scope".to_owned(),
        }
    }

    #[test]
    fn settings_are_read_and_have_defaults() {
        let context = context(r#"{"thinking":"budget","max-tokens":100,"betas":["a","b"]}"#);
        let api = Api::new(&context).unwrap();
        assert_eq!((api.thinking(), api.max_tokens()), (Some(Thinking::Budget), 100));
        let plain = self::context("{}");
        let api = Api::new(&plain).unwrap();
        assert_eq!((api.thinking(), api.max_tokens()), (None, MAX_TOKENS_DEFAULT));
    }

    #[test]
    fn settings_that_the_schema_does_not_know_are_an_error() {
        assert_eq!(Api::new(&context(r#"{"beta":"x"}"#)).unwrap_err().code, "internal");
    }
}
