//! Replicate's HTTP API (<https://replicate.com/docs/reference/http>), at the root and below `/replicate`.

mod lifetime;
mod models;
mod predictions;
mod trainings;
pub(crate) mod webhook;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::json;

use crate::dialect::Dialect;
use crate::reply::Reply;
use crate::server::Shared;
use crate::shelf::Shelf;

/// What clients create through this API.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    runs: Shelf<lifetime::Run>,
}

impl Shelves {
    pub fn clear(&self) {
        self.runs.clear();
    }
}

/// The routes that no other provider has.
pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/predictions", post(predictions::create).get(predictions::list))
        .route("/v1/predictions/{id}", get(predictions::get))
        .route("/v1/predictions/{id}/cancel", post(predictions::cancel))
        .route("/v1/models/{owner}/{name}", get(models::get))
        .route("/v1/models/{owner}/{name}/versions", get(models::versions))
        .route("/v1/models/{owner}/{name}/versions/{version}", get(models::version_of))
        .route("/v1/models/{owner}/{name}/predictions", post(predictions::create_for_model))
        .route("/v1/models/{owner}/{name}/versions/{version}/trainings", post(trainings::create))
        .route("/v1/trainings/{id}", get(predictions::get))
        .route("/v1/trainings/{id}/cancel", post(predictions::cancel))
        .route("/v1/webhooks/default/secret", get(secret))
}

/// The routes that share their path with OpenAI's, for use below a prefix.
pub(crate) fn prefixed_routes() -> Router<Arc<Shared>> {
    Router::new().route("/v1/models", get(models::list))
}

async fn secret(State(shared): State<Arc<Shared>>) -> Reply {
    Reply::json(&json!({"key": shared.config.webhook_secret}))
}

fn invalid(message: &str) -> Reply {
    Dialect::Replicate.refuse(StatusCode::UNPROCESSABLE_ENTITY, message)
}

fn not_found() -> Reply {
    Dialect::Replicate.refuse(StatusCode::NOT_FOUND, "The requested resource could not be found.")
}
