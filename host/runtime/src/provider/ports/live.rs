//! The live calls: each lasts as long as its instance.

use std::sync::Arc;

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatEvent, ChatRequest};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::provider::{CallContext, EventStream};
use tokio::sync::mpsc;

use super::{converted, value};
use crate::call::{EVENT_BATCHES_MAX, LiveStream};
use crate::provider::SandboxedProvider;
use crate::session::{Session, export};
use crate::v0_1::convert;
use crate::v0_1::imports::sinks::{AudioSink, ChatSink, TranscriptSink};

pub(super) fn chat(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    request: ChatRequest,
) -> EventStream<ChatEvent> {
    let (sender, events) = mpsc::channel(EVENT_BATCHES_MAX);
    let call = provider.call(context, move |mut session: Session| {
        Box::pin(async move {
            let sink = ChatSink::new(sender, &session.patterns());
            let sink = converted!(session, session.store.data_mut().push(sink));
            let request = converted!(session, convert::chat::request(request, session.store.data_mut()));
            let result = export!(session, chat, atelier_provider_chat, guest =>
                guest.call_generate(&mut session.store, &session.context, &request, sink));
            session.finish(result.map(|result| result.map(|()| Vec::new())))
        })
    });
    Box::pin(LiveStream::new(events, Box::pin(call)))
}

pub(super) async fn count_tokens(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    request: ChatRequest,
) -> Result<u64, ProviderError> {
    let call = provider.call(context, move |mut session| {
        Box::pin(async move {
            let request = converted!(session, convert::chat::request(request, session.store.data_mut()));
            let result = export!(session, token_count, atelier_provider_token_count, guest =>
                guest.call_count(&mut session.store, &session.context, &request));
            session.finish(result)
        })
    });
    call.await
}

pub(super) fn speak(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    request: SpeechRequest,
) -> EventStream<SpeechEvent> {
    let (sender, events) = mpsc::channel(EVENT_BATCHES_MAX);
    let call = provider.call(context, move |mut session: Session| {
        Box::pin(async move {
            let sink = converted!(session, session.store.data_mut().push(AudioSink::new(sender)));
            let request = convert::live::speech_request(request);
            let result = export!(session, speech, atelier_provider_speech, guest =>
                guest.call_synthesize(&mut session.store, &session.context, &request, sink));
            let usage = convert::usage(value!(session, result));
            session.give(Ok(usage)).map(|usage| vec![SpeechEvent::Finished(usage)])
        })
    });
    Box::pin(LiveStream::new(events, Box::pin(call)))
}

pub(super) fn transcribe(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    request: TranscriptionRequest,
) -> EventStream<TranscriptionEvent> {
    let (sender, events) = mpsc::channel(EVENT_BATCHES_MAX);
    let call = provider.call(context, move |mut session: Session| {
        Box::pin(async move {
            let sink = TranscriptSink::new(sender, session.patterns());
            let text = sink.text();
            let sink = converted!(session, session.store.data_mut().push(sink));
            let request =
                converted!(session, convert::live::transcription_request(request, session.store.data_mut()));
            let result = export!(session, transcription, atelier_provider_transcription, guest =>
                guest.call_transcribe(&mut session.store, &session.context, &request, sink));
            let transcript = convert::live::transcript(value!(session, result));
            let transcript = session.give(transcript)?;
            // What could still have become a secret is plain text after all.
            let rest = text.finish();
            let mut last = Vec::with_capacity(2);
            if !rest.is_empty() {
                last.push(TranscriptionEvent::Text(rest));
            }
            last.push(TranscriptionEvent::Finished(Box::new(transcript)));
            Ok(last)
        })
    });
    Box::pin(LiveStream::new(events, Box::pin(call)))
}

pub(super) async fn embed(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    request: EmbeddingRequest,
) -> Result<EmbeddingResponse, ProviderError> {
    let call = provider.call(context, move |mut session| {
        Box::pin(async move {
            let request =
                converted!(session, convert::live::embedding_request(request, session.store.data_mut()));
            let result = export!(session, embedding, atelier_provider_embedding, guest =>
                guest.call_embed(&mut session.store, &session.context, &request));
            let response = value!(session, result);
            session.give(Ok(convert::live::embedding_response(response)))
        })
    });
    call.await
}

pub(super) async fn moderate(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    request: ModerationRequest,
) -> Result<ModerationResponse, ProviderError> {
    let call = provider.call(context, move |mut session| {
        Box::pin(async move {
            let request =
                converted!(session, convert::live::moderation_request(request, session.store.data_mut()));
            let result = export!(session, moderation, atelier_provider_moderation, guest =>
                guest.call_moderate(&mut session.store, &session.context, &request));
            let response = value!(session, result);
            session.give(convert::live::moderation_response(response))
        })
    });
    call.await
}
