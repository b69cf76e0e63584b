//! A plugin that attacks its host. The model's name chooses the attack, the first message's text is its argument; `good` and its
//! kin are what the host's tests hold the attacks against.

mod catalog;
mod compute;
mod dump;
mod egress;
mod flood;
mod honest;
mod steady;
mod tell;

use atelier_plugin_sdk::chat::{ChatEvent, ChatRequest, ChatSink, FinishReason, Message, Part, Started};
use atelier_plugin_sdk::{CallContext, Chat, Failure};

struct Hostile;

atelier_plugin_sdk::export!(
    Hostile: Catalog, Chat, TokenCount, Embedding, Moderation, Transcription, MediaJobs, Webhook
);

impl Chat for Hostile {
    fn generate(context: CallContext, request: ChatRequest, sink: ChatSink) -> Result<(), Failure> {
        let argument = argument(&request.messages);
        match request.model.as_str() {
            "good" => answer(&sink, "hello"),
            "relay" => honest::relay(&context, argument, &sink),
            "send-blob" => honest::send_blob(&context, &request, &sink),
            "silent-on-waiting" => honest::silent_on_waiting(&context, argument),
            "save" => honest::save(&context, argument, &sink),
            "multipart" => honest::multipart(&context, &request, &sink),
            "think-then-fetch" => honest::think_then_fetch(&context, argument, &sink),
            "endless-loop" => compute::endless_loop(),
            "endless-host-calls" => compute::endless_host_calls(),
            "memory-bomb" => compute::memory_bomb(),
            "deep-recursion" => compute::deep_recursion(),
            "trap" => compute::trap(),
            "log-flood" => flood::log_lines(),
            "cache-flood" => flood::cache_entries(&sink),
            "blob-flood" => flood::blob_bytes(),
            "handle-flood" => flood::handles(),
            "host-call-memory" => flood::host_call_memory(&sink),
            "open-requests" => egress::open_requests(&context, argument),
            "many-requests" => egress::many_requests(&context, argument),
            "read-everything" => egress::read_everything(&context, argument),
            "visit" => egress::visit(argument),
            "follow-redirect" => egress::follow_redirect(&context, argument),
            "header" => egress::header(&context, argument),
            "dump" => dump::everything(&context, argument, &sink),
            other => Err(Failure::not_found(format!("there is no attack {other:?}"))),
        }
    }
}

/// The text of the first message.
fn argument(messages: &[Message]) -> &str {
    messages
        .iter()
        .flat_map(|message| &message.parts)
        .find_map(|part| match part {
            Part::Text(text) => Some(text.as_str()),
            _ => None,
        })
        .unwrap_or_default()
}

/// A whole, good answer.
fn answer(sink: &ChatSink, text: impl Into<String>) -> Result<(), Failure> {
    sink.send(&[
        ChatEvent::Started(Started { id: "answer".to_owned(), model: "hostile".to_owned() }),
        ChatEvent::Text(text.into()),
        ChatEvent::Finished(FinishReason::Stop),
    ])?;
    Ok(())
}
