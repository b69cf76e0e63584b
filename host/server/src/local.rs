//! In-house models behind the provider port: the instance `local`.

mod chat;
mod embedding;
mod failure;
mod images;
mod model;
mod options;
mod published;
mod rate;
mod recording;
mod request;
mod speech;
mod transcription;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::chat::{ChatEvent, ChatRequest};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::media::{
    Callback, CallbackEvent, Cancellation, JobKind, JobRequest, Step, Wake,
};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::{Description, ModelInfo, Page, Voice};
use atelier_domain::provider::{BreakerState, CallContext, EventStream, Provider, Readiness};
use atelier_inference::{
    EmbeddingEngine, ImageEngine, ImageFamily, SpeechEngine, TextEngine, TranscriptionEngine,
};
use futures::future::join_all;
use futures::stream;

use failure::{engine_error, reported};
pub(crate) use images::Images;
pub(crate) use model::{Load, LocalEngine, LocalModel};
pub use published::{ModelKind, PUBLISHED, Published};
pub(crate) use request::Usual;

/// The instance's name.
pub const INSTANCE: &str = "local";

/// The in-house models as a provider.
#[derive(Debug)]
pub(crate) struct LocalProvider {
    models: Vec<LocalModel>,
    images: Images,
    /// Makes numbers of tenants' names.
    tenants: RandomState,
}

impl LocalProvider {
    pub(crate) fn new(models: Vec<LocalModel>, images: Images) -> Self {
        Self { models, images, tenants: RandomState::new() }
    }

    pub(crate) fn models(&self) -> &[LocalModel] {
        &self.models
    }

    fn find(&self, id: &str) -> Result<&LocalModel, ProviderError> {
        let found = self.models.iter().find(|model| model.id() == id);
        found.ok_or_else(|| reported(FailureCode::NotFound, format!("there is no model {id:?}"), None))
    }

    fn text(&self, id: &str) -> Result<(Arc<dyn TextEngine>, Usual), ProviderError> {
        match self.find(id)?.engine() {
            LocalEngine::Text(engine, usual) => Ok((engine.clone(), *usual)),
            _ => Self::unsupported("chat"),
        }
    }

    fn embedder(&self, id: &str) -> Result<&dyn EmbeddingEngine, ProviderError> {
        match self.find(id)?.engine() {
            LocalEngine::Embedding(engine) => Ok(engine.as_ref()),
            _ => Self::unsupported("embeddings"),
        }
    }

    fn voice(&self, id: &str) -> Result<Arc<dyn SpeechEngine>, ProviderError> {
        match self.find(id)?.engine() {
            LocalEngine::Speech(engine) => Ok(engine.clone()),
            _ => Self::unsupported("speech"),
        }
    }

    fn transcriber(&self, id: &str) -> Result<Arc<dyn TranscriptionEngine>, ProviderError> {
        match self.find(id)?.engine() {
            LocalEngine::Transcription(engine) => Ok(engine.clone()),
            _ => Self::unsupported("transcription"),
        }
    }

    fn painter(&self, id: &str) -> Result<(ImageFamily, &Arc<dyn ImageEngine>), ProviderError> {
        match self.find(id)?.engine() {
            LocalEngine::Image(family, engine) => Ok((*family, engine)),
            _ => Self::unsupported("images"),
        }
    }

    fn unsupported<T>(task: &str) -> Result<T, ProviderError> {
        Err(ProviderError::Unsupported { instance: INSTANCE.to_owned(), task: task.to_owned() })
    }
}

#[async_trait]
impl Provider for LocalProvider {
    async fn describe(&self) -> Result<Arc<Description>, ProviderError> {
        let models = join_all(self.models.iter().map(LocalModel::describe)).await;
        Ok(Arc::new(Description { models, discovers: false, open_ended: false }))
    }
    async fn discover(&self, _: CallContext, _: Option<String>) -> Result<Page<ModelInfo>, ProviderError> {
        Ok(Page { items: self.describe().await?.models.clone(), next: None })
    }
    async fn model(&self, _: CallContext, id: &str) -> Result<ModelInfo, ProviderError> {
        Ok(self.find(id)?.describe().await)
    }
    async fn voices(
        &self,
        _: CallContext,
        model: &str,
        _: Option<String>,
    ) -> Result<Page<Voice>, ProviderError> {
        let info = self.voice(model)?.warm().await.map_err(engine_error)?;
        Ok(Page { items: speech::voices(&info), next: None })
    }
    async fn check(&self, _: CallContext) -> Result<(), ProviderError> {
        let Some(first) = self.models.first() else { return Ok(()) };
        first.warm().await.map_err(engine_error)
    }

    fn chat(self: Arc<Self>, context: CallContext, request: ChatRequest) -> EventStream<ChatEvent> {
        match self.text(&request.model) {
            Ok((engine, usual)) => {
                let tenant = self.tenants.hash_one(&context.scope);
                let turn = chat::Turn::Begin(engine, usual, tenant, Box::new(request));
                Box::pin(stream::unfold(turn, chat::Turn::next))
            }
            Err(error) => Box::pin(stream::once(async { Err(error) })),
        }
    }
    async fn count_tokens(&self, _: CallContext, request: ChatRequest) -> Result<u64, ProviderError> {
        let (engine, usual) = self.text(&request.model)?;
        let messages = request::engine_request(request, usual)?.messages;
        engine.count_tokens(messages).await.map(|count| count as u64).map_err(engine_error)
    }
    fn speak(self: Arc<Self>, _: CallContext, request: SpeechRequest) -> EventStream<SpeechEvent> {
        match self.voice(&request.model) {
            Ok(engine) => {
                let turn = speech::Turn::Begin(engine, Box::new(request));
                Box::pin(stream::unfold(turn, speech::Turn::next))
            }
            Err(error) => Box::pin(stream::once(async { Err(error) })),
        }
    }
    fn transcribe(
        self: Arc<Self>,
        _: CallContext,
        request: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent> {
        match self.transcriber(&request.model) {
            Ok(engine) => {
                let turn = transcription::Turn::Begin(engine, Box::new(request));
                Box::pin(stream::unfold(turn, transcription::Turn::next))
            }
            Err(error) => Box::pin(stream::once(async { Err(error) })),
        }
    }
    async fn embed(
        &self,
        _: CallContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ProviderError> {
        embedding::embed(self.embedder(&request.model)?, request).await
    }
    async fn moderate(
        &self,
        _: CallContext,
        _: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        Self::unsupported("moderation")
    }
    async fn estimate(&self, _: CallContext, request: JobRequest) -> Result<Vec<UsageLine>, ProviderError> {
        match request {
            JobRequest::Media(request) => Ok(images::usage(request.count)),
            JobRequest::Training(_) => Self::unsupported("training"),
        }
    }
    async fn submit(&self, _: CallContext, request: JobRequest) -> Result<Step, ProviderError> {
        match request {
            JobRequest::Media(request) => {
                let engine = self.painter(&request.model)?;
                self.images.submit(engine, *request).await
            }
            JobRequest::Training(_) => Self::unsupported("training"),
        }
    }
    async fn resume(
        &self,
        _: CallContext,
        _: JobKind,
        state: Vec<u8>,
        _: Wake,
    ) -> Result<Step, ProviderError> {
        self.images.resume(&state, |model| self.painter(model)).await
    }
    async fn cancel(
        &self,
        _: CallContext,
        _: JobKind,
        state: Vec<u8>,
    ) -> Result<Cancellation, ProviderError> {
        self.images.cancel(&state).await
    }
    async fn fetch(&self, _: &str, _: u64) -> Result<Blob, ProviderError> {
        Self::unsupported("downloads")
    }
    async fn parse_callback(&self, _: CallContext, _: Callback) -> Result<Vec<CallbackEvent>, ProviderError> {
        Self::unsupported("callbacks")
    }

    fn is_in_house(&self) -> bool {
        true
    }

    fn readiness(&self) -> Readiness {
        let mut all = self.models.iter().map(LocalModel::readiness);
        let mut failed = None;
        if all.any(|readiness| match readiness {
            Readiness::Ready => true,
            Readiness::Loading => false,
            Readiness::Failed(reason) => {
                failed.get_or_insert(reason);
                false
            }
        }) {
            return Readiness::Ready;
        }
        failed.map_or(Readiness::Loading, Readiness::Failed)
    }
    fn breaker(&self) -> BreakerState {
        BreakerState::Closed
    }
}
