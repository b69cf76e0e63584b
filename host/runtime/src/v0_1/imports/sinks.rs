//! Where live calls send what they make: `chat-types`, `speech-types`, `transcription-types`.

mod chat;

use std::sync::Arc;

use atelier_domain::generation::speech::SpeechEvent;
use atelier_domain::generation::transcription::TranscriptionEvent;
use tokio::sync::mpsc::Sender;
use wasmtime::component::Resource;

use crate::blank::{Blank as _, SharedText};
use crate::egress::{IncomingBody, Patterns};
use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::chat_types::Closed;
use crate::v0_1::bindings::host::atelier::provider::http::HttpError;
use crate::v0_1::bindings::host::atelier::provider::{speech_types, transcription_types};
use crate::v0_1::convert;

pub use chat::ChatSink;

/// Bytes of audio passed on at a time.
const PIPE_BYTES: usize = 64 * 1024;

fn closed() -> Closed {
    Closed { message: "the caller has left".to_owned() }
}

/// Where spoken audio goes.
#[derive(Debug)]
pub struct AudioSink {
    events: Sender<Vec<SpeechEvent>>,
    started: bool,
}

impl AudioSink {
    /// A sink into a call's channel.
    pub fn new(events: Sender<Vec<SpeechEvent>>) -> Self {
        Self { events, started: false }
    }
}

impl speech_types::Host for CallState {}

impl speech_types::HostAudioSink for CallState {
    async fn start(
        &mut self,
        sink: Resource<AudioSink>,
        content_type: String,
    ) -> wasmtime::Result<Result<(), Closed>> {
        self.count_host_call()?;
        let mut content_type = content_type;
        content_type.blank(&self.shared.secrets.patterns());
        let sink = self.table.get_mut(&sink)?;
        if sink.started {
            return Err(self.trap_forbidden("it started its audio twice"));
        }
        sink.started = true;
        Ok(sink.events.send(vec![SpeechEvent::Started(content_type)]).await.map_err(|_| closed()))
    }

    async fn send(
        &mut self,
        sink: Resource<AudioSink>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), Closed>> {
        self.count_host_call()?;
        let sink = self.table.get_mut(&sink)?;
        if !sink.started {
            return Err(self.trap_forbidden("it sent audio before it said of which type"));
        }
        Ok(sink.events.send(vec![SpeechEvent::Audio(bytes.into())]).await.map_err(|_| closed()))
    }

    async fn pipe(
        &mut self,
        sink: Resource<AudioSink>,
        body: Resource<IncomingBody>,
    ) -> wasmtime::Result<Result<u64, HttpError>> {
        self.count_host_call()?;
        let sink = self.table.get_mut(&sink)?;
        if !sink.started {
            return Err(self.trap_forbidden("it sent audio before it said of which type"));
        }
        let events = sink.events.clone();
        let mut body = self.table.delete(body)?;
        let mut piped = 0u64;
        loop {
            let chunk = match body.read(PIPE_BYTES).await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(Ok(piped)),
                Err(error) => return Ok(Err(self.http_error(&error))),
            };
            piped += chunk.len() as u64;
            if let Err(error) = self.count_response_bytes(chunk.len()) {
                return Ok(Err(error));
            }
            if events.send(vec![SpeechEvent::Audio(chunk)]).await.is_err() {
                return Ok(Err(HttpError { code: "canceled".to_owned(), message: closed().message }));
            }
        }
    }

    async fn drop(&mut self, sink: Resource<AudioSink>) -> wasmtime::Result<()> {
        self.table.delete(sink)?;
        Ok(())
    }
}

/// Where a transcript goes. Its text is scrubbed as the stream that it is, the rest one by one.
#[derive(Debug)]
pub struct TranscriptSink {
    events: Sender<Vec<TranscriptionEvent>>,
    patterns: Arc<Patterns>,
    text: SharedText,
}

impl TranscriptSink {
    /// A sink into a call's channel.
    pub fn new(events: Sender<Vec<TranscriptionEvent>>, patterns: Arc<Patterns>) -> Self {
        let text = SharedText::new(Arc::clone(&patterns));
        Self { events, patterns, text }
    }

    /// The text that passes through it.
    pub fn text(&self) -> SharedText {
        self.text.clone()
    }

    fn scrub(&self, mut event: TranscriptionEvent) -> Option<TranscriptionEvent> {
        if let TranscriptionEvent::Text(text) = event {
            let text = self.text.push(text);
            return (!text.is_empty()).then_some(TranscriptionEvent::Text(text));
        }
        event.blank(&self.patterns);
        Some(event)
    }
}

impl transcription_types::Host for CallState {}

impl transcription_types::HostTranscriptSink for CallState {
    async fn send(
        &mut self,
        sink: Resource<TranscriptSink>,
        events: Vec<transcription_types::TranscriptEvent>,
    ) -> wasmtime::Result<Result<(), Closed>> {
        self.count_host_call()?;
        let events: Result<Vec<_>, _> = events.into_iter().map(convert::live::transcript_event).collect();
        let events = match events {
            Ok(events) => events,
            Err(what) => return Err(self.trap_forbidden(what)),
        };
        let sink = self.table.get(&sink)?;
        let scrubbed: Vec<_> = events.into_iter().filter_map(|event| sink.scrub(event)).collect();
        if scrubbed.is_empty() {
            return Ok(Ok(()));
        }
        Ok(sink.events.send(scrubbed).await.map_err(|_| closed()))
    }

    async fn drop(&mut self, sink: Resource<TranscriptSink>) -> wasmtime::Result<()> {
        self.table.delete(sink)?;
        Ok(())
    }
}
