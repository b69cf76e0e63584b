//! Chat completions (`POST /chat/completions`), at once and as a stream.

use crate::OpenAi;
use crate::api::Api;
use atelier_plugin_sdk::chat::{ChatRequest, ChatSink};
use atelier_plugin_sdk::{CallContext, Chat, Failure};

mod answer;
mod body;
mod delta;
pub mod logprobs;

/// The largest answer read at once, in bytes.
const ANSWER_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// The largest event of a stream, in bytes. Answers with sound come in large ones.
const EVENT_BYTES_MAX: usize = 4 * 1024 * 1024;

impl Chat for OpenAi {
    fn generate(context: CallContext, request: ChatRequest, sink: ChatSink) -> Result<(), Failure> {
        let api = Api::new(&context)?;
        let body = body::completion(&api, &request)?;
        let response = api.send(api.post("/chat/completions").json_text(body)?.charging())?;
        let streamed =
            response.header("content-type").is_none_or(|kind| !kind.starts_with("application/json"));
        if request.stream && streamed {
            return stream(response.sse(EVENT_BYTES_MAX), &sink);
        }
        let bytes = response.bytes(ANSWER_BYTES_MAX)?;
        sink.send(&answer::events(&bytes)?)?;
        Ok(())
    }
}

/// Pass a stream on, everything that one read brought in one host call.
fn stream(mut events: atelier_plugin_sdk::http::Events, sink: &ChatSink) -> Result<(), Failure> {
    let mut state = delta::State::default();
    let mut batch = Vec::new();
    while events.fill()? {
        while let Some(event) = events.ready()? {
            state.take(event.data, &mut batch)?;
        }
        if !batch.is_empty() {
            sink.send(&batch)?;
            batch.clear();
        }
    }
    state.end()
}
