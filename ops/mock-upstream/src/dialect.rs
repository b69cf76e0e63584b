//! Whose protocol a request speaks, and how that provider refuses.

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::call::Call;
use crate::gemini;
use crate::reply::Reply;

/// A provider's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// OpenAI's REST API, version 1.
    OpenAi,
    /// Anthropic's Messages API, versions 2023-06-01 and 2026-10-21.
    Anthropic,
    /// Replicate's HTTP API, version 1.
    Replicate,
    /// ElevenLabs' API, versions 1 and 2.
    ElevenLabs,
    /// Ollama's native API.
    Ollama,
    /// Google's Gemini API, version v1beta.
    Gemini,
}

impl Dialect {
    /// The dialect of a path; where two providers share one, the headers decide.
    pub(crate) fn of(path: &str, headers: &HeaderMap) -> Self {
        let anthropic_headers =
            headers.contains_key("anthropic-version") || headers.contains_key("x-api-key");
        let below_models = path.strip_prefix("/v1/models/").is_some_and(|rest| rest.contains('/'));
        match path {
            _ if path.starts_with("/anthropic/") || path.starts_with("/v1/messages") => Self::Anthropic,
            _ if path.starts_with("/elevenlabs/") => Self::ElevenLabs,
            _ if path.starts_with("/ollama/") => Self::Ollama,
            _ if path.starts_with("/gemini/") => Self::Gemini,
            _ if path.starts_with("/replicate/") || below_models => Self::Replicate,
            _ if path.starts_with("/v1/predictions") || path.starts_with("/v1/trainings") => Self::Replicate,
            _ if path.starts_with("/v1/webhooks") => Self::Replicate,
            _ if path.starts_with("/v1/models") && anthropic_headers => Self::Anthropic,
            _ => Self::OpenAi,
        }
    }

    /// Refuse a request without a usable credential, as this provider does.
    pub(crate) fn authenticate(self, call: &Call) -> Result<(), Reply> {
        let bearer = |schemes: [&str; 2]| {
            let value = call.header("authorization")?;
            let (scheme, key) = value.split_once(' ')?;
            schemes.iter().any(|known| scheme.eq_ignore_ascii_case(known)).then_some(key)
        };
        let key = match self {
            Self::OpenAi => bearer(["bearer", "bearer"]),
            Self::Replicate => bearer(["bearer", "token"]),
            Self::Anthropic => call.header("x-api-key").or_else(|| bearer(["bearer", "bearer"])),
            Self::ElevenLabs => call.header("xi-api-key"),
            Self::Gemini => call.header("x-goog-api-key").or_else(|| call.query("key")),
            Self::Ollama => return Ok(()),
        };
        match key.map(str::trim).filter(|key| !key.is_empty()) {
            None => Err(self.unauthenticated(None)),
            Some(key) if key.starts_with("sk-bad") => Err(self.unauthenticated(Some("sk-bad***"))),
            Some(_) => Ok(()),
        }
    }

    /// The 401 of this provider; `shown` is what it repeats of the credential.
    pub(crate) fn unauthenticated(self, shown: Option<&str>) -> Reply {
        if self == Self::Gemini {
            return gemini::unauthenticated(shown);
        }
        let message = match (self, shown) {
            (Self::OpenAi, None) => {
                "No API key was sent: put it in the Authorization header as a bearer token.".to_owned()
            }
            (Self::OpenAi, Some(key)) => format!("Incorrect API key provided: {key}."),
            (Self::Anthropic, None) => "x-api-key header is required".to_owned(),
            (Self::Anthropic, Some(key)) => format!("invalid x-api-key {key}"),
            (_, None) => "You did not pass an authentication token".to_owned(),
            (_, Some(key)) => format!("Invalid API key {key}"),
        };
        self.refuse(StatusCode::UNAUTHORIZED, &message)
    }

    /// An error body with this status, in this provider's shape.
    pub(crate) fn refuse(self, status: StatusCode, message: &str) -> Reply {
        self.refuse_about(status, message, None, None)
    }

    /// An error body that names a parameter and a code, for the providers that have them.
    pub(crate) fn refuse_about(
        self,
        status: StatusCode,
        message: &str,
        param: Option<&str>,
        code: Option<&str>,
    ) -> Reply {
        let body = match self {
            Self::OpenAi => json!({"error": {
                "message": message,
                "type": openai_type(status),
                "param": param,
                "code": code.or_else(|| openai_code(status, message)),
            }}),
            Self::Anthropic => json!({
                "type": "error",
                "error": {"type": anthropic_type(status), "message": message},
                "request_id": "req_mock",
            }),
            Self::Replicate => {
                let title = status.canonical_reason().unwrap_or("Error");
                let title = if status == StatusCode::UNAUTHORIZED { "Unauthenticated" } else { title };
                json!({"title": title, "detail": message, "status": status.as_u16()})
            }
            Self::ElevenLabs => match param {
                Some(param) => {
                    json!({"detail": [{"loc": ["body", param], "msg": message, "type": "missing"}]})
                }
                None => json!({"detail": {"status": elevenlabs_status(status, code), "message": message}}),
            },
            Self::Ollama => json!({"error": message}),
            Self::Gemini => json!({"error": {
                "code": status.as_u16(),
                "message": message,
                "status": gemini::rpc_word(status),
            }}),
        };
        let kind = if self == Self::Replicate { "application/problem+json" } else { "application/json" };
        Reply::bytes(status, kind, body.to_string())
    }

    /// The 429 of this provider, with the headers that say when to come back.
    pub(crate) fn rate_limited(self, retry_after_s: u64) -> Reply {
        if self == Self::Gemini {
            return gemini::rate_limited(retry_after_s);
        }
        let status = StatusCode::TOO_MANY_REQUESTS;
        let message = format!("Rate limit reached. Please try again in {retry_after_s}s.");
        let mut reply = match self {
            Self::OpenAi => self
                .refuse_about(status, &message, None, Some("rate_limit_exceeded"))
                .header("retry-after-ms", (retry_after_s * 1000).to_string()),
            Self::ElevenLabs => {
                self.refuse_about(status, &message, None, Some("too_many_concurrent_requests"))
            }
            _ => self.refuse(status, &message),
        };
        reply.headers.extend(self.limits(0, retry_after_s));
        reply.header("retry-after", retry_after_s.to_string())
    }

    /// The rate-limit headers that go with every answer of this provider.
    pub(crate) fn limits(self, remaining: u64, reset_s: u64) -> Vec<(&'static str, String)> {
        let n = |number: u64| number.to_string();
        match self {
            Self::OpenAi => vec![
                ("x-ratelimit-limit-requests", n(10_000)),
                ("x-ratelimit-remaining-requests", n(remaining)),
                ("x-ratelimit-reset-requests", format!("{reset_s}s")),
                ("x-ratelimit-limit-tokens", n(2_000_000)),
                ("x-ratelimit-remaining-tokens", n(remaining * 200)),
                ("x-ratelimit-reset-tokens", format!("{reset_s}s")),
            ],
            Self::Anthropic => {
                let reset = SystemTime::now() + Duration::from_secs(reset_s);
                let reset = humantime::format_rfc3339_seconds(reset).to_string();
                vec![
                    ("anthropic-ratelimit-requests-limit", n(4_000)),
                    ("anthropic-ratelimit-requests-remaining", n(remaining.min(3_999))),
                    ("anthropic-ratelimit-requests-reset", reset.clone()),
                    ("anthropic-ratelimit-input-tokens-limit", n(2_000_000)),
                    ("anthropic-ratelimit-input-tokens-remaining", n(remaining * 200)),
                    ("anthropic-ratelimit-input-tokens-reset", reset.clone()),
                    ("anthropic-ratelimit-output-tokens-limit", n(400_000)),
                    ("anthropic-ratelimit-output-tokens-remaining", n(remaining * 40)),
                    ("anthropic-ratelimit-output-tokens-reset", reset),
                ]
            }
            Self::Replicate => {
                vec![("ratelimit-remaining", n(remaining.min(599))), ("ratelimit-reset", n(reset_s))]
            }
            Self::ElevenLabs => vec![
                ("current-concurrent-requests", n(if remaining == 0 { 10 } else { 1 })),
                ("maximum-concurrent-requests", n(10)),
            ],
            Self::Ollama | Self::Gemini => Vec::new(),
        }
    }

    /// The error event with which a stream of this provider breaks off.
    pub(crate) fn stream_error(self) -> String {
        let message = "The server had an error while processing your request";
        let body: Value = match self {
            Self::OpenAi => {
                json!({"error": {"message": message, "type": "server_error", "param": null, "code": null}})
            }
            Self::Anthropic => {
                let body =
                    json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
                return format!("event: error\ndata: {body}\n\n");
            }
            Self::Gemini => json!({"error": {"code": 503, "message": message, "status": "UNAVAILABLE"}}),
            _ => return format!("{}\n", json!({"error": message})),
        };
        format!("data: {body}\n\n")
    }
}

fn openai_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        429 => "requests",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

fn openai_code(status: StatusCode, message: &str) -> Option<&'static str> {
    (status == StatusCode::UNAUTHORIZED && message.starts_with("Incorrect")).then_some("invalid_api_key")
}

fn anthropic_type(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "authentication_error",
        403 => "permission_error",
        404 => "not_found_error",
        413 => "request_too_large",
        429 => "rate_limit_error",
        529 => "overloaded_error",
        500.. => "api_error",
        _ => "invalid_request_error",
    }
}

fn elevenlabs_status(status: StatusCode, code: Option<&str>) -> String {
    let by_status = match status.as_u16() {
        401 => "invalid_api_key",
        404 => "not_found",
        429 => "too_many_concurrent_requests",
        500.. => "internal_error",
        _ => "invalid_request",
    };
    code.unwrap_or(by_status).to_owned()
}
