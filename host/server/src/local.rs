//! In-house models behind the provider port: the instance `local`.

mod embedding;
mod options;
mod request;

use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::generation::chat::{ChatEvent, ChatRequest, FinishReason, TokenLogprob, TopLogprob};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::media::{
    Callback, CallbackEvent, Cancellation, JobKind, JobRequest, Step, Wake,
};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::{Description, ModelInfo, ModelLimits, ModelStatus, Page, Task, Voice};
use atelier_domain::provider::{BreakerState, CallContext, EventStream, Provider, Readiness};
use atelier_inference::{self as inference, EmbeddingEngine, EngineError, EngineState, TextEngine};
use futures::stream;

pub use embedding::EMBEDDING_MODEL;

/// The instance's name.
pub const INSTANCE: &str = "local";
/// Its text model.
pub const TEXT_MODEL: &str = "smollm2-135m-instruct";
/// Tokens of prompt and answer together, as its weights say.
const CONTEXT_TOKENS: u64 = 8192;
/// What it can do, in the contract's words where it has any.
const FEATURES: [&str; 5] = ["structured-output", "streaming", "seed", "stop", "logprobs"];

/// The in-house models as a provider.
pub(crate) struct LocalProvider {
    engine: Arc<dyn TextEngine>,
    embedder: Arc<dyn EmbeddingEngine>,
    description: Arc<Description>,
}

impl std::fmt::Debug for LocalProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalProvider")
            .field("state", &self.engine.state())
            .field("embedder", &self.embedder.state())
            .finish_non_exhaustive()
    }
}

impl LocalProvider {
    pub(crate) fn new(engine: Arc<dyn TextEngine>, embedder: Arc<dyn EmbeddingEngine>) -> Self {
        let model = ModelInfo {
            id: TEXT_MODEL.to_owned(),
            name: "SmolLM2 135M Instruct".to_owned(),
            description: Some("A small English text model that runs on this machine's CPU.".to_owned()),
            status: ModelStatus::Available,
            tasks: vec![Task::Chat],
            input_modalities: vec!["text".to_owned()],
            features: FEATURES.map(str::to_owned).to_vec(),
            limits: ModelLimits { context_tokens: Some(CONTEXT_TOKENS), ..ModelLimits::default() },
            options_schema: Some(options::schema()),
            prices: Vec::new(),
            owner: None,
            created: 0,
        };
        let models = vec![model, embedding::model()];
        let description = Arc::new(Description { models, discovers: false, open_ended: false });
        Self { engine, embedder, description }
    }

    fn unsupported<T>(task: &str) -> Result<T, ProviderError> {
        Err(ProviderError::Unsupported { instance: INSTANCE.to_owned(), task: task.to_owned() })
    }
}

#[async_trait]
impl Provider for LocalProvider {
    async fn describe(&self) -> Result<Arc<Description>, ProviderError> {
        Ok(self.description.clone())
    }
    async fn discover(&self, _: CallContext, _: Option<String>) -> Result<Page<ModelInfo>, ProviderError> {
        Ok(Page { items: self.description.models.clone(), next: None })
    }
    async fn model(&self, _: CallContext, id: &str) -> Result<ModelInfo, ProviderError> {
        let found = self.description.models.iter().find(|model| model.id == id);
        found
            .cloned()
            .ok_or_else(|| reported(FailureCode::NotFound, format!("there is no model {id:?}"), None))
    }
    async fn voices(&self, _: CallContext, _: &str, _: Option<String>) -> Result<Page<Voice>, ProviderError> {
        Self::unsupported("speech")
    }
    async fn check(&self, _: CallContext) -> Result<(), ProviderError> {
        self.engine.warm().await.map(|_| ()).map_err(engine_error)
    }

    fn chat(self: Arc<Self>, _: CallContext, request: ChatRequest) -> EventStream<ChatEvent> {
        Box::pin(stream::unfold(Turn::Begin(self, Box::new(request)), Turn::next))
    }
    async fn count_tokens(&self, _: CallContext, request: ChatRequest) -> Result<u64, ProviderError> {
        let messages = request::engine_request(request)?.messages;
        self.engine.count_tokens(messages).await.map(|count| count as u64).map_err(engine_error)
    }
    fn speak(self: Arc<Self>, _: CallContext, _: SpeechRequest) -> EventStream<SpeechEvent> {
        Box::pin(stream::once(async { Self::unsupported("speech") }))
    }
    fn transcribe(
        self: Arc<Self>,
        _: CallContext,
        _: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent> {
        Box::pin(stream::once(async { Self::unsupported("transcription") }))
    }
    async fn embed(
        &self,
        _: CallContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ProviderError> {
        embedding::embed(self.embedder.as_ref(), request).await
    }
    async fn moderate(
        &self,
        _: CallContext,
        _: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        Self::unsupported("moderation")
    }
    async fn estimate(&self, _: CallContext, request: JobRequest) -> Result<Vec<UsageLine>, ProviderError> {
        Self::unsupported(job(&request))
    }
    async fn submit(&self, _: CallContext, request: JobRequest) -> Result<Step, ProviderError> {
        Self::unsupported(job(&request))
    }
    async fn resume(&self, _: CallContext, _: JobKind, _: Vec<u8>, _: Wake) -> Result<Step, ProviderError> {
        Self::unsupported("jobs")
    }
    async fn cancel(&self, _: CallContext, _: JobKind, _: Vec<u8>) -> Result<Cancellation, ProviderError> {
        Self::unsupported("jobs")
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
        match self.engine.state() {
            EngineState::Ready(_) => Readiness::Ready,
            EngineState::Failed { reason } => Readiness::Failed(reason),
            EngineState::NotFetched
            | EngineState::Fetching(_)
            | EngineState::Unloaded
            | EngineState::Loading => Readiness::Loading,
        }
    }
    fn breaker(&self) -> BreakerState {
        BreakerState::Closed
    }
}

/// Where a chat stands.
enum Turn {
    Begin(Arc<LocalProvider>, Box<ChatRequest>),
    Going(inference::Generation),
    Ended,
}

impl Turn {
    async fn next(self) -> Option<(Result<Vec<ChatEvent>, ProviderError>, Self)> {
        match self {
            Self::Begin(provider, request) => {
                let begun = match request::engine_request(*request) {
                    Ok(request) => provider.engine.generate(request).await.map_err(engine_error),
                    Err(error) => Err(error),
                };
                Some(match begun {
                    Ok(generation) => {
                        let started = ChatEvent::Started { id: String::new(), model: TEXT_MODEL.to_owned() };
                        (Ok(vec![started]), Self::Going(generation))
                    }
                    Err(error) => (Err(error), Self::Ended),
                })
            }
            Self::Going(mut generation) => match generation.next().await? {
                Ok(inference::Event::Delta(text)) => {
                    Some((Ok(vec![ChatEvent::Text(text)]), Self::Going(generation)))
                }
                Ok(inference::Event::Logprobs(tokens)) => {
                    let told = tokens.into_iter().map(token_logprob).collect();
                    Some((Ok(vec![ChatEvent::Logprobs(told)]), Self::Going(generation)))
                }
                Ok(inference::Event::Finished { reason, prompt_tokens, completion_tokens }) => {
                    let reason = match reason {
                        inference::FinishReason::Stop => FinishReason::Stop,
                        inference::FinishReason::Length => FinishReason::Length,
                    };
                    let usage = vec![
                        UsageLine::new("input-tokens", prompt_tokens as u64),
                        UsageLine::new("output-tokens", completion_tokens as u64),
                    ];
                    Some((Ok(vec![ChatEvent::Finished(reason), ChatEvent::Usage(usage)]), Self::Ended))
                }
                Err(error) => Some((Err(engine_error(error)), Self::Ended)),
            },
            Self::Ended => None,
        }
    }
}

fn token_logprob(told: inference::TokenLogprob) -> TokenLogprob {
    let top = told.top.into_iter().map(|top| {
        let (token, bytes) = text_and_bytes(top.bytes);
        TopLogprob { token, logprob: top.logprob, bytes }
    });
    let top = top.collect();
    let (token, bytes) = text_and_bytes(told.bytes);
    TokenLogprob { token, logprob: told.logprob, bytes, top }
}

/// A token as text, and its bytes where they are others than the text's.
fn text_and_bytes(bytes: Vec<u8>) -> (String, Option<Vec<u8>>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let bytes = error.into_bytes();
            (String::from_utf8_lossy(&bytes).into_owned(), Some(bytes))
        }
    }
}

fn job(request: &JobRequest) -> &str {
    match request {
        JobRequest::Media(request) => &request.task,
        JobRequest::Training(_) => "training",
    }
}

fn reported(code: FailureCode, message: String, param: Option<&str>) -> ProviderError {
    let failure = Failure { param: param.map(str::to_owned), ..Failure::new(code, message) };
    ProviderError::Reported { instance: INSTANCE.to_owned(), failure: Box::new(failure) }
}

fn engine_error(error: EngineError) -> ProviderError {
    let text = error.to_string();
    match error {
        EngineError::Busy { retry_after } => {
            let failure =
                Failure { retry_after: Some(retry_after), ..Failure::new(FailureCode::Overloaded, text) };
            ProviderError::Reported { instance: INSTANCE.to_owned(), failure: Box::new(failure) }
        }
        EngineError::ContextTooLong { .. } | EngineError::CacheTooSmall { .. } => {
            reported(FailureCode::InvalidRequest, text, Some("messages"))
        }
        EngineError::PromptTooLarge { .. } => reported(FailureCode::TooLarge, text, Some("messages")),
        EngineError::InputTooLong { index, .. } => {
            reported(FailureCode::InvalidRequest, text, Some(&format!("input[{index}]")))
        }
        EngineError::InputsTooLarge { .. } => reported(FailureCode::TooLarge, text, Some("input")),
        EngineError::InvalidRequest { parameter, .. } => {
            reported(FailureCode::InvalidRequest, text, Some(parameter))
        }
        EngineError::NoRoom { .. } => {
            // The models that hold the room are asked for it again with the next request.
            let failure = Failure {
                retry_after: Some(inference::ROOM_WAITED_MAX),
                ..Failure::new(FailureCode::Overloaded, text)
            };
            ProviderError::Reported { instance: INSTANCE.to_owned(), failure: Box::new(failure) }
        }
        EngineError::Fetch(_) | EngineError::Model(_) | EngineError::Unloaded => {
            ProviderError::Unavailable { instance: INSTANCE.to_owned(), reason: text, retry_after: None }
        }
        EngineError::ReaderStalled { .. } => ProviderError::Canceled,
        EngineError::Stopped => ProviderError::Trapped { instance: INSTANCE.to_owned(), detail: text },
    }
}
