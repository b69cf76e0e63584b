//! The port behind which every provider stands, sandboxed or in-house.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::Stream;

use crate::blob::Blob;
use crate::failure::ProviderError;
use crate::generation::chat::{ChatEvent, ChatRequest};
use crate::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use crate::generation::media::{
    Callback, CallbackEvent, CallbackRefusal, Cancellation, Delivery, JobKind, JobRequest, Preview, Step,
    Wake,
};
use crate::generation::moderation::{ModerationRequest, ModerationResponse};
use crate::generation::speech::{SpeechEvent, SpeechRequest};
use crate::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use crate::generation::usage::UsageLine;
use crate::hidden::HiddenTexts;
use crate::id::CallId;
use crate::manifest::SecretSpec;
use crate::model::{Description, ModelInfo, Page, Voice};
use crate::plugin::SecretValue;
use crate::store::StoreError;
use crate::trace::Trace;

/// Who is calling, for what, and until when.
#[derive(Clone, Debug)]
pub struct CallContext {
    pub call: CallId,
    /// The id of the caller's request; passed upstream.
    pub request_id: Arc<str>,
    /// 1 for the first.
    pub attempt: u32,
    /// The same for all attempts.
    pub idempotency_key: String,
    /// Time left.
    pub budget: Duration,
    /// Opaque name of the tenant.
    pub scope: Arc<str>,
    pub callback_url: Option<String>,
    /// How often the request has already passed through this host (RFC 9110 `Via`).
    pub depth: u32,
    /// For jobs: told before a charging request leaves.
    pub journal: Option<Arc<dyn ChargeJournal>>,
    /// For jobs: shown unfinished pictures, if anybody waits for them.
    pub previews: Option<Arc<dyn PreviewSink>>,
    /// Texts in the request that nobody may read but the provider: no line of a log may repeat them.
    pub hidden: Option<Arc<HiddenTexts>>,
    /// The span that asks, where it is traced: what the provider is asked on its way goes on from it.
    pub trace: Option<Trace>,
}

impl CallContext {
    /// A call that the host makes for itself.
    pub fn of_host(request_id: &str, budget: Duration) -> Self {
        Self {
            call: CallId::new(),
            request_id: Arc::from(request_id),
            attempt: 1,
            idempotency_key: String::new(),
            budget,
            scope: Arc::from(""),
            callback_url: None,
            depth: 0,
            journal: None,
            previews: None,
            hidden: None,
            trace: None,
        }
    }
}

/// Takes unfinished pictures to whoever waits for them.
pub trait PreviewSink: Send + Sync + fmt::Debug {
    /// Shows one. It is dropped where nobody waits or somebody is slow: it must not hold up the job.
    fn show(&self, preview: Preview);
}

/// Notes durably that a charging request is about to leave, so that after a crash the host knows "never left" from "may have
/// left".
#[async_trait]
pub trait ChargeJournal: Send + Sync + fmt::Debug {
    /// Returns once it is on disk. `repeatable`: the provider takes an idempotency key for it, so that it may be sent again.
    ///
    /// # Errors
    /// It could not be written: the request must not leave.
    async fn charging(&self, repeatable: bool) -> Result<(), StoreError>;
    /// A request told of has done nothing: no connection came about, or its provider answered that it does not take it (429).
    fn withdrawn(&self, _repeatable: bool) {}
}

/// What a live call answers with: batches of events. Polling it drives the call; dropping it ends the call, its sandbox and
/// its upstream request at once. It ends after the first error.
pub type EventStream<T> = Pin<Box<dyn Stream<Item = Result<Vec<T>, ProviderError>> + Send>>;

/// The state of a provider's breaker, for operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BreakerState {
    Closed,
    /// Calls are refused for this long.
    Open {
        retry_after: Duration,
        reason: String,
    },
    /// One call is let through as a trial.
    HalfOpen,
}

/// Whether a provider can be called now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Being loaded, or not asked for yet.
    Loading,
    /// Why not.
    Failed(String),
}

/// One configured instance of a provider.
///
/// A call for which it has no interface answers [`ProviderError::Unsupported`].
#[async_trait]
pub trait Provider: Send + Sync + fmt::Debug {
    /// Its models, without asking anybody.
    async fn describe(&self) -> Result<Arc<Description>, ProviderError>;
    /// A page of what it has now.
    async fn discover(
        &self,
        context: CallContext,
        cursor: Option<String>,
    ) -> Result<Page<ModelInfo>, ProviderError>;
    /// One model by the provider's own id.
    async fn model(&self, context: CallContext, id: &str) -> Result<ModelInfo, ProviderError>;
    /// A page of a speech model's voices.
    async fn voices(
        &self,
        context: CallContext,
        model: &str,
        cursor: Option<String>,
    ) -> Result<Page<Voice>, ProviderError>;
    /// Whether address and key are good.
    async fn check(&self, context: CallContext) -> Result<(), ProviderError>;

    /// Answers a conversation.
    fn chat(self: Arc<Self>, context: CallContext, request: ChatRequest) -> EventStream<ChatEvent>;
    /// Input tokens of a conversation, at no cost.
    async fn count_tokens(&self, context: CallContext, request: ChatRequest) -> Result<u64, ProviderError>;
    /// Speaks a text.
    fn speak(self: Arc<Self>, context: CallContext, request: SpeechRequest) -> EventStream<SpeechEvent>;
    /// Writes down what is spoken.
    fn transcribe(
        self: Arc<Self>,
        context: CallContext,
        request: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent>;
    /// Turns inputs into vectors.
    async fn embed(
        &self,
        context: CallContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ProviderError>;
    /// Judges inputs.
    async fn moderate(
        &self,
        context: CallContext,
        request: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError>;

    /// Whether a job may be sent to it, asked before the job is taken. A provider itself has nothing against any.
    ///
    /// # Errors
    /// Why not.
    async fn admit(&self, _context: CallContext, _request: &JobRequest) -> Result<(), ProviderError> {
        Ok(())
    }
    /// The most a job can use; empty if the provider does not say.
    async fn estimate(
        &self,
        context: CallContext,
        request: JobRequest,
    ) -> Result<Vec<UsageLine>, ProviderError>;
    /// Begins a job.
    async fn submit(&self, context: CallContext, request: JobRequest) -> Result<Step, ProviderError>;
    /// Goes on with a job.
    async fn resume(
        &self,
        context: CallContext,
        kind: JobKind,
        state: Vec<u8>,
        wake: Wake,
    ) -> Result<Step, ProviderError>;
    /// Stops a job.
    async fn cancel(
        &self,
        context: CallContext,
        kind: JobKind,
        state: Vec<u8>,
    ) -> Result<Cancellation, ProviderError>;
    /// Fetches a result whose download wants the instance's secret ([`OutputSource::Guarded`]), `bytes_max` at most.
    ///
    /// [`OutputSource::Guarded`]: crate::generation::media::OutputSource::Guarded
    async fn fetch(&self, url: &str, bytes_max: u64) -> Result<Blob, ProviderError>;
    /// Takes a provider's callback apart.
    async fn parse_callback(
        &self,
        context: CallContext,
        callback: Callback,
    ) -> Result<Vec<CallbackEvent>, ProviderError>;
    /// Whether an address for callbacks may be given to it: what comes there can be checked.
    fn takes_callbacks(&self) -> bool {
        false
    }
    /// Checks who sent a callback, by its provider's scheme, without asking the plugin.
    ///
    /// # Errors
    /// It is not to be believed.
    fn verify_callback(&self, _callback: &Callback) -> Result<Delivery, CallbackRefusal> {
        Err(CallbackRefusal::Unexpected)
    }

    /// The secrets that it is called with.
    fn secrets(&self) -> &[SecretSpec] {
        &[]
    }
    /// The same under secrets of a caller's own. It shares nothing with this one: neither what its plugin keeps, nor breakers, nor what
    /// the provider says of its limits; and it is not called back.
    ///
    /// # Errors
    /// Why it cannot be called with them.
    fn with_secrets(&self, _own: &BTreeMap<String, SecretValue>) -> Result<Arc<dyn Provider>, String> {
        Err("it takes no secrets".to_owned())
    }

    /// Whether it runs on this machine, without asking anybody outside.
    fn is_in_house(&self) -> bool {
        false
    }
    /// Whether it can be called now.
    fn readiness(&self) -> Readiness;
    /// The state of its breaker.
    fn breaker(&self) -> BreakerState;
}
