//! Ollama's native API (<https://github.com/ollama/ollama/blob/main/docs/api.md>), below `/ollama`.

use std::sync::Arc;

use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router};
use bytes::Bytes;
use serde_json::{Value, json};

use crate::answer::{self, Prompt};
use crate::call::Call;
use crate::dialect::Dialect;
use crate::reply::{Answer, Reply};
use crate::server::Shared;

const CREATED_AT: &str = "2026-01-01T00:00:00.000000Z";
/// What every model claims as its digest.
const DIGEST: &str = "0000000000000000000000000000000000000000000000000000000000000000";

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/api/chat", post(chat))
        .route("/api/tags", get(tags))
        .route("/api/version", get(async || Reply::json(&json!({"version": "0.12.0"}))))
}

async fn chat(Extension(call): Extension<Arc<Call>>) -> Answer {
    let refuse = |status, message: &str| Dialect::Ollama.refuse(status, message);
    let model = call.text("model").ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "model is required"))?;
    if model.starts_with("missing") {
        let message = format!("model '{model}' not found");
        return Err(refuse(StatusCode::NOT_FOUND, &message));
    }
    let mut prompt = Prompt::default();
    for message in call.json["messages"].as_array().map(Vec::as_slice).unwrap_or_default() {
        prompt.add(message["role"].as_str().unwrap_or_default(), &message["content"]);
        prompt.images += message["images"].as_array().map_or(0, Vec::len);
    }
    let (tokens, calls) = say(&call, &prompt);
    let line =
        |message: Value| json!({"model": model, "created_at": CREATED_AT, "message": message, "done": false});
    let finish = |mut line: Value| {
        line["done"] = json!(true);
        line["done_reason"] = json!("stop");
        line["total_duration"] = json!(5_000_000);
        line["load_duration"] = json!(1_000_000);
        line["prompt_eval_count"] = json!(prompt.input_tokens);
        line["prompt_eval_duration"] = json!(1_000_000);
        line["eval_count"] = json!(tokens.len());
        line["eval_duration"] = json!(3_000_000);
        line
    };
    if call.json["stream"] == false {
        let mut message = json!({"role": "assistant", "content": tokens.concat()});
        if let Some(calls) = calls {
            message["tool_calls"] = calls;
        }
        return Ok(Reply::json(&finish(line(message))).charged());
    }
    let mut lines: Vec<Value> =
        tokens.iter().map(|token| line(json!({"role": "assistant", "content": token}))).collect();
    if let Some(calls) = calls {
        lines.push(line(json!({"role": "assistant", "content": "", "tool_calls": calls})));
    }
    lines.push(finish(line(json!({"role": "assistant", "content": ""}))));
    let lines = lines.into_iter().map(|line| Bytes::from(format!("{line}\n"))).collect();
    Ok(Reply::pieces("application/x-ndjson", lines).charged())
}

/// The answer's tokens, or the tool calls in their place.
fn say(call: &Call, prompt: &Prompt) -> (Vec<String>, Option<Value>) {
    if let Some(echo) = call.echo() {
        return (answer::tokens(call, &echo), None);
    }
    let tool = &call.json["tools"][0]["function"];
    if tool.is_object() && prompt.wants_tool(false) {
        let arguments = answer::instance(&tool["parameters"], "mock");
        let arguments = if arguments.is_object() { arguments } else { json!({}) };
        return (Vec::new(), Some(json!([{"function": {"name": tool["name"], "arguments": arguments}}])));
    }
    let text = match &call.json["format"] {
        schema @ Value::Object(_) => answer::instance(schema, &prompt.text()).to_string(),
        Value::String(json) if json == "json" => json!({"answer": prompt.text()}).to_string(),
        _ => prompt.text(),
    };
    (answer::tokens(call, &text), None)
}

async fn tags() -> Reply {
    let model = |name: &str| {
        json!({
            "name": name,
            "model": name,
            "modified_at": CREATED_AT,
            "size": 1_000_000,
            "digest": DIGEST,
            "details": {
                "parent_model": "",
                "format": "gguf",
                "family": "mock",
                "families": ["mock"],
                "parameter_size": "1M",
                "quantization_level": "Q4_0",
            },
        })
    };
    let models = ["mock-chat:latest", "mock-small:latest"].map(model);
    Reply::json(&json!({"models": models}))
}
