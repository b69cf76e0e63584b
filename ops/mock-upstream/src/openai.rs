//! OpenAI's REST API (<https://platform.openai.com/docs/api-reference>).

mod audio;
mod chat;
mod chat_stream;
mod embeddings;
mod files;
mod fine_tuning;
mod images;
mod moderations;
mod videos;

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
use crate::shelf::Shelf;

/// Models that `GET /v1/models` lists; any other name is answered too, except those that start with `missing`.
const MODELS: [&str; 11] = [
    "mock-chat",
    "gpt-4o-mini",
    "text-embedding-3-small",
    "gpt-image-1",
    "dall-e-2",
    "tts-1",
    "whisper-1",
    "gpt-4o-mini-transcribe",
    "gpt-4o-transcribe-diarize",
    "omni-moderation-latest",
    "sora-2",
];

/// What clients create through this API.
#[derive(Debug, Default)]
pub(crate) struct Shelves {
    videos: Shelf<videos::Video>,
    jobs: Shelf<fine_tuning::Job>,
    files: Shelf<files::Stored>,
}

impl Shelves {
    pub fn clear(&self) {
        self.videos.clear();
        self.jobs.clear();
        self.files.clear();
    }
}

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/models", get(list_models))
        .route("/v1/models/{id}", get(get_model))
        .route("/v1/chat/completions", post(chat::create))
        .route("/v1/embeddings", post(embeddings::create))
        .route("/v1/images/generations", post(images::create))
        .route("/v1/images/edits", post(images::edit))
        .route("/v1/images/variations", post(images::edit))
        .route("/v1/audio/speech", post(audio::speech))
        .route("/v1/audio/transcriptions", post(audio::transcribe))
        .route("/v1/audio/translations", post(audio::transcribe))
        .route("/v1/moderations", post(moderations::create))
        .route("/v1/videos", post(videos::create).get(videos::list))
        .route("/v1/videos/{id}", get(videos::get).delete(videos::delete))
        .route("/v1/videos/{id}/content", get(videos::content))
        .route("/v1/videos/{id}/remix", post(videos::remix))
        .route("/v1/fine_tuning/jobs", post(fine_tuning::create).get(fine_tuning::list))
        .route("/v1/fine_tuning/jobs/{id}", get(fine_tuning::get))
        .route("/v1/fine_tuning/jobs/{id}/cancel", post(fine_tuning::cancel))
        .route("/v1/fine_tuning/jobs/{id}/events", get(fine_tuning::events))
        .route("/v1/files", post(files::create).get(files::list))
        .route("/v1/files/{id}", get(files::get).delete(files::delete))
        .route("/v1/files/{id}/content", get(files::content))
}

async fn list_models(Extension(call): Extension<Arc<Call>>) -> Reply {
    if call.dialect == Dialect::Anthropic {
        return crate::anthropic::list_models(&call);
    }
    let data: Vec<Value> = MODELS.iter().map(|id| model(id)).collect();
    Reply::json(&json!({"object": "list", "data": data}))
}

async fn get_model(Extension(call): Extension<Arc<Call>>, Path(id): Path<String>) -> Answer {
    if call.dialect == Dialect::Anthropic {
        return crate::anthropic::get_model(&id);
    }
    known(&id)?;
    Ok(Reply::json(&model(&id)))
}

fn model(id: &str) -> Value {
    json!({"id": id, "object": "model", "created": 1_767_225_600, "owned_by": "mock"})
}

/// Refuse the models that do not exist: those whose name starts with `missing`.
fn known(model: &str) -> Result<(), Reply> {
    if !model.starts_with("missing") {
        return Ok(());
    }
    let message = format!("The model `{model}` does not exist or you do not have access to it.");
    Err(Dialect::OpenAi.refuse_about(StatusCode::NOT_FOUND, &message, None, Some("model_not_found")))
}

/// The request's model, or the refusal of a request that names none.
fn required_model(call: &Call) -> Result<String, Reply> {
    let model = required(call, "model")?;
    known(&model)?;
    Ok(model)
}

/// A text parameter that must be there.
fn required(call: &Call, name: &str) -> Result<String, Reply> {
    call.text(name).map(str::to_owned).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Reply {
    let message = format!("Missing required parameter: '{name}'.");
    invalid(&message, name, "missing_required_parameter")
}

fn invalid(message: &str, param: &str, code: &str) -> Reply {
    Dialect::OpenAi.refuse_about(StatusCode::BAD_REQUEST, message, Some(param), Some(code))
}

fn not_found(what: &str, id: &str) -> Reply {
    Dialect::OpenAi.refuse_about(StatusCode::NOT_FOUND, &format!("No such {what}: {id}"), Some("id"), None)
}
