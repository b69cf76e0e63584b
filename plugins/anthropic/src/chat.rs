//! Messages (`POST /messages`, <https://platform.claude.com/docs/en/api/messages>), at once and as a stream.

use crate::Anthropic;
use crate::api::Api;
use atelier_plugin_sdk::chat::{ChatRequest, ChatSink};
use atelier_plugin_sdk::{CallContext, Chat, Failure, http::Events};

mod answer;
mod block;
pub mod body;
mod delta;
mod part;
mod thinking;

/// The largest answer read at once, in bytes.
const ANSWER_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// The largest event of a stream, in bytes. What server-side tools found comes in large ones.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Chat for Anthropic {
    fn generate(context: CallContext, request: ChatRequest, sink: ChatSink) -> Result<(), Failure> {
        let api = Api::new(&context)?;
        let body = body::message(&api, &request)?;
        let response = api.send(api.post("/messages").json_text(body)?.charging())?;
        let is_stream =
            response.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        if is_stream {
            return stream(response.sse(EVENT_BYTES_MAX), &sink);
        }
        let bytes = response.bytes(ANSWER_BYTES_MAX)?;
        sink.send(&answer::events(&bytes)?)?;
        Ok(())
    }
}

/// Pass a stream on, everything that one read brought in one host call.
fn stream(mut events: Events, sink: &ChatSink) -> Result<(), Failure> {
    let mut state = delta::State::default();
    let mut batch = Vec::new();
    while events.fill()? {
        let taken = take_ready(&mut events, &mut state, &mut batch);
        // What came before an error has been paid for.
        if !batch.is_empty() {
            sink.send(&batch)?;
            batch.clear();
        }
        taken?;
    }
    state.end()
}

fn take_ready(
    events: &mut Events,
    state: &mut delta::State,
    batch: &mut Vec<atelier_plugin_sdk::chat::ChatEvent>,
) -> Result<(), Failure> {
    while let Some(event) = events.ready()? {
        state.take(event.data, batch)?;
    }
    Ok(())
}
