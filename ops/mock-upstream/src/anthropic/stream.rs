//! A message as the events of the Messages API's stream.

use bytes::Bytes;
use serde_json::{Value, json};

use super::messages::{Block, Message};
use crate::answer::fragments;
use crate::reply::event;

/// Characters of a tool's input in each event.
const INPUT_PIECE: usize = 5;

/// Every event, from `message_start` to `message_stop`.
pub(super) fn events(message: &Message) -> Vec<Bytes> {
    let opening = message.envelope(Vec::new(), Value::Null, 1);
    let mut events = vec![named("message_start", json!({"message": opening}))];
    for (index, block) in message.blocks.iter().enumerate() {
        let (start, deltas) = parts(block);
        events.push(named("content_block_start", json!({"index": index, "content_block": start})));
        if index == 0 {
            events.push(named("ping", json!({})));
        }
        for delta in deltas {
            events.push(named("content_block_delta", json!({"index": index, "delta": delta})));
        }
        events.push(named("content_block_stop", json!({"index": index})));
    }
    let delta = json!({"stop_reason": message.stop_reason, "stop_sequence": message.stop_sequence});
    let usage = json!({
        "input_tokens": message.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": message.output_tokens,
    });
    events.push(named("message_delta", json!({"delta": delta, "usage": usage})));
    events.push(named("message_stop", json!({})));
    events
}

/// How a block starts, and what is added to it.
fn parts(block: &Block) -> (Value, Vec<Value>) {
    match block {
        Block::Thinking { text, signature } => {
            let start = json!({"type": "thinking", "thinking": "", "signature": ""});
            let words =
                text.split_inclusive(' ').map(|word| json!({"type": "thinking_delta", "thinking": word}));
            let sealed = json!({"type": "signature_delta", "signature": signature});
            (start, words.chain(std::iter::once(sealed)).collect())
        }
        Block::Text(tokens) => {
            let words = tokens.iter().map(|token| json!({"type": "text_delta", "text": token}));
            (json!({"type": "text", "text": ""}), words.collect())
        }
        Block::ToolUse { id, name, input } => {
            let start = json!({"type": "tool_use", "id": id, "name": name, "input": {}});
            let input = fragments(&input.to_string(), INPUT_PIECE);
            // The first fragment of a real stream is empty.
            let pieces = std::iter::once(String::new()).chain(input);
            (start, pieces.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect())
        }
    }
}

/// An event whose data repeats its name as `type`.
fn named(name: &str, mut body: Value) -> Bytes {
    body["type"] = json!(name);
    event(name, &body)
}
