//! `GET /v1/models…`.

use std::sync::Arc;

use axum::Extension;
use axum::extract::Path;
use serde_json::{Value, json};

use super::not_found;
use crate::call::Call;
use crate::reply::{Answer, Reply};

const MODELS: [(&str, &str); 3] = [("mock", "image"), ("mock", "upscaler"), ("mock", "video")];
/// The one version that every model has.
pub(super) const VERSION: &str = "5c7d5dc6dd8bf75c1acaa8565735e7986bc5b66206b55cca93cb72c9bf15ccaa";
const CREATED_AT: &str = "2026-01-01T00:00:00.000000Z";

pub(super) async fn list(Extension(call): Extension<Arc<Call>>) -> Reply {
    let results: Vec<Value> = MODELS.iter().map(|(owner, name)| model(&call, owner, name)).collect();
    Reply::json(&json!({"next": null, "previous": null, "results": results}))
}

pub(super) async fn get(
    Extension(call): Extension<Arc<Call>>,
    Path((owner, name)): Path<(String, String)>,
) -> Answer {
    known(&name)?;
    Ok(Reply::json(&model(&call, &owner, &name)))
}

pub(super) async fn versions(Path((_, name)): Path<(String, String)>) -> Answer {
    known(&name)?;
    Ok(Reply::json(&json!({"next": null, "previous": null, "results": [version(&name)]})))
}

pub(super) async fn version_of(Path((_, name, id)): Path<(String, String, String)>) -> Answer {
    known(&name)?;
    if id == VERSION { Ok(Reply::json(&version(&name))) } else { Err(not_found()) }
}

/// Refuse the models that do not exist: those whose name starts with `missing`.
pub(super) fn known(name: &str) -> Result<(), Reply> {
    if name.starts_with("missing") { Err(not_found()) } else { Ok(()) }
}

fn model(call: &Call, owner: &str, name: &str) -> Value {
    json!({
        "url": format!("{}/{owner}/{name}", call.base_url),
        "owner": owner,
        "name": name,
        "description": if films(name) { "Films nothing at all: a video." } else { "Paints one colour." },
        "visibility": "public",
        "github_url": null,
        "paper_url": null,
        "license_url": null,
        "run_count": 1,
        "cover_image_url": null,
        "default_example": null,
        "latest_version": version(name),
    })
}

/// Whether a model makes films: those whose name has the word.
pub(super) fn films(name: &str) -> bool {
    name.contains("video")
}

/// The version of a model; one whose name ends with `trainer` can be trained.
fn version(name: &str) -> Value {
    let prompt = json!({"type": "string", "title": "Prompt", "x-order": 0, "description": "What to paint"});
    let count = json!({"type": "integer", "title": "Num Outputs", "x-order": 1, "default": 1, "minimum": 1, "maximum": 4});
    let address = |title: &str| json!({"type": "string", "format": "uri", "title": title});
    let properties = match films(name) {
        false => json!({"prompt": prompt, "num_outputs": count}),
        true => json!({"prompt": prompt, "image": address("Image"), "video": address("Video"),
            "duration": {"type": "integer", "title": "Duration"}, "size": {"type": "string", "title": "Size"}}),
    };
    let input = json!({
        "type": "object",
        "title": "Input",
        "required": ["prompt"],
        "properties": properties,
    });
    let output = json!({"type": "array", "title": "Output", "items": {"type": "string", "format": "uri"}});
    let mut schemas = json!({"Input": input, "Output": output});
    if name.ends_with("trainer") {
        let data = json!({"type": "string", "format": "uri", "title": "Train Data"});
        let steps = json!({"type": "integer", "title": "Steps", "default": 1000});
        schemas["TrainingInput"] = json!({"type": "object", "title": "TrainingInput", "properties": {"train_data": data, "steps": steps}});
    }
    json!({
        "id": VERSION,
        "created_at": CREATED_AT,
        "cog_version": "0.9.0",
        "openapi_schema": {
            "openapi": "3.0.2",
            "info": {"title": "Cog", "version": "0.1.0"},
            "components": {"schemas": schemas},
        },
    })
}
