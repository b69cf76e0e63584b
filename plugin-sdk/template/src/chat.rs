//! Conversations (`POST /answers`), at once and as server-sent events.

use atelier_plugin_sdk::chat::{ChatEvent, ChatRequest, ChatSink, FinishReason, Part, Role, Started};
use atelier_plugin_sdk::http::Request;
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Chat, Failure, UsageLine, json};
use serde::{Deserialize, Serialize};

use crate::Acme;

/// The largest answer, and the largest event of a stream, in bytes.
const ANSWER_BYTES_MAX: u32 = 4 << 20;
const EVENT_BYTES_MAX: usize = 1 << 20;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    messages: Vec<Line<'r>>,
    stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
}

#[derive(Serialize)]
struct Line<'r> {
    role: &'static str,
    text: &'r str,
}

/// An answer, or an event of a streamed one: the same members, some at a time.
#[derive(Deserialize)]
struct Answer {
    id: Option<String>,
    model: Option<String>,
    text: Option<String>,
    finish: Option<String>,
    usage: Option<Usage>,
}

#[derive(Deserialize)]
struct Usage {
    input: u64,
    output: u64,
}

impl Chat for Acme {
    fn generate(context: CallContext, request: ChatRequest, sink: ChatSink) -> Result<(), Failure> {
        let body = Body {
            model: &request.model,
            messages: lines(&request)?,
            stream: request.stream,
            max_tokens: request.max_output_tokens,
        };
        let url = format!("{}/answers", context.base_url);
        let response = Request::post(url).json(&body)?.charging().send()?.success()?;
        if !request.stream {
            let answer: Answer = response.json(ANSWER_BYTES_MAX)?;
            let events = events(answer);
            sink.send(&events)?;
            return if ended(&events) { Ok(()) } else { Err(broken_off()) };
        }
        let mut stream = response.sse(EVENT_BYTES_MAX);
        let mut finished = false;
        while let Some(event) = stream.next_event()? {
            let events = events(json::parse_text(event.data)?);
            finished |= ended(&events);
            sink.send(&events)?;
        }
        // A stream that stops without saying so has broken off: never make up an end.
        if finished { Ok(()) } else { Err(broken_off()) }
    }
}

fn lines(request: &ChatRequest) -> Result<Vec<Line<'_>>, Failure> {
    let mut lines = Vec::new();
    for (index, message) in request.messages.iter().enumerate() {
        let role = match message.role {
            Role::System | Role::Developer => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
            Role::Tool => return Err(Failure::unsupported("this provider has no tools")),
        };
        for part in &message.parts {
            let Part::Text(text) = part else {
                return Err(Failure::unsupported("this provider takes text only")
                    .with_param(format!("messages.{index}.content")));
            };
            lines.push(Line { role, text });
        }
    }
    Ok(lines)
}

fn events(answer: Answer) -> Vec<ChatEvent> {
    let mut events = Vec::new();
    if let (Some(id), Some(model)) = (answer.id, answer.model) {
        events.push(ChatEvent::Started(Started { id, model }));
    }
    events.extend(answer.text.map(ChatEvent::Text));
    events.extend(answer.finish.map(|reason| {
        ChatEvent::Finished(match reason.as_str() {
            "stop" => FinishReason::Stop,
            "length" => FinishReason::Length,
            _ => FinishReason::Other(reason),
        })
    }));
    events.extend(answer.usage.map(|used| ChatEvent::Usage(metered(&used))));
    events
}

fn metered(used: &Usage) -> Vec<UsageLine> {
    vec![
        usage::line(meter::INPUT_TOKENS, used.input, &[]),
        usage::line(meter::OUTPUT_TOKENS, used.output, &[]),
    ]
}

fn ended(events: &[ChatEvent]) -> bool {
    events.iter().any(|event| matches!(event, ChatEvent::Finished(_)))
}

fn broken_off() -> Failure {
    Failure::bad_response("the provider's answer has no end")
}
