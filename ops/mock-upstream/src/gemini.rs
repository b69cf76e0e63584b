//! Google's Gemini API (<https://ai.google.dev/api>), below `/gemini`.

mod generate;
mod videos;

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Extension, Router};
use serde_json::{Value, json};

use crate::call::Call;
use crate::dialect::Dialect;
use crate::reply::{Answer, Reply};
use crate::server::Shared;
use crate::shelf::Shelf;

/// The models, and the method that each one has.
const MODELS: [(&str, &str); 4] = [
    ("gemini-2.5-flash", "generateContent"),
    ("gemini-2.5-pro", "generateContent"),
    ("gemini-embedding-001", "embedContent"),
    ("veo-3.0-generate-001", "predictLongRunning"),
];
const PAGE_DEFAULT: usize = 50;

/// What clients create through this API.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    operations: Shelf<videos::Operation>,
}

impl Shelves {
    pub fn clear(&self) {
        self.operations.clear();
    }
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1beta/models", get(list_models))
        .route("/v1beta/models/{id}", get(get_model).post(call_method))
        .route("/v1beta/models/{model}/operations/{id}", get(videos::poll))
        .route("/v1beta/files/{id}", get(videos::download))
        .route("/download/v1beta/files/{id}", get(videos::content))
}

/// `POST models/MODEL:METHOD`: the method is the end of the path's last segment.
async fn call_method(
    State(shared): State<Arc<Shared>>,
    Extension(call): Extension<Arc<Call>>,
    Path(id): Path<String>,
) -> Answer {
    let (model, method) = id.split_once(':').ok_or_else(|| not_found("models", &id))?;
    known(model)?;
    match method {
        "generateContent" => generate::whole(&call, model),
        "streamGenerateContent" => generate::streamed(&call, model),
        "predictLongRunning" => videos::create(&shared, &call, model),
        _ => Err(not_found("methods", method)),
    }
}

/// In pages of `pageSize`; the token is the place of the next page's first model.
async fn list_models(Extension(call): Extension<Arc<Call>>) -> Reply {
    let size = call.query("pageSize").and_then(|size| size.parse().ok()).unwrap_or(PAGE_DEFAULT);
    let first = call.query("pageToken").and_then(|token| token.parse().ok()).unwrap_or(0);
    let page: Vec<Value> =
        MODELS.iter().skip(first).take(size).map(|(id, method)| model(id, method)).collect();
    let past = first.saturating_add(page.len());
    let mut body = json!({"models": page});
    if past < MODELS.len() {
        body["nextPageToken"] = json!(past.to_string());
    }
    Reply::json(&body)
}

async fn get_model(Path(id): Path<String>) -> Answer {
    let found = MODELS.iter().find(|(known, _)| *known == id);
    let (id, method) = found.ok_or_else(|| not_found("models", &id))?;
    Ok(Reply::json(&model(id, method)))
}

fn model(id: &str, method: &str) -> Value {
    json!({
        "name": format!("models/{id}"),
        "version": "001",
        "displayName": id,
        "description": "A model of the mock.",
        "inputTokenLimit": 1_048_576,
        "outputTokenLimit": 65_536,
        "supportedGenerationMethods": [method],
    })
}

/// Refuse the models that do not exist: those whose name starts with `missing`.
fn known(model: &str) -> Result<(), Reply> {
    if model.starts_with("missing") { Err(not_found("models", model)) } else { Ok(()) }
}

fn not_found(collection: &str, id: &str) -> Reply {
    let message = format!("{collection}/{id} is not found for API version v1beta.");
    Dialect::Gemini.refuse(StatusCode::NOT_FOUND, &message)
}

fn invalid(message: &str) -> Reply {
    Dialect::Gemini.refuse(StatusCode::BAD_REQUEST, message)
}

/// The word of google.rpc.Code for a status.
pub(crate) fn rpc_word(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        500.. => "INTERNAL",
        _ => "INVALID_ARGUMENT",
    }
}

/// The refusal of a key: an absent one is forbidden, a wrong one an invalid argument with its reason in the details.
pub(crate) fn unauthenticated(shown: Option<&str>) -> Reply {
    let Some(key) = shown else {
        let message = "Method doesn't allow unregistered callers (callers without established identity).";
        return Dialect::Gemini.refuse(StatusCode::FORBIDDEN, message);
    };
    let body = json!({"error": {
        "code": 400,
        "message": format!("API key not valid: {key}. Please pass a valid API key."),
        "status": "INVALID_ARGUMENT",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
        }],
    }});
    Reply::json_with(StatusCode::BAD_REQUEST, &body)
}

/// The 429, which says in its details when to come back.
pub(crate) fn rate_limited(retry_after_s: u64) -> Reply {
    let body = json!({"error": {
        "code": 429,
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [{
            "@type": "type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay": format!("{retry_after_s}s"),
        }],
    }});
    Reply::json_with(StatusCode::TOO_MANY_REQUESTS, &body)
}
