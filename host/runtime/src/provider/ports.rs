//! The capabilities, one port each: look up the export, hand over the request, convert what comes back.

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatEvent, ChatRequest};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::media::{
    Callback, CallbackEvent, CallbackRefusal, Cancellation, Delivery, MediaRequest, Step, TrainingRequest,
    Wake,
};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::{Description, ModelInfo, Page, Voice};
use atelier_domain::provider::{BreakerState, CallContext, EventStream, Provider, Readiness};
use tokio::sync::mpsc;

use super::SandboxedProvider;
use crate::call::{EVENT_BATCHES_MAX, LiveStream, Session};
use crate::v0_1::convert;
use crate::v0_1::imports::sinks::{AudioSink, ChatSink, TranscriptSink};

/// Runs `$call` on the capability's export and gives its typed result: `Ok(value)`, or the error that the end means.
macro_rules! export {
    ($plugin:ident $session:ident, $pre:ident, $accessor:ident, $bindings:ident => $call:expr) => {{
        let Some(pre) = &$plugin.exports.$pre else {
            let instance = $session.store.data().shared.name.clone();
            return Err(ProviderError::Unsupported { instance, task: stringify!($pre).to_owned() });
        };
        match pre.instantiate_async(&mut $session.store).await {
            Ok(bindings) => {
                let $bindings = bindings.$accessor();
                $call.await
            }
            Err(error) => Err(error),
        }
    }};
}

/// Gives `$request`'s conversion, or the trap that a full table is.
macro_rules! converted {
    ($session:ident, $convert:expr) => {
        match $convert {
            Ok(converted) => converted,
            Err(error) => return $session.finish(Err(error)),
        }
    };
}

/// Splits an export's result: its value goes on, anything else ends the call.
macro_rules! value {
    ($session:ident, $result:expr) => {
        match $result {
            Ok(Ok(value)) => value,
            Ok(Err(failure)) => return $session.finish(Ok(Err(failure))),
            Err(trap) => return $session.finish(Err(trap)),
        }
    };
}

/// Runs `$call` on the catalog, which every plugin has.
macro_rules! catalog {
    ($session:ident, $bindings:ident => $call:expr) => {{
        let plugin = Arc::clone(&$session.plugin);
        match plugin.exports.catalog.instantiate_async(&mut $session.store).await {
            Ok(bindings) => {
                let $bindings = bindings.atelier_provider_catalog();
                $call.await
            }
            Err(error) => Err(error),
        }
    }};
}

impl SandboxedProvider {
    fn this(&self) -> Arc<Self> {
        self.weak.upgrade().unwrap_or_else(|| unreachable!("a provider lives in its own Arc"))
    }
}

#[async_trait]
impl Provider for SandboxedProvider {
    async fn describe(&self) -> Result<Arc<Description>, ProviderError> {
        let plugin = self.loaded().await?;
        self.description
            .get_or_try_init(|| async { self.sandbox.describe(&plugin).await.map(Arc::new) })
            .await
            .cloned()
    }

    async fn discover(
        &self,
        context: CallContext,
        cursor: Option<String>,
    ) -> Result<Page<ModelInfo>, ProviderError> {
        self.this()
            .call(context, |mut session| {
                Box::pin(async move {
                    let context = session.context.clone();
                    let result = catalog!(session, guest => guest.call_discover(&mut session.store, &context, cursor.as_deref()));
                    let page = value!(session, result);
                    convert::catalog::page(page).map_err(|what| session.forbidden(what))
                })
            })
            .await
    }

    async fn model(&self, context: CallContext, id: &str) -> Result<ModelInfo, ProviderError> {
        let id = id.to_owned();
        self.this()
            .call(context, |mut session| {
                Box::pin(async move {
                    let context = session.context.clone();
                    let result =
                        catalog!(session, guest => guest.call_get_model(&mut session.store, &context, &id));
                    let model = value!(session, result);
                    match convert::catalog::model(model) {
                        Ok(Some(model)) => Ok(model),
                        Ok(None) => {
                            Err(session.forbidden("it gave a model without an id or a known task".to_owned()))
                        }
                        Err(what) => Err(session.forbidden(what)),
                    }
                })
            })
            .await
    }

    async fn voices(
        &self,
        context: CallContext,
        model: &str,
        cursor: Option<String>,
    ) -> Result<Page<Voice>, ProviderError> {
        let model = model.to_owned();
        self.this()
            .call(context, |mut session| {
                Box::pin(async move {
                    let context = session.context.clone();
                    let result = catalog!(session, guest => guest.call_voices(&mut session.store, &context, &model, cursor.as_deref()));
                    Ok(convert::catalog::voices(value!(session, result)))
                })
            })
            .await
    }

    async fn check(&self, context: CallContext) -> Result<(), ProviderError> {
        self.this()
            .call(context, |mut session| {
                Box::pin(async move {
                    let context = session.context.clone();
                    let result = catalog!(session, guest => guest.call_check(&mut session.store, &context));
                    session.finish(result)
                })
            })
            .await
    }

    fn chat(self: Arc<Self>, context: CallContext, request: ChatRequest) -> EventStream<ChatEvent> {
        let (sender, events) = mpsc::channel(EVENT_BATCHES_MAX);
        let call = self.call(context, move |mut session: Session| {
            Box::pin(async move {
                let state = session.store.data_mut();
                let sink = ChatSink::new(sender, &state.shared.secrets.patterns());
                let sink = converted!(session, session.store.data_mut().push(sink));
                let request = converted!(session, convert::chat::request(request, session.store.data_mut()));
                let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                let result = export!(plugin session, chat, atelier_provider_chat, guest =>
                    guest.call_generate(&mut session.store, &context, &request, sink));
                session.finish(result.map(|result| result.map(|()| Vec::new())))
            })
        });
        Box::pin(LiveStream::new(events, Box::pin(call)))
    }

    fn speak(self: Arc<Self>, context: CallContext, request: SpeechRequest) -> EventStream<SpeechEvent> {
        let (sender, events) = mpsc::channel(EVENT_BATCHES_MAX);
        let call = self.call(context, move |mut session: Session| {
            Box::pin(async move {
                let sink = converted!(session, session.store.data_mut().push(AudioSink::new(sender)));
                let request = convert::live::speech_request(request);
                let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                let result = export!(plugin session, speech, atelier_provider_speech, guest =>
                    guest.call_synthesize(&mut session.store, &context, &request, sink));
                let usage = convert::usage(value!(session, result));
                session.finish(Ok(Ok(vec![SpeechEvent::Finished(usage)])))
            })
        });
        Box::pin(LiveStream::new(events, Box::pin(call)))
    }

    fn transcribe(
        self: Arc<Self>,
        context: CallContext,
        request: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent> {
        let (sender, events) = mpsc::channel(EVENT_BATCHES_MAX);
        let call = self.call(context, move |mut session: Session| {
            Box::pin(async move {
                let sink = converted!(session, session.store.data_mut().push(TranscriptSink::new(sender)));
                let request = converted!(
                    session,
                    convert::live::transcription_request(request, session.store.data_mut())
                );
                let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                let result = export!(plugin session, transcription, atelier_provider_transcription, guest =>
                    guest.call_transcribe(&mut session.store, &context, &request, sink));
                let transcript = convert::live::transcript(value!(session, result));
                session.finish(Ok(Ok(vec![TranscriptionEvent::Finished(Box::new(transcript))])))
            })
        });
        Box::pin(LiveStream::new(events, Box::pin(call)))
    }

    async fn embed(
        &self,
        context: CallContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let request = converted!(
                        session,
                        convert::live::embedding_request(request, session.store.data_mut())
                    );
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, embedding, atelier_provider_embedding, guest =>
                        guest.call_embed(&mut session.store, &context, &request));
                    Ok(convert::live::embedding_response(value!(session, result)))
                })
            })
            .await
    }

    async fn moderate(
        &self,
        context: CallContext,
        request: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let request = converted!(
                        session,
                        convert::live::moderation_request(request, session.store.data_mut())
                    );
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, moderation, atelier_provider_moderation, guest =>
                        guest.call_moderate(&mut session.store, &context, &request));
                    Ok(convert::live::moderation_response(value!(session, result)))
                })
            })
            .await
    }

    async fn estimate_media(
        &self,
        context: CallContext,
        request: MediaRequest,
    ) -> Result<Vec<UsageLine>, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let request =
                        converted!(session, convert::jobs::media_request(request, session.store.data_mut()));
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, media, atelier_provider_media, guest =>
                        guest.call_estimate_usage(&mut session.store, &context, &request));
                    Ok(convert::usage(value!(session, result)))
                })
            })
            .await
    }

    async fn submit_media(&self, context: CallContext, request: MediaRequest) -> Result<Step, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let request =
                        converted!(session, convert::jobs::media_request(request, session.store.data_mut()));
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, media, atelier_provider_media, guest =>
                        guest.call_submit(&mut session.store, &context, &request));
                    let step = value!(session, result);
                    convert::jobs::step(step, session.store.data_mut())
                        .map_err(|what| session.forbidden(what))
                })
            })
            .await
    }

    async fn resume_media(
        &self,
        context: CallContext,
        state: Vec<u8>,
        wake: Wake,
    ) -> Result<Step, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let wake = convert::jobs::wake(wake);
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, media, atelier_provider_media, guest =>
                        guest.call_resume(&mut session.store, &context, &state, &wake));
                    let step = value!(session, result);
                    convert::jobs::step(step, session.store.data_mut())
                        .map_err(|what| session.forbidden(what))
                })
            })
            .await
    }

    async fn cancel_media(
        &self,
        context: CallContext,
        state: Vec<u8>,
    ) -> Result<Cancellation, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, media, atelier_provider_media, guest =>
                        guest.call_cancel(&mut session.store, &context, &state));
                    let end = value!(session, result);
                    convert::jobs::cancellation(end, session.store.data_mut())
                        .map_err(|what| session.forbidden(what))
                })
            })
            .await
    }

    async fn submit_training(
        &self,
        context: CallContext,
        request: TrainingRequest,
    ) -> Result<Step, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let request = converted!(
                        session,
                        convert::jobs::training_request(request, session.store.data_mut())
                    );
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, training, atelier_provider_training, guest =>
                        guest.call_submit(&mut session.store, &context, &request));
                    let step = value!(session, result);
                    convert::jobs::step(step, session.store.data_mut())
                        .map_err(|what| session.forbidden(what))
                })
            })
            .await
    }

    async fn resume_training(
        &self,
        context: CallContext,
        state: Vec<u8>,
        wake: Wake,
    ) -> Result<Step, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let wake = convert::jobs::wake(wake);
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, training, atelier_provider_training, guest =>
                        guest.call_resume(&mut session.store, &context, &state, &wake));
                    let step = value!(session, result);
                    convert::jobs::step(step, session.store.data_mut())
                        .map_err(|what| session.forbidden(what))
                })
            })
            .await
    }

    async fn cancel_training(
        &self,
        context: CallContext,
        state: Vec<u8>,
    ) -> Result<Cancellation, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, training, atelier_provider_training, guest =>
                        guest.call_cancel(&mut session.store, &context, &state));
                    let end = value!(session, result);
                    convert::jobs::cancellation(end, session.store.data_mut())
                        .map_err(|what| session.forbidden(what))
                })
            })
            .await
    }

    async fn parse_callback(
        &self,
        context: CallContext,
        callback: Callback,
    ) -> Result<Vec<CallbackEvent>, ProviderError> {
        self.this()
            .call(context, move |mut session| {
                Box::pin(async move {
                    let callback = convert::jobs::callback(callback);
                    let (plugin, context) = (Arc::clone(&session.plugin), session.context.clone());
                    let result = export!(plugin session, webhook, atelier_provider_webhook, guest =>
                        guest.call_parse(&mut session.store, &context, &callback));
                    let events = value!(session, result);
                    convert::jobs::events(events).map_err(|what| session.forbidden(what))
                })
            })
            .await
    }

    fn takes_callbacks(&self) -> bool {
        self.callbacks.are_taken()
    }

    fn verify_callback(&self, callback: &Callback) -> Result<Delivery, CallbackRefusal> {
        self.callbacks.verify(callback, self.shared.clock.now())
    }

    fn readiness(&self) -> Readiness {
        match (self.missing_secret(), self.plugin.initialized()) {
            (Some(secret), _) => Readiness::Failed(format!("its secret {secret} is not set")),
            (None, true) => Readiness::Ready,
            (None, false) => Readiness::Loading,
        }
    }

    fn breaker(&self) -> BreakerState {
        let now = self.now_ms();
        match self.faults.state(now) {
            BreakerState::Closed => self.upstream.state(now),
            other => other,
        }
    }
}
