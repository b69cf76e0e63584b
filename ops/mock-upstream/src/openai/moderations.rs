//! `POST /v1/moderations`: texts that speak of violence are flagged.

use std::sync::Arc;

use axum::Extension;
use serde_json::{Map, Value, json};

use super::missing;
use crate::call::Call;
use crate::reply::{Answer, Reply};

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/intent",
    "self-harm/instructions",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) async fn create(Extension(call): Extension<Arc<Call>>) -> Answer {
    let model = call.model().unwrap_or("omni-moderation-latest");
    let results: Vec<Value> = match &call.json["input"] {
        Value::String(text) => vec![judge(text)],
        Value::Array(list) if list.iter().all(Value::is_string) => {
            list.iter().filter_map(Value::as_str).map(judge).collect()
        }
        // Parts of one multimodal input are judged together.
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part["text"].as_str()).collect();
            vec![judge(&texts.join(" "))]
        }
        _ => return Err(missing("input")),
    };
    Ok(Reply::json(&json!({"id": call.id("modr-mock"), "model": model, "results": results})))
}

fn judge(text: &str) -> Value {
    let text = text.to_lowercase();
    let violent = ["violence", "kill", "murder"].iter().any(|word| text.contains(word));
    let is = |category: &str| violent && category == "violence";
    let each = |value: &dyn Fn(&str) -> Value| {
        CATEGORIES.iter().map(|name| ((*name).to_owned(), value(name))).collect::<Map<_, _>>()
    };
    json!({
        "flagged": violent,
        "categories": each(&|name| json!(is(name))),
        "category_scores": each(&|name| json!(if is(name) { 0.98 } else { 0.000_1 })),
        "category_applied_input_types": each(&|_| json!(["text"])),
    })
}
