//! A provider that is sent nothing before it was judged.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};
use std::time::Instant;

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
use futures::TryFutureExt as _;

use super::{Prompt, Screening};
use crate::registry::Registry;

/// A provider behind the operator's screening.
#[derive(Debug)]
pub(crate) struct Screened {
    provider: Arc<dyn Provider>,
    instance: Arc<str>,
    screening: Arc<Screening>,
    /// Where the moderation model is; it holds this provider.
    registry: Weak<Registry>,
}

impl Screened {
    pub(crate) fn new(
        provider: Arc<dyn Provider>,
        instance: &str,
        screening: Arc<Screening>,
        registry: Weak<Registry>,
    ) -> Self {
        Self { provider, instance: instance.into(), screening, registry }
    }

    /// The context with what is left of its time, once the prompt was judged.
    async fn judged(&self, context: CallContext, prompt: Prompt<'_>) -> Result<CallContext, ProviderError> {
        let begun = Instant::now();
        let Some(registry) = self.registry.upgrade() else { return Err(ProviderError::Canceled) };
        self.screening.judge(&registry, &self.instance, &context, prompt).await?;
        Ok(CallContext { budget: context.budget.saturating_sub(begun.elapsed()), ..context })
    }
}

#[async_trait]
impl Provider for Screened {
    async fn describe(&self) -> Result<Arc<Description>, ProviderError> {
        self.provider.describe().await
    }
    async fn discover(
        &self,
        context: CallContext,
        cursor: Option<String>,
    ) -> Result<Page<ModelInfo>, ProviderError> {
        self.provider.discover(context, cursor).await
    }
    async fn model(&self, context: CallContext, id: &str) -> Result<ModelInfo, ProviderError> {
        self.provider.model(context, id).await
    }
    async fn voices(
        &self,
        context: CallContext,
        model: &str,
        cursor: Option<String>,
    ) -> Result<Page<Voice>, ProviderError> {
        self.provider.voices(context, model, cursor).await
    }
    async fn check(&self, context: CallContext) -> Result<(), ProviderError> {
        self.provider.check(context).await
    }
    fn chat(self: Arc<Self>, context: CallContext, request: ChatRequest) -> EventStream<ChatEvent> {
        let asking = async move {
            let context = self.judged(context, Prompt::of_chat(&request)).await?;
            Ok(self.provider.clone().chat(context, request))
        };
        Box::pin(asking.try_flatten_stream())
    }
    async fn count_tokens(&self, context: CallContext, request: ChatRequest) -> Result<u64, ProviderError> {
        let context = self.judged(context, Prompt::of_chat(&request)).await?;
        self.provider.count_tokens(context, request).await
    }
    fn speak(self: Arc<Self>, context: CallContext, request: SpeechRequest) -> EventStream<SpeechEvent> {
        let asking = async move {
            let context = self.judged(context, Prompt::of_speech(&request)).await?;
            Ok(self.provider.clone().speak(context, request))
        };
        Box::pin(asking.try_flatten_stream())
    }
    fn transcribe(
        self: Arc<Self>,
        context: CallContext,
        request: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent> {
        let asking = async move {
            let context = self.judged(context, Prompt::of_transcription(&request)).await?;
            Ok(self.provider.clone().transcribe(context, request))
        };
        Box::pin(asking.try_flatten_stream())
    }
    async fn embed(
        &self,
        context: CallContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ProviderError> {
        let context = self.judged(context, Prompt::of_embedding(&request)).await?;
        self.provider.embed(context, request).await
    }
    /// What is to be judged is not judged before.
    async fn moderate(
        &self,
        context: CallContext,
        request: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        self.provider.moderate(context, request).await
    }
    async fn admit(&self, context: CallContext, request: &JobRequest) -> Result<(), ProviderError> {
        let context = self.judged(context, Prompt::of_job(request)).await?;
        self.provider.admit(context, request).await
    }
    async fn estimate(
        &self,
        context: CallContext,
        request: JobRequest,
    ) -> Result<Vec<UsageLine>, ProviderError> {
        let context = self.judged(context, Prompt::of_job(&request)).await?;
        self.provider.estimate(context, request).await
    }
    async fn submit(&self, context: CallContext, request: JobRequest) -> Result<Step, ProviderError> {
        let context = self.judged(context, Prompt::of_job(&request)).await?;
        self.provider.submit(context, request).await
    }
    /// Its prompt was judged when it was submitted.
    async fn resume(
        &self,
        context: CallContext,
        kind: JobKind,
        state: Vec<u8>,
        wake: Wake,
    ) -> Result<Step, ProviderError> {
        self.provider.resume(context, kind, state, wake).await
    }
    async fn cancel(
        &self,
        context: CallContext,
        kind: JobKind,
        state: Vec<u8>,
    ) -> Result<Cancellation, ProviderError> {
        self.provider.cancel(context, kind, state).await
    }
    async fn fetch(&self, url: &str, bytes_max: u64) -> Result<Blob, ProviderError> {
        self.provider.fetch(url, bytes_max).await
    }
    async fn parse_callback(
        &self,
        context: CallContext,
        callback: Callback,
    ) -> Result<Vec<CallbackEvent>, ProviderError> {
        self.provider.parse_callback(context, callback).await
    }
    fn takes_callbacks(&self) -> bool {
        self.provider.takes_callbacks()
    }
    fn verify_callback(&self, callback: &Callback) -> Result<Delivery, CallbackRefusal> {
        self.provider.verify_callback(callback)
    }
    fn secrets(&self) -> &[SecretSpec] {
        self.provider.secrets()
    }
    fn with_secrets(&self, own: &BTreeMap<String, SecretValue>) -> Result<Arc<dyn Provider>, String> {
        let provider = self.provider.with_secrets(own)?;
        let (screening, registry) = (self.screening.clone(), self.registry.clone());
        Ok(Arc::new(Self { provider, instance: self.instance.clone(), screening, registry }))
    }
    fn is_in_house(&self) -> bool {
        self.provider.is_in_house()
    }
    fn readiness(&self) -> Readiness {
        self.provider.readiness()
    }
    fn breaker(&self) -> BreakerState {
        self.provider.breaker()
    }
}
