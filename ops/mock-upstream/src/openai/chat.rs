//! `POST /v1/chat/completions`.

use std::sync::Arc;

use axum::Extension;
use serde_json::{Value, json};

use super::{chat_stream, invalid, missing, required_model};
use crate::answer::{self, Prompt};
use crate::call::{Call, created_at};
use crate::reply::{Answer, Reply};

/// Most choices of one request, as the API bounds `n`.
const CHOICES_MAX: u64 = 128;

/// What the answer holds.
pub(super) enum Said {
    Text(Vec<String>),
    Tool { id: String, name: String, arguments: String },
}

/// An answer that is ready to be sent in one piece or in many.
pub(super) struct Completion {
    pub id: String,
    pub created: u64,
    pub model: String,
    pub said: Said,
    pub choices: u64,
    pub finish_reason: &'static str,
    pub usage: Value,
}

pub(super) async fn create(Extension(call): Extension<Arc<Call>>) -> Answer {
    let completion = complete(&call)?;
    if call.flag("stream") {
        let with_usage = call.json["stream_options"]["include_usage"].as_bool().unwrap_or(false);
        return Ok(Reply::events(chat_stream::events(&completion, with_usage)).charged());
    }
    let choices: Vec<Value> = (0..completion.choices).map(|index| choice(&completion, index)).collect();
    let mut body = json!({
        "id": completion.id,
        "object": "chat.completion",
        "created": completion.created,
        "model": completion.model,
        "choices": choices,
        "usage": completion.usage,
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
    });
    if let Some(model) = call.json["moderation"]["model"].as_str() {
        body["moderation"] = json!({"input": judged(model), "output": judged(model)});
    }
    Ok(Reply::json(&body).charged())
}

/// A verdict that finds nothing.
fn judged(model: &str) -> Value {
    let result = json!({
        "type": "moderation_result", "model": model, "flagged": false, "categories": {"violence": false},
        "category_scores": {"violence": 0.01}, "category_applied_input_types": {"violence": ["text"]},
    });
    json!({"type": "moderation_results", "model": model, "results": [result]})
}

fn complete(call: &Call) -> Result<Completion, Reply> {
    let model = required_model(call)?;
    let messages = call.json["messages"].as_array().ok_or_else(|| missing("messages"))?;
    if messages.is_empty() {
        return Err(invalid("Invalid 'messages': an empty array.", "messages", "empty_array"));
    }
    let choices = call.number_of("n").unwrap_or(1);
    if !(1..=CHOICES_MAX).contains(&choices) {
        return Err(invalid("Invalid 'n': use 1 to 128.", "n", "invalid_value"));
    }
    let mut prompt = Prompt::default();
    for message in messages {
        let role = message["role"].as_str();
        let role = role.ok_or_else(|| missing("messages[].role"))?;
        prompt.add(role, &message["content"]);
    }
    let (said, finish_reason) = say(call, &prompt);
    let output = match &said {
        Said::Text(tokens) => tokens.len(),
        Said::Tool { arguments, .. } => arguments.len().div_ceil(4),
    };
    Ok(Completion {
        id: call.id("chatcmpl-mock"),
        created: created_at(call.number),
        model,
        said,
        choices,
        finish_reason,
        usage: usage(prompt.input_tokens, output * choices as usize),
    })
}

fn say(call: &Call, prompt: &Prompt) -> (Said, &'static str) {
    if let Some(echo) = call.echo() {
        return (Said::Text(answer::tokens(call, &echo)), "stop");
    }
    if let Some(tool) = tool_call(call, prompt) {
        return (tool, "tool_calls");
    }
    let text = formatted(&call.json["response_format"], prompt.text());
    let text = match first_stop(&call.json["stop"], &text) {
        Some(at) => text[..at].to_owned(),
        None => text,
    };
    let mut tokens = answer::tokens(call, &text);
    let most = call.number_of("max_completion_tokens").or_else(|| call.number_of("max_tokens"));
    if let Some(most) = most.filter(|most| (*most as usize) < tokens.len()) {
        tokens.truncate(most as usize);
        return (Said::Text(tokens), "length");
    }
    (Said::Text(tokens), "stop")
}

/// The text in the format asked for: as it is, some JSON object, or an instance of a schema.
fn formatted(format: &Value, text: String) -> String {
    match format["type"].as_str() {
        Some("json_schema") => answer::instance(&format["json_schema"]["schema"], &text).to_string(),
        Some("json_object") => json!({"answer": text}).to_string(),
        _ => text,
    }
}

fn first_stop(stop: &Value, text: &str) -> Option<usize> {
    let listed = stop.as_array().map(Vec::as_slice).unwrap_or(std::slice::from_ref(stop));
    listed.iter().filter_map(Value::as_str).filter_map(|stop| text.find(stop)).min()
}

fn tool_call(call: &Call, prompt: &Prompt) -> Option<Said> {
    let tools = call.json["tools"].as_array().filter(|tools| !tools.is_empty())?;
    let choice = &call.json["tool_choice"];
    let named = choice["function"]["name"].as_str();
    let forced = named.is_some() || choice == "required";
    if choice == "none" || !prompt.wants_tool(forced) {
        return None;
    }
    let wanted = |tool: &&Value| named.is_none_or(|name| tool["function"]["name"] == name);
    let function = &tools.iter().find(wanted)?["function"];
    let arguments = answer::instance(&function["parameters"], "mock");
    Some(Said::Tool {
        id: call.id("call_mock"),
        name: function["name"].as_str()?.to_owned(),
        arguments: if arguments.is_object() { arguments.to_string() } else { "{}".to_owned() },
    })
}

fn choice(completion: &Completion, index: u64) -> Value {
    let (content, calls) = match &completion.said {
        Said::Text(tokens) => (Value::String(tokens.concat()), None),
        Said::Tool { id, name, arguments } => {
            let function = json!({"name": name, "arguments": arguments});
            (Value::Null, Some(json!([{"id": id, "type": "function", "function": function}])))
        }
    };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null, "annotations": []});
    if let Some(calls) = calls {
        message["tool_calls"] = calls;
    }
    json!({
        "index": index,
        "message": message,
        "logprobs": null,
        "finish_reason": completion.finish_reason,
    })
}

fn usage(input: usize, output: usize) -> Value {
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input + output,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}
