//! Anthropic's Messages API (<https://docs.anthropic.com/en/api/messages>), versions 2023-06-01 and 2026-10-21.

mod messages;
mod stream;
mod version;

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};

use crate::call::Call;
use crate::dialect::Dialect;
use crate::reply::{Answer, Reply};
use crate::server::Shared;

const MODELS: [&str; 3] = ["mock-chat", "claude-sonnet-4-5", "claude-haiku-4-5"];

/// The routes that no other provider has.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/messages", post(messages::create))
        .route("/v1/messages/count_tokens", post(messages::count_tokens))
}

/// The routes that share their path with OpenAI's, for use below a prefix.
pub(crate) fn model_routes() -> Router<Arc<Shared>> {
    async fn list(Extension(call): Extension<Arc<Call>>) -> Reply {
        list_models(&call)
    }
    async fn get_one(Path(id): Path<String>) -> Answer {
        get_model(&id)
    }
    Router::new().route("/v1/models", get(list)).route("/v1/models/{id}", get(get_one))
}

/// `GET /v1/models`, in pages of `limit`.
pub(crate) fn list_models(call: &Call) -> Reply {
    let limit = call.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20);
    let after = call.query("after_id");
    let first = after.and_then(|id| MODELS.iter().position(|known| *known == id)).map_or(0, |at| at + 1);
    let page: Vec<&str> = MODELS.iter().skip(first).take(limit).copied().collect();
    Reply::json(&json!({
        "data": page.iter().map(|id| model(id)).collect::<Vec<_>>(),
        "has_more": first + page.len() < MODELS.len(),
        "first_id": page.first(),
        "last_id": page.last(),
    }))
}

/// `GET /v1/models/{id}`.
pub(crate) fn get_model(id: &str) -> Answer {
    known(id)?;
    Ok(Reply::json(&model(id)))
}

fn model(id: &str) -> Value {
    json!({
        "type": "model",
        "id": id,
        "display_name": id,
        "created_at": "2026-01-01T00:00:00Z",
        "lifecycle": "active",
    })
}

/// Refuse the models that do not exist: those whose name starts with `missing`.
fn known(model: &str) -> Result<(), Reply> {
    if model.starts_with("missing") {
        return Err(Dialect::Anthropic.refuse(StatusCode::NOT_FOUND, &format!("model: {model}")));
    }
    Ok(())
}

fn invalid(message: &str) -> Reply {
    Dialect::Anthropic.refuse(StatusCode::BAD_REQUEST, message)
}
