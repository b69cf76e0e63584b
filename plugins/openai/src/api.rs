//! One call's view of the provider: where it is, and how this instance wants to be spoken to.

use crate::fault;
use atelier_plugin_sdk::http::{Request, Response};
use atelier_plugin_sdk::{CallContext, Failure, failure::code, quota};
use serde::Deserialize;

/// An instance's settings, as the manifest's schema allows them.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Settings {
    /// Sent as `OpenAI-Organization`.
    organization: Option<String>,
    /// Sent as `OpenAI-Project`.
    project: Option<String>,
    /// The name of the chat field that bounds an answer.
    max_tokens_field: Option<String>,
    /// Whether a streamed chat asks for its usage.
    stream_usage: Option<bool>,
    /// How embeddings are asked for: `base64` or `float`.
    embedding_encoding: Option<String>,
    /// Whether the operator has told the provider this host's webhook address.
    webhooks: bool,
}

/// The provider, for one call.
#[derive(Debug)]
pub struct Api<'c> {
    pub context: &'c CallContext,
    settings: Settings,
    /// Whether this is OpenAI itself, and not a compatible server.
    pub official: bool,
}

impl<'c> Api<'c> {
    pub fn new(context: &'c CallContext) -> Result<Self, Failure> {
        let settings = match context.settings.as_str() {
            "{}" | "" => Settings::default(),
            settings => serde_json::from_str(settings).map_err(|error| {
                Failure::new(code::INTERNAL, ["the instance's settings: ", &error.to_string()].concat())
            })?,
        };
        Ok(Self { context, settings, official: is_official(&context.base_url) })
    }

    /// The name of the chat field that bounds an answer. OpenAI's reasoning models refuse the old one, most compatible servers
    /// know only that.
    pub fn max_tokens_field(&self) -> &str {
        match &self.settings.max_tokens_field {
            Some(field) => field,
            None if self.official => "max_completion_tokens",
            None => "max_tokens",
        }
    }

    pub fn stream_usage(&self) -> bool {
        self.settings.stream_usage.unwrap_or(true)
    }

    /// How vectors are asked for. Base64 is a third of the size, but not every compatible server has it.
    pub fn embedding_encoding(&self) -> &str {
        match &self.settings.embedding_encoding {
            Some(encoding) => encoding,
            None if self.official => "base64",
            None => "float",
        }
    }

    /// Whether the provider calls back, so that polling is only the safety net.
    pub fn calls_back(&self) -> bool {
        self.settings.webhooks
    }

    pub fn get<'b>(&self, path: &str) -> Request<'b> {
        self.identified(Request::get(self.url(path)))
    }

    pub fn post<'b>(&self, path: &str) -> Request<'b> {
        self.identified(Request::post(self.url(path)))
    }

    pub fn delete<'b>(&self, path: &str) -> Request<'b> {
        self.identified(Request::delete(self.url(path)))
    }

    fn url(&self, path: &str) -> String {
        [self.context.base_url.as_str(), path].concat()
    }

    fn identified<'b>(&self, mut request: Request<'b>) -> Request<'b> {
        if let Some(organization) = &self.settings.organization {
            request = request.header("openai-organization", organization);
        }
        if let Some(project) = &self.settings.project {
            request = request.header("openai-project", project);
        }
        request
    }

    /// Send a request, report the rate limits that its answer tells, and give the answer if it is a success.
    pub fn send(&self, request: Request<'_>) -> Result<Response, Failure> {
        let response = request.send()?;
        quota::report_headers(&response.headers);
        if response.is_success() {
            return Ok(response);
        }
        let (failure, body) = response.fault();
        Err(fault::explained(failure, &body))
    }
}

/// Whether a base URL is OpenAI's: its API host, or the one of a region (`eu.api.openai.com`).
fn is_official(base_url: &str) -> bool {
    let Some(rest) = base_url.strip_prefix("https://") else { return false };
    let host = rest.split(['/', ':', '?']).next().unwrap_or(rest);
    host == "api.openai.com" || host.ends_with(".api.openai.com")
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A call context for an instance.
    pub fn context(base_url: &str, settings: &str) -> CallContext {
        CallContext {
            call_id: "call".to_owned(),
            attempt: 1,
            idempotency_key: "key".to_owned(),
            remaining_ms: 60_000,
            instance: "openai".to_owned(),
            base_url: base_url.to_owned(),
            settings: settings.to_owned(),
            callback_url: None,
            scope: "scope".to_owned(),
        }
    }

    #[test]
    fn only_openai_s_own_hosts_are_official() {
        for url in
            ["https://api.openai.com/v1", "https://eu.api.openai.com/v1", "https://api.openai.com:443/v1"]
        {
            assert!(is_official(url), "{url}");
        }
        for url in [
            "http://api.openai.com/v1",
            "https://notapi.openai.com.evil.example/v1",
            "https://xapi.openai.com/v1",
            "https://localhost/api.openai.com",
        ] {
            assert!(!is_official(url), "{url}");
        }
    }

    #[test]
    fn the_length_field_follows_the_server_unless_a_setting_names_it() {
        let field = |base_url, settings| {
            Api::new(&context(base_url, settings)).unwrap().max_tokens_field().to_owned()
        };
        assert_eq!(field("https://api.openai.com/v1", "{}"), "max_completion_tokens");
        assert_eq!(field("https://llm.example/v1", "{}"), "max_tokens");
        assert_eq!(
            field("https://llm.example/v1", r#"{"max-tokens-field":"max_completion_tokens"}"#),
            "max_completion_tokens"
        );
    }

    #[test]
    fn settings_that_the_schema_does_not_know_are_an_error() {
        let context = context("https://api.openai.com/v1", r#"{"organisation":"org"}"#);
        assert_eq!(Api::new(&context).unwrap_err().code, "internal");
    }
}
