//! What good plugins do, for the tests that hold the host to its promises towards them.

use std::hint::black_box;

use atelier_plugin_sdk::blobs::Blob;
use atelier_plugin_sdk::chat::{ChatEvent, ChatRequest, ChatSink, FinishReason, Part, Started};
use atelier_plugin_sdk::http::{Effect, Multipart, Request};
use atelier_plugin_sdk::json;
use atelier_plugin_sdk::{CallContext, Failure, MediaSource};

/// Passes on a stream of events as text; `[DONE]` ends a good one.
pub fn relay(context: &CallContext, path: &str, sink: &ChatSink) -> Result<(), Failure> {
    let mut events = Request::get(format!("{}{path}", context.base_url)).send()?.success()?.sse(1 << 16);
    sink.send(&[ChatEvent::Started(Started { id: "relayed".to_owned(), model: "hostile".to_owned() })])?;
    while let Some(event) = events.next_event()? {
        if event.data == "[DONE]" {
            sink.send(&[ChatEvent::Finished(FinishReason::Stop)])?;
            return Ok(());
        }
        sink.send(&[ChatEvent::Text(event.data.to_owned())])?;
    }
    Err(Failure::bad_response("the stream ended in the middle"))
}

/// Computes for some milliseconds, then asks the upstream: a call whose requests leave from the slow lane.
pub fn think_then_fetch(context: &CallContext, path: &str, sink: &ChatSink) -> Result<(), Failure> {
    let mut n = 0u64;
    for _ in 0..30_000_000 {
        n = black_box(n.wrapping_add(1));
    }
    let bytes = Request::get(format!("{}{path}", context.base_url)).send()?.success()?.bytes(1 << 16)?;
    super::answer(sink, String::from_utf8_lossy(&bytes))
}

/// Reports an upstream's refusal, but not how long it asked to wait.
pub fn silent_on_waiting(context: &CallContext, path: &str) -> Result<(), Failure> {
    let response = Request::get(format!("{}{path}", context.base_url)).send()?;
    Err(Failure { http_status: Some(response.status), ..Failure::new("rate-limited", "it is busy") })
}

fn blobs(request: &ChatRequest) -> Vec<&Blob> {
    let media = request.messages.iter().flat_map(|message| &message.parts).filter_map(|part| match part {
        Part::Image(media) | Part::Audio(media) | Part::File(media) => Some(media),
        _ => None,
    });
    media
        .filter_map(|media| match &media.source {
            MediaSource::Blob(blob) => Some(blob),
            MediaSource::Url(_) => None,
        })
        .collect()
}

fn first_blob(request: &ChatRequest) -> Result<&Blob, Failure> {
    blobs(request).into_iter().next().ok_or_else(|| Failure::invalid("messages", "a file is needed"))
}

/// Sends a file inside a JSON document, by reference.
pub fn send_blob(context: &CallContext, request: &ChatRequest, sink: &ChatSink) -> Result<(), Failure> {
    let mut body = json::Text::new();
    body.begin_object().key("file").base64(first_blob(request)?).end_object();
    let response = Request::post(format!("{}/take", context.base_url)).json_text(body)?.charging().send()?;
    super::answer(sink, format!("{}, with {} KiB of memory", response.status, memory_kib()))
}

/// Keeps an answer as a blob, by reference, and tells what it is.
pub fn save(context: &CallContext, path: &str, sink: &ChatSink) -> Result<(), Failure> {
    let response = Request::new("GET", format!("{}{path}", context.base_url), Effect::Safe).send()?;
    let blob = response.save(None)?;
    let last = blob.read(blob.size() - 4, 100)?;
    super::answer(
        sink,
        format!(
            "{} bytes of {}, ending in {last:?}, with {} KiB of memory",
            blob.size(),
            blob.content_type(),
            memory_kib()
        ),
    )
}

/// Sends a form with a text, some bytes and all given files.
pub fn multipart(context: &CallContext, request: &ChatRequest, sink: &ChatSink) -> Result<(), Failure> {
    let files = blobs(request);
    let mut form = Multipart::new();
    form.text("prompt", "a \"quoted\"\r\nprompt").bytes(
        "data",
        "da\"ta\r\n.bin",
        "application/octet-stream",
        vec![0, 13, 10, 45, 45],
    );
    for file in files {
        form.blob("file", "picture.png", file);
    }
    let response = Request::post(format!("{}/take", context.base_url)).multipart(form).send()?;
    super::answer(sink, response.status.to_string())
}

fn memory_kib() -> usize {
    #[cfg(target_arch = "wasm32")]
    return core::arch::wasm32::memory_size(0) * 64;
    #[cfg(not(target_arch = "wasm32"))]
    0
}
