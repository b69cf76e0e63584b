//! A chat completion as `chat.completion.chunk` events.

use bytes::Bytes;
use serde_json::{Value, json};

use super::chat::{Completion, Said};
use crate::answer::fragments;
use crate::reply::data;

/// Characters of a tool call's arguments in each event.
const ARGUMENT_PIECE: usize = 5;

/// Every event of the stream, `[DONE]` included.
pub(super) fn events(completion: &Completion, with_usage: bool) -> Vec<Bytes> {
    let mut events = Vec::new();
    for index in 0..completion.choices {
        let deltas = match &completion.said {
            Said::Text(tokens) => text(tokens),
            Said::Tool { id, name, arguments } => tool(id, name, arguments),
        };
        for delta in deltas {
            let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": null});
            events.push(chunk(completion, json!([choice]), with_usage.then_some(Value::Null)));
        }
        let finish = completion.finish_reason;
        let choice = json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": finish});
        events.push(chunk(completion, json!([choice]), with_usage.then_some(Value::Null)));
    }
    if with_usage {
        events.push(chunk(completion, json!([]), Some(completion.usage.clone())));
    }
    events.push(Bytes::from_static(b"data: [DONE]\n\n"));
    events
}

fn text(tokens: &[String]) -> Vec<Value> {
    let opening = json!({"role": "assistant", "content": "", "refusal": null});
    let rest = tokens.iter().map(|token| json!({"content": token}));
    std::iter::once(opening).chain(rest).collect()
}

fn tool(id: &str, name: &str, arguments: &str) -> Vec<Value> {
    let function = json!({"name": name, "arguments": ""});
    let call = json!([{"index": 0, "id": id, "type": "function", "function": function}]);
    let opening = json!({"role": "assistant", "content": null, "tool_calls": call, "refusal": null});
    let rest = fragments(arguments, ARGUMENT_PIECE)
        .into_iter()
        .map(|piece| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
    std::iter::once(opening).chain(rest).collect()
}

fn chunk(completion: &Completion, choices: Value, usage: Option<Value>) -> Bytes {
    let mut chunk = json!({
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
        "service_tier": "default",
        "system_fingerprint": "fp_mock",
        "choices": choices,
    });
    if let Some(usage) = usage {
        chunk["usage"] = usage;
    }
    data(&chunk)
}
