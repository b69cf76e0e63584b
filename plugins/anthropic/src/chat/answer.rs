//! An answer that comes at once.

use super::block::{self, Block};
use crate::usage::Usage;
use atelier_plugin_sdk::chat::{ChatEvent, Started, ToolCallDelta, ToolCallStart};
use atelier_plugin_sdk::{Failure, json};
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(default)]
    id: String,
    #[serde(default)]
    model: String,
    #[serde(borrow)]
    content: Vec<&'a RawValue>,
    stop_reason: Option<String>,
    stop_sequence: Option<String>,
    usage: Option<Usage>,
}

/// A message's body as the events of a good answer.
pub fn events(body: &[u8]) -> Result<Vec<ChatEvent>, Failure> {
    let message: Message<'_> = json::parse(body)?;
    let Some(reason) = message.stop_reason else {
        return Err(Failure::bad_response("the provider's answer does not say why it ended"));
    };
    let mut events = Vec::with_capacity(message.content.len() + 3);
    events.push(ChatEvent::Started(Started { id: message.id, model: message.model }));
    let mut calls = 0;
    for raw in message.content {
        take_block(raw, &mut calls, &mut events)?;
    }
    events.extend(message.stop_sequence.as_deref().and_then(block::stop_sequence));
    events.push(ChatEvent::Finished(block::finish_reason(reason)));
    events.extend(message.usage.map(|usage| ChatEvent::Usage(usage.lines())));
    Ok(events)
}

fn take_block(raw: &RawValue, calls: &mut u32, events: &mut Vec<ChatEvent>) -> Result<(), Failure> {
    let found: Block<'_> = json::parse_text(raw.get())?;
    match found.kind.as_str() {
        "text" => {
            if !found.text.is_empty() {
                events.push(ChatEvent::Text(found.text));
            }
            let citations =
                found.citations.map(RawValue::get).filter(|list| *list != "null" && *list != "[]");
            events.extend(citations.map(|list| block::other("citations", list)));
        }
        "thinking" => events.extend(block::thinking(found.thinking, found.signature)),
        "tool_use" => {
            let (index, id, name) = (*calls, found.id, found.name);
            let arguments = found.input.map_or("{}", RawValue::get).to_owned();
            events.push(ChatEvent::ToolCallStart(ToolCallStart { index, id, name, signature: None }));
            events.push(ChatEvent::ToolCallDelta(ToolCallDelta { index, arguments }));
            *calls += 1;
        }
        kind => events.push(block::other(kind, raw.get())),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_plugin_sdk::chat::FinishReason;

    const BODY: &str = r####"{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5-5","content":[
        {"type":"thinking","thinking":"Let me see","signature":"c2ln"},
        {"type":"redacted_thinking","data":"xyz"},
        {"type":"text","text":"Here","citations":null},
        {"type":"text","text":"","citations":[{"type":"page_location","cited_text":"c"}]},
        {"type":"tool_use","id":"toolu_1","name":"weather","input":{"city":"Paris"}},
        {"type":"tool_use","id":"toolu_2","name":"now","input":{}}],
        "stop_reason":"tool_use","stop_sequence":null,
        "usage":{"input_tokens":10,"output_tokens":20}}"####;

    #[test]
    fn every_block_becomes_its_event_in_order() {
        let events = events(BODY.as_bytes()).unwrap();
        let [
            ChatEvent::Started(started),
            ChatEvent::Thinking(thinking),
            ChatEvent::Other(redacted),
            ChatEvent::Text(text),
            ChatEvent::Other(citations),
            ChatEvent::ToolCallStart(first),
            ChatEvent::ToolCallDelta(arguments),
            ChatEvent::ToolCallStart(second),
            ChatEvent::ToolCallDelta(_),
            ChatEvent::Finished(FinishReason::ToolCalls),
            ChatEvent::Usage(usage),
        ] = events.as_slice()
        else {
            panic!("{events:?}")
        };
        assert_eq!((started.id.as_str(), text.as_str()), ("msg_1", "Here"));
        assert_eq!((thinking.text.as_str(), thinking.signature.as_deref()), ("Let me see", Some("c2ln")));
        assert_eq!(redacted.kind, "anthropic.redacted_thinking");
        assert_eq!(redacted.json, r#"{"type":"redacted_thinking","data":"xyz"}"#);
        assert_eq!(citations.kind, "anthropic.citations");
        assert_eq!((first.index, first.id.as_str(), first.name.as_str()), (0, "toolu_1", "weather"));
        assert_eq!(arguments.arguments, r#"{"city":"Paris"}"#);
        assert_eq!(second.index, 1);
        assert_eq!((usage[0].quantity, usage[1].quantity), (10, 20));
    }

    #[test]
    fn every_documented_reason_is_told() {
        for (reason, expected) in [
            ("end_turn", "Stop"),
            ("stop_sequence", "Stop"),
            ("max_tokens", "Length"),
            ("model_context_window_exceeded", "Length"),
            ("tool_use", "ToolCalls"),
            ("refusal", "ContentFilter"),
            ("pause_turn", "Other(\"pause_turn\")"),
        ] {
            let told = block::finish_reason(reason.to_owned());
            let told = format!("{told:?}");
            assert!(told.ends_with(expected), "{told}");
        }
    }

    #[test]
    fn the_sequence_that_ended_an_answer_is_passed_on() {
        let body = r####"{"id":"m","model":"c","content":[{"type":"text","text":"a"}],"stop_reason":"stop_sequence","stop_sequence":"#\"#"}"####;
        let events = events(body.as_bytes()).unwrap();
        let ChatEvent::Other(other) = &events[2] else { panic!("{events:?}") };
        assert_eq!((other.kind.as_str(), other.json.as_str()), ("anthropic.stop_sequence", r##""#\"#""##));
    }

    #[test]
    fn an_answer_that_is_not_as_documented_is_a_bad_response() {
        for body in [r#"{"id":"m","content":[]}"#, r#"{"content":[{}],"stop_reason":"end_turn"}"#, "<html>"] {
            assert_eq!(events(body.as_bytes()).unwrap_err().code, "bad-response", "{body}");
        }
    }
}
