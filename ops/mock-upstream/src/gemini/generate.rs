//! `generateContent` and `streamGenerateContent`.

use serde_json::{Value, json};

use super::invalid;
use crate::answer::{self, Prompt};
use crate::call::Call;
use crate::reply::{Answer, Reply, data};

/// What the model says: parts of its content, in the pieces that a stream sends.
struct Said {
    parts: Vec<Value>,
    finish_reason: &'static str,
    input_tokens: usize,
}

pub(super) fn whole(call: &Call, model: &str) -> Answer {
    let said = compose(call)?;
    let mut text = String::new();
    let mut parts = Vec::new();
    for part in &said.parts {
        match part["text"].as_str() {
            Some(piece) => text.push_str(piece),
            None => parts.push(part.clone()),
        }
    }
    if !text.is_empty() {
        parts.insert(0, json!({"text": text}));
    }
    Ok(Reply::json(&said.piece(call, model, parts, true, said.parts.len())).charged())
}

/// Each piece is a whole answer of its own, with its part of the text; nothing but the last one's `finishReason` tells the end.
pub(super) fn streamed(call: &Call, model: &str) -> Answer {
    if call.query("alt") != Some("sse") {
        return Err(invalid("This server streams with alt=sse only."));
    }
    let said = compose(call)?;
    let last = said.parts.len().saturating_sub(1);
    let pieces =
        said.parts.iter().enumerate().map(|(place, part)| {
            data(&said.piece(call, model, vec![part.clone()], place == last, place + 1))
        });
    Ok(Reply::events(pieces.collect()).charged())
}

impl Said {
    fn piece(&self, call: &Call, model: &str, parts: Vec<Value>, last: bool, tokens: usize) -> Value {
        let mut candidate = json!({"content": {"parts": parts, "role": "model"}, "index": 0});
        if last {
            candidate["finishReason"] = json!(self.finish_reason);
        }
        json!({
            "candidates": [candidate],
            "usageMetadata": {
                "promptTokenCount": self.input_tokens,
                "candidatesTokenCount": tokens,
                "totalTokenCount": self.input_tokens + tokens,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": self.input_tokens}],
            },
            "modelVersion": model,
            "responseId": call.id("mock"),
        })
    }
}

fn compose(call: &Call) -> Result<Said, Reply> {
    let prompt = prompt(call)?;
    let said = |parts, finish_reason| Said { parts, finish_reason, input_tokens: prompt.input_tokens };
    if let Some(echo) = call.echo() {
        return Ok(said(texts(answer::tokens(call, &echo)), "STOP"));
    }
    if let Some(tool) = function_call(call, &prompt) {
        return Ok(said(vec![json!({"text": "Let me look that up."}), tool], "STOP"));
    }
    let config = &call.json["generationConfig"];
    let mut text = prompt.text();
    if config["responseJsonSchema"].is_object() {
        text = answer::instance(&config["responseJsonSchema"], &text).to_string();
    }
    let mut tokens = answer::tokens(call, &text);
    let most = config["maxOutputTokens"].as_u64().map_or(usize::MAX, |most| most as usize);
    let cut = most < tokens.len();
    tokens.truncate(most);
    Ok(said(texts(tokens), if cut { "MAX_TOKENS" } else { "STOP" }))
}

fn texts(tokens: Vec<String>) -> Vec<Value> {
    tokens.into_iter().map(|token| json!({"text": token})).collect()
}

fn prompt(call: &Call) -> Result<Prompt, Reply> {
    let contents = call.json["contents"].as_array().filter(|contents| !contents.is_empty());
    let contents =
        contents.ok_or_else(|| invalid("* GenerateContentRequest.contents: contents is not specified"))?;
    let mut prompt = Prompt::default();
    prompt.add("system", &call.json["systemInstruction"]["parts"]);
    for content in contents {
        let role = content["role"].as_str().unwrap_or("user");
        if !matches!(role, "user" | "model") {
            return Err(invalid("Please use a valid role: user, model."));
        }
        let parts = content["parts"].as_array().map(Vec::as_slice).unwrap_or_default();
        if parts.is_empty() {
            return Err(invalid(
                "* GenerateContentRequest.contents[0].parts: contents.parts must not be empty.",
            ));
        }
        let result = parts.iter().rev().find_map(|part| part.get("functionResponse"));
        if result.is_some_and(|result| !result["name"].is_string() || !result["response"].is_object()) {
            return Err(invalid("* function_response: a name and an object are required."));
        }
        if result.is_none() {
            prompt.add(role, &content["parts"]);
        }
        prompt.tool_result = result.map(|result| result["response"].to_string());
        let is_image = |part: &&Value| part.get("inlineData").or_else(|| part.get("fileData")).is_some();
        prompt.images += parts.iter().filter(is_image).count();
    }
    Ok(prompt)
}

fn function_call(call: &Call, prompt: &Prompt) -> Option<Value> {
    let declared = call.json["tools"][0]["functionDeclarations"].as_array()?;
    let choice = &call.json["toolConfig"]["functionCallingConfig"];
    let named = choice["allowedFunctionNames"][0].as_str();
    if choice["mode"] == "NONE" || !prompt.wants_tool(choice["mode"] == "ANY") {
        return None;
    }
    let tool = declared.iter().find(|tool| named.is_none_or(|name| tool["name"] == name))?;
    let args = answer::instance(&tool["parametersJsonSchema"], "mock");
    let args = if args.is_object() { args } else { json!({}) };
    Some(json!({"functionCall": {"name": tool["name"], "args": args}, "thoughtSignature": "bW9jaw=="}))
}
