//! A provider that does what a test says, to reach states of the engine that no well-behaved far end can bring about.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::generation::chat::{ChatEvent, ChatRequest};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::media::{
    Callback, CallbackEvent, Cancellation, JobKind, JobRequest, Outcome, Output, Step, Ticket, Wake,
};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::{Description, ModelInfo, ModelLimits, ModelStatus, Page, Task, Voice};
use atelier_domain::provider::{BreakerState, CallContext, EventStream, Provider, Readiness};
use futures::stream;

/// What the provider does when asked.
#[derive(Clone, Debug)]
pub enum Act {
    Done(&'static str),
    Pending,
    Fail(FailureCode),
    /// Notes that a charging request leaves, and never answers.
    ChargeAndHang,
}

#[derive(Debug, Default)]
pub struct Seen {
    pub submissions: u32,
    pub resumptions: u32,
    pub resumed_after_restart: u32,
    pub cancellations: u32,
    pub discoveries: u32,
}

#[derive(Debug)]
pub struct Scripted {
    pub acts: Mutex<VecDeque<Act>>,
    pub seen: Mutex<Seen>,
    /// Whether listing models fails.
    pub is_silent: Mutex<bool>,
    pub charged: tokio::sync::Notify,
}

impl Scripted {
    pub fn new(acts: impl IntoIterator<Item = Act>) -> Arc<Self> {
        Arc::new(Self {
            acts: Mutex::new(acts.into_iter().collect()),
            seen: Mutex::default(),
            is_silent: Mutex::new(false),
            charged: tokio::sync::Notify::new(),
        })
    }

    async fn act(&self, context: &CallContext) -> Result<Step, ProviderError> {
        let act = self.acts.lock().expect("no panic").pop_front().expect("the script goes on");
        match act {
            Act::Done(text) => {
                let outcome = Outcome {
                    outputs: vec![Output::Text(text.to_owned())],
                    usage: vec![UsageLine::new("images", 1)],
                };
                Ok(Step::Done(outcome))
            }
            Act::Pending => Ok(Step::Pending(Ticket {
                state: b"at the provider".to_vec(),
                state_version: 1,
                poll_after_ms: 100,
                progress: Some(0.5),
                accepts_webhook: false,
                provider_id: None,
            })),
            Act::Fail(code) => Err(failure(code)),
            Act::ChargeAndHang => {
                let journal = context.journal.as_ref().expect("a job's call has a journal");
                journal.charging(false).await.expect("it is noted");
                self.charged.notify_one();
                std::future::pending().await
            }
        }
    }
}

fn failure(code: FailureCode) -> ProviderError {
    ProviderError::Reported {
        instance: "scripted".to_owned(),
        failure: Box::new(Failure::new(code, "as the script says")),
    }
}

fn unsupported<T>() -> Result<T, ProviderError> {
    Err(ProviderError::Unsupported { instance: "scripted".to_owned(), task: "this".to_owned() })
}

pub fn model(id: &str, task: Task) -> ModelInfo {
    ModelInfo {
        id: id.to_owned(),
        name: id.to_owned(),
        description: None,
        status: ModelStatus::Available,
        tasks: vec![task],
        input_modalities: Vec::new(),
        features: Vec::new(),
        limits: ModelLimits::default(),
        options_schema: None,
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}

#[async_trait]
impl Provider for Scripted {
    async fn describe(&self) -> Result<Arc<Description>, ProviderError> {
        let models = vec![model("painter", Task::ImageGeneration)];
        Ok(Arc::new(Description { models, discovers: true, open_ended: false }))
    }
    async fn discover(&self, _: CallContext, _: Option<String>) -> Result<Page<ModelInfo>, ProviderError> {
        self.seen.lock().expect("no panic").discoveries += 1;
        if *self.is_silent.lock().expect("no panic") {
            return Err(failure(FailureCode::Unavailable));
        }
        let mut private = model("private", Task::ImageGeneration);
        private.owner = Some("somebody".to_owned());
        let mut soon = model("soon", Task::ImageGeneration);
        soon.status = ModelStatus::ComingSoon;
        let items = vec![model("painter", Task::ImageGeneration), model("found", Task::Chat), private, soon];
        Ok(Page { items, next: None })
    }
    async fn model(&self, _: CallContext, _: &str) -> Result<ModelInfo, ProviderError> {
        unsupported()
    }
    async fn voices(&self, _: CallContext, _: &str, _: Option<String>) -> Result<Page<Voice>, ProviderError> {
        unsupported()
    }
    async fn check(&self, _: CallContext) -> Result<(), ProviderError> {
        Ok(())
    }
    fn chat(self: Arc<Self>, _: CallContext, _: ChatRequest) -> EventStream<ChatEvent> {
        Box::pin(stream::once(async { unsupported() }))
    }
    fn speak(self: Arc<Self>, _: CallContext, _: SpeechRequest) -> EventStream<SpeechEvent> {
        Box::pin(stream::once(async { unsupported() }))
    }
    fn transcribe(
        self: Arc<Self>,
        _: CallContext,
        _: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent> {
        Box::pin(stream::once(async { unsupported() }))
    }
    async fn embed(&self, _: CallContext, _: EmbeddingRequest) -> Result<EmbeddingResponse, ProviderError> {
        unsupported()
    }
    async fn moderate(
        &self,
        _: CallContext,
        _: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        unsupported()
    }
    async fn count_tokens(&self, _: CallContext, _: ChatRequest) -> Result<u64, ProviderError> {
        unsupported()
    }
    async fn estimate(&self, _: CallContext, _: JobRequest) -> Result<Vec<UsageLine>, ProviderError> {
        unsupported()
    }
    async fn submit(&self, context: CallContext, _: JobRequest) -> Result<Step, ProviderError> {
        self.seen.lock().expect("no panic").submissions += 1;
        self.act(&context).await
    }
    async fn resume(
        &self,
        context: CallContext,
        _: JobKind,
        _: Vec<u8>,
        wake: Wake,
    ) -> Result<Step, ProviderError> {
        {
            let mut seen = self.seen.lock().expect("no panic");
            seen.resumptions += 1;
            seen.resumed_after_restart += u32::from(matches!(wake, Wake::Resumed));
        }
        self.act(&context).await
    }
    async fn cancel(&self, _: CallContext, _: JobKind, _: Vec<u8>) -> Result<Cancellation, ProviderError> {
        self.seen.lock().expect("no panic").cancellations += 1;
        Ok(Cancellation::Canceled(Vec::new()))
    }
    async fn fetch(&self, _: &str, _: u64) -> Result<Blob, ProviderError> {
        unsupported()
    }
    async fn parse_callback(&self, _: CallContext, _: Callback) -> Result<Vec<CallbackEvent>, ProviderError> {
        unsupported()
    }
    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }
    fn breaker(&self) -> BreakerState {
        BreakerState::Closed
    }
}
