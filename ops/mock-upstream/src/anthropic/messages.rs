//! `POST /v1/messages`.

use std::sync::Arc;

use axum::Extension;
use serde_json::{Value, json};

use super::{invalid, known, stream, version};
use crate::answer::{self, Prompt};
use crate::call::Call;
use crate::reply::{Answer, Reply};

/// The smallest thinking budget that the API accepts, in tokens.
const THINKING_TOKENS_MIN: u64 = 1024;

/// One block of the answer's content.
pub(super) enum Block {
    Thinking { text: String, signature: String },
    Text(Vec<String>),
    ToolUse { id: String, name: String, input: Value },
}

/// An answer that is ready to be sent in one piece or in many.
pub(super) struct Message {
    pub id: String,
    pub model: String,
    pub blocks: Vec<Block>,
    pub stop_reason: &'static str,
    pub stop_sequence: Option<String>,
    pub input_tokens: usize,
    pub output_tokens: usize,
}

pub(super) async fn create(Extension(call): Extension<Arc<Call>>) -> Answer {
    let message = compose(&call)?;
    if call.flag("stream") {
        return Ok(Reply::events(stream::events(&message)).charged());
    }
    let content: Vec<Value> = message.blocks.iter().map(Block::whole).collect();
    let body = message.envelope(content, json!(message.stop_reason), message.output_tokens);
    Ok(Reply::json(&body).charged())
}

pub(super) async fn count_tokens(Extension(call): Extension<Arc<Call>>) -> Answer {
    version::check(&call)?;
    let prompt = prompt(&call)?;
    Ok(Reply::json(&json!({"input_tokens": prompt.input_tokens})))
}

impl Block {
    fn whole(&self) -> Value {
        match self {
            Self::Thinking { text, signature } => {
                json!({"type": "thinking", "thinking": text, "signature": signature})
            }
            Self::Text(tokens) => json!({"type": "text", "text": tokens.concat()}),
            Self::ToolUse { id, name, input } => {
                json!({"type": "tool_use", "id": id, "name": name, "input": input})
            }
        }
    }

    fn tokens(&self) -> usize {
        match self {
            Self::Thinking { text, .. } => text.split_whitespace().count(),
            Self::Text(tokens) => tokens.len(),
            Self::ToolUse { input, .. } => input.to_string().len().div_ceil(4),
        }
    }
}

impl Message {
    /// The message object with this much of its content and usage filled in.
    pub fn envelope(&self, content: Vec<Value>, stop_reason: Value, output_tokens: usize) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop_reason,
            "stop_sequence": if stop_reason.is_null() { None } else { self.stop_sequence.as_deref() },
            "usage": {
                "input_tokens": self.input_tokens,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": output_tokens,
                "service_tier": "standard",
            },
        })
    }
}

fn prompt(call: &Call) -> Result<Prompt, Reply> {
    let messages = call.json["messages"].as_array().ok_or_else(|| invalid("messages: Field required"))?;
    if messages.is_empty() {
        return Err(invalid("messages: at least one message is required"));
    }
    let mut prompt = Prompt::default();
    prompt.add("system", &call.json["system"]);
    for (at, message) in messages.iter().enumerate() {
        match message["role"].as_str() {
            Some(role @ ("user" | "assistant")) => prompt.add(role, &message["content"]),
            _ => {
                let message = format!("messages.{at}.role: Input should be 'user' or 'assistant'");
                return Err(invalid(&message));
            }
        }
    }
    Ok(prompt)
}

fn compose(call: &Call) -> Result<Message, Reply> {
    version::check(call)?;
    let model = call.text("model").ok_or_else(|| invalid("model: Field required"))?.to_owned();
    known(&model)?;
    let most = call.number_of("max_tokens").ok_or_else(|| invalid("max_tokens: Field required"))?;
    if most == 0 {
        return Err(invalid("max_tokens: must be greater than or equal to 1"));
    }
    let prompt = prompt(call)?;
    let mut blocks: Vec<Block> = thinking(call, &prompt)?.into_iter().collect();
    let (stop_reason, stop_sequence) = speak(call, &prompt, most, &mut blocks);
    Ok(Message {
        id: call.id("msg_mock"),
        model,
        stop_reason,
        stop_sequence,
        input_tokens: prompt.input_tokens,
        output_tokens: blocks.iter().map(Block::tokens).sum(),
        blocks,
    })
}

fn thinking(call: &Call, prompt: &Prompt) -> Result<Option<Block>, Reply> {
    let wish = &call.json["thinking"];
    match wish["type"].as_str() {
        Some("enabled") => {
            if wish["budget_tokens"].as_u64().is_none_or(|budget| budget < THINKING_TOKENS_MIN) {
                let message = "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024";
                return Err(invalid(message));
            }
        }
        Some("adaptive") => {}
        _ => return Ok(None),
    }
    let text = format!("The user wrote: {}", prompt.last_user_text);
    let signature = answer::base64(&answer::seed(&text).to_le_bytes());
    Ok(Some(Block::Thinking { text, signature }))
}

/// Add what is said to `blocks`; the result is the stop reason and the stop sequence met.
fn speak(call: &Call, prompt: &Prompt, most: u64, blocks: &mut Vec<Block>) -> (&'static str, Option<String>) {
    if let Some(echo) = call.echo() {
        blocks.push(Block::Text(answer::tokens(call, &echo)));
        return ("end_turn", None);
    }
    if let Some(tool) = tool_use(call, prompt) {
        blocks.push(Block::Text(answer::tokens(call, "Let me look that up.")));
        blocks.push(tool);
        return ("tool_use", None);
    }
    let mut text = prompt.text();
    for format in [&call.json["output_config"]["format"], &call.json["output_format"]] {
        if format["type"] == "json_schema" {
            text = answer::instance(&format["schema"], &text).to_string();
        }
    }
    let stops = call.json["stop_sequences"].as_array().map(Vec::as_slice).unwrap_or_default();
    let met = stops.iter().filter_map(|stop| Some((text.find(stop.as_str()?)?, stop.as_str()?))).min();
    if let Some((at, stop)) = met {
        blocks.push(Block::Text(answer::tokens(call, &text[..at])));
        return ("stop_sequence", Some(stop.to_owned()));
    }
    let mut tokens = answer::tokens(call, &text);
    let cut = (most as usize) < tokens.len();
    tokens.truncate(most as usize);
    blocks.push(Block::Text(tokens));
    (if cut { "max_tokens" } else { "end_turn" }, None)
}

fn tool_use(call: &Call, prompt: &Prompt) -> Option<Block> {
    let tools = call.json["tools"].as_array().filter(|tools| !tools.is_empty())?;
    let choice = &call.json["tool_choice"];
    let named = choice["name"].as_str();
    let forced = matches!(choice["type"].as_str(), Some("any" | "tool"));
    if choice["type"] == "none" || !prompt.wants_tool(forced) {
        return None;
    }
    let tool = tools.iter().find(|tool| named.is_none_or(|name| tool["name"] == name))?;
    let input = answer::instance(&tool["input_schema"], "mock");
    Some(Block::ToolUse {
        id: call.id("toolu_mock"),
        name: tool["name"].as_str()?.to_owned(),
        input: if input.is_object() { input } else { json!({}) },
    })
}
