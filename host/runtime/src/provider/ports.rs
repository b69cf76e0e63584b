//! The capabilities behind the domain's port: look up the export, hand over the request, convert what comes back and blank out the
//! secrets in it.

mod catalog;
mod jobs;
mod live;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatEvent, ChatRequest};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::media::{
    Callback, CallbackEvent, CallbackRefusal, Cancellation, Delivery, JobKind, JobRequest, Step, Wake,
};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::manifest::SecretSpec;
use atelier_domain::model::{Description, ModelInfo, Page, Voice};
use atelier_domain::plugin::SecretValue;
use atelier_domain::provider::{BreakerState, CallContext, EventStream, Provider, Readiness};

use super::SandboxedProvider;
use super::callbacks::Callbacks;

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

pub(super) use {converted, value};

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
        catalog::discover(self.this(), context, cursor).await
    }

    async fn model(&self, context: CallContext, id: &str) -> Result<ModelInfo, ProviderError> {
        catalog::model(self.this(), context, id.to_owned()).await
    }

    async fn voices(
        &self,
        context: CallContext,
        model: &str,
        cursor: Option<String>,
    ) -> Result<Page<Voice>, ProviderError> {
        catalog::voices(self.this(), context, model.to_owned(), cursor).await
    }

    async fn check(&self, context: CallContext) -> Result<(), ProviderError> {
        catalog::check(self.this(), context).await
    }

    fn chat(self: Arc<Self>, context: CallContext, request: ChatRequest) -> EventStream<ChatEvent> {
        live::chat(self, context, request)
    }

    async fn count_tokens(&self, context: CallContext, request: ChatRequest) -> Result<u64, ProviderError> {
        live::count_tokens(self.this(), context, request).await
    }

    fn speak(self: Arc<Self>, context: CallContext, request: SpeechRequest) -> EventStream<SpeechEvent> {
        live::speak(self, context, request)
    }

    fn transcribe(
        self: Arc<Self>,
        context: CallContext,
        request: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent> {
        live::transcribe(self, context, request)
    }

    async fn embed(
        &self,
        context: CallContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ProviderError> {
        live::embed(self.this(), context, request).await
    }

    async fn moderate(
        &self,
        context: CallContext,
        request: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        live::moderate(self.this(), context, request).await
    }

    async fn estimate(
        &self,
        context: CallContext,
        request: JobRequest,
    ) -> Result<Vec<UsageLine>, ProviderError> {
        jobs::estimate(self.this(), context, request).await
    }

    async fn submit(&self, context: CallContext, request: JobRequest) -> Result<Step, ProviderError> {
        jobs::submit(self.this(), context, request).await
    }

    async fn resume(
        &self,
        context: CallContext,
        kind: JobKind,
        state: Vec<u8>,
        wake: Wake,
    ) -> Result<Step, ProviderError> {
        jobs::resume(self.this(), context, kind, state, wake).await
    }

    async fn cancel(
        &self,
        context: CallContext,
        kind: JobKind,
        state: Vec<u8>,
    ) -> Result<Cancellation, ProviderError> {
        jobs::cancel(self.this(), context, kind, state).await
    }

    async fn fetch(&self, url: &str, bytes_max: u64) -> Result<Blob, ProviderError> {
        self.download(url, bytes_max).await
    }

    async fn parse_callback(
        &self,
        context: CallContext,
        callback: Callback,
    ) -> Result<Vec<CallbackEvent>, ProviderError> {
        jobs::parse_callback(self.this(), context, callback).await
    }

    fn takes_callbacks(&self) -> bool {
        self.callbacks.as_ref().is_some_and(Callbacks::are_taken)
    }

    fn verify_callback(&self, callback: &Callback) -> Result<Delivery, CallbackRefusal> {
        let callbacks = self.callbacks.as_ref().ok_or(CallbackRefusal::Unexpected)?;
        callbacks.verify(callback, self.shared.clock.now())
    }

    fn secrets(&self) -> &[SecretSpec] {
        &self.settings.manifest.secrets
    }

    fn with_secrets(&self, own: &BTreeMap<String, SecretValue>) -> Result<Arc<dyn Provider>, String> {
        Ok(self.with_own(own)?)
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
