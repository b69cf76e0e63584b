//! A provider that is asked something hidden: what it says about the request (errors, metadata, lines of its log) does not repeat it.
//! What its model makes is its own, and passed on.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::{Failure, ProviderError};
use atelier_domain::generation::chat::{ChatEvent, ChatRequest, FinishReason};
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::media::{
    Callback, CallbackEvent, CallbackRefusal, Cancellation, Delivery, JobKind, JobRequest, MediaOutput,
    Outcome, Output, Step, Wake,
};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::hidden::HiddenTexts;
use atelier_domain::manifest::SecretSpec;
use atelier_domain::model::{Description, ModelInfo, Page, Voice};
use atelier_domain::plugin::SecretValue;
use atelier_domain::provider::{BreakerState, CallContext, EventStream, Provider, Readiness};
use futures::StreamExt;

/// In place of words that repeat what is hidden.
const WITHHELD: &str = "the provider's words repeat a hidden prompt and are not shown";

/// A provider for one request with something hidden.
#[derive(Debug)]
pub(crate) struct Concealed {
    provider: Arc<dyn Provider>,
    hidden: Arc<HiddenTexts>,
}

impl Concealed {
    pub(crate) fn new(provider: Arc<dyn Provider>, hidden: Arc<HiddenTexts>) -> Self {
        Self { provider, hidden }
    }

    fn context(&self, context: CallContext) -> CallContext {
        CallContext { hidden: Some(self.hidden.clone()), ..context }
    }

    fn result<T>(&self, outcome: Result<T, ProviderError>) -> Result<T, ProviderError> {
        outcome.map_err(|told| error(&self.hidden, told))
    }

    fn step(&self, step: Step) -> Step {
        match step {
            Step::Done(done) => Step::Done(outcome(&self.hidden, done)),
            Step::Pending(ticket) => Step::Pending(ticket),
        }
    }
}

/// A failure without what is hidden.
pub(crate) fn error(hidden: &HiddenTexts, error: ProviderError) -> ProviderError {
    let told = |text: String| if hidden.are_in(&text) { WITHHELD.to_owned() } else { text };
    match error {
        ProviderError::Reported { instance, failure } => {
            let Failure { code, message, param, http_status, retry_after, provider_detail } = *failure;
            let param = param.filter(|param| !hidden.are_in(param));
            let provider_detail = provider_detail.map(told);
            let message = told(message);
            let failure = Failure { code, message, param, http_status, retry_after, provider_detail };
            ProviderError::Reported { instance, failure: Box::new(failure) }
        }
        ProviderError::LimitReached { instance, limit, budget } => {
            ProviderError::LimitReached { instance, limit, budget }
        }
        ProviderError::EgressDenied { instance, host, reason } => {
            ProviderError::EgressDenied { instance, host: told(host), reason: told(reason) }
        }
        ProviderError::Forbidden { instance, what } => {
            ProviderError::Forbidden { instance, what: told(what) }
        }
        ProviderError::SecretMissing { instance, secret } => {
            ProviderError::SecretMissing { instance, secret }
        }
        ProviderError::SecretRefused { instance, secret, reason } => {
            ProviderError::SecretRefused { instance, secret, reason: told(reason) }
        }
        ProviderError::Trapped { instance, detail } => {
            ProviderError::Trapped { instance, detail: told(detail) }
        }
        ProviderError::Unavailable { instance, reason, retry_after } => {
            ProviderError::Unavailable { instance, reason: told(reason), retry_after }
        }
        ProviderError::Unsupported { instance, task } => {
            ProviderError::Unsupported { instance, task: told(task) }
        }
        // Where it stands would tell how the hidden one is made.
        ProviderError::PromptRefused { param: _, found } => {
            ProviderError::PromptRefused { param: None, found: found.into_iter().map(told).collect() }
        }
        ProviderError::PromptUnjudged { model, reason, retry_after } => {
            ProviderError::PromptUnjudged { model, reason: told(reason), retry_after }
        }
        ProviderError::Canceled => ProviderError::Canceled,
    }
}

fn outcome(hidden: &HiddenTexts, outcome: Outcome) -> Outcome {
    let output = |output| match output {
        Output::Media(media) => Some(Output::Media(MediaOutput {
            // A prompt rewritten is the hidden one in other words.
            revised_prompt: None,
            content_type: media.content_type.filter(|word| !hidden.are_in(word)),
            attributes: attributes(hidden, media.attributes),
            ..media
        })),
        Output::Other(other) => {
            let is_clean = !hidden.are_in(&other.kind) && !hidden.are_in(other.json.get());
            is_clean.then_some(Output::Other(other))
        }
        Output::Text(_) | Output::Model(_) => Some(output),
    };
    Outcome {
        outputs: outcome.outputs.into_iter().filter_map(output).collect(),
        usage: usage(hidden, outcome.usage),
    }
}

fn attributes(hidden: &HiddenTexts, mut all: Vec<(String, String)>) -> Vec<(String, String)> {
    all.retain(|(name, value)| !hidden.are_in(name) && !hidden.are_in(value));
    all
}

fn usage(hidden: &HiddenTexts, lines: Vec<UsageLine>) -> Vec<UsageLine> {
    let line = |line: UsageLine| UsageLine {
        meter: if hidden.are_in(&line.meter) { "other".to_owned() } else { line.meter },
        quantity: line.quantity,
        attributes: attributes(hidden, line.attributes),
    };
    lines.into_iter().map(line).collect()
}

/// An event without what is hidden; `None` if nothing of it is left.
fn chat_event(hidden: &HiddenTexts, event: ChatEvent) -> Option<ChatEvent> {
    let word = |word: String| if hidden.are_in(&word) { String::new() } else { word };
    Some(match event {
        ChatEvent::Started { id, model } => ChatEvent::Started { id: word(id), model: word(model) },
        ChatEvent::Finished(FinishReason::Other(reason)) if hidden.are_in(&reason) => {
            ChatEvent::Finished(FinishReason::Other("other".to_owned()))
        }
        ChatEvent::Usage(lines) => ChatEvent::Usage(usage(hidden, lines)),
        ChatEvent::Other(other) if hidden.are_in(&other.kind) || hidden.are_in(other.json.get()) => {
            return None;
        }
        ChatEvent::Text(_)
        | ChatEvent::Thinking(_)
        | ChatEvent::Refusal(_)
        | ChatEvent::ToolCallStart { .. }
        | ChatEvent::ToolCallDelta { .. }
        | ChatEvent::Logprobs(_)
        | ChatEvent::Finished(_)
        | ChatEvent::Other(_) => event,
    })
}

#[async_trait]
impl Provider for Concealed {
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
        let events = self.provider.clone().chat(self.context(context), request);
        Box::pin(events.map(move |batch| {
            let batch = self.result(batch)?;
            Ok(batch.into_iter().filter_map(|event| chat_event(&self.hidden, event)).collect())
        }))
    }
    async fn count_tokens(&self, context: CallContext, request: ChatRequest) -> Result<u64, ProviderError> {
        self.result(self.provider.count_tokens(self.context(context), request).await)
    }
    fn speak(self: Arc<Self>, context: CallContext, request: SpeechRequest) -> EventStream<SpeechEvent> {
        let events = self.provider.clone().speak(self.context(context), request);
        Box::pin(events.map(move |batch| self.result(batch)))
    }
    fn transcribe(
        self: Arc<Self>,
        context: CallContext,
        request: TranscriptionRequest,
    ) -> EventStream<TranscriptionEvent> {
        let events = self.provider.clone().transcribe(self.context(context), request);
        Box::pin(events.map(move |batch| self.result(batch)))
    }
    async fn embed(
        &self,
        context: CallContext,
        request: EmbeddingRequest,
    ) -> Result<EmbeddingResponse, ProviderError> {
        self.result(self.provider.embed(self.context(context), request).await)
    }
    async fn moderate(
        &self,
        context: CallContext,
        request: ModerationRequest,
    ) -> Result<ModerationResponse, ProviderError> {
        self.result(self.provider.moderate(self.context(context), request).await)
    }
    async fn admit(&self, context: CallContext, request: &JobRequest) -> Result<(), ProviderError> {
        self.result(self.provider.admit(self.context(context), request).await)
    }
    async fn estimate(
        &self,
        context: CallContext,
        request: JobRequest,
    ) -> Result<Vec<UsageLine>, ProviderError> {
        let lines = self.result(self.provider.estimate(self.context(context), request).await)?;
        Ok(usage(&self.hidden, lines))
    }
    async fn submit(&self, context: CallContext, request: JobRequest) -> Result<Step, ProviderError> {
        self.result(self.provider.submit(self.context(context), request).await).map(|step| self.step(step))
    }
    async fn resume(
        &self,
        context: CallContext,
        kind: JobKind,
        state: Vec<u8>,
        wake: Wake,
    ) -> Result<Step, ProviderError> {
        let resumed = self.provider.resume(self.context(context), kind, state, wake).await;
        self.result(resumed).map(|step| self.step(step))
    }
    async fn cancel(
        &self,
        context: CallContext,
        kind: JobKind,
        state: Vec<u8>,
    ) -> Result<Cancellation, ProviderError> {
        let canceled = self.provider.cancel(self.context(context), kind, state).await;
        self.result(canceled).map(|canceled| match canceled {
            Cancellation::Canceled(lines) => Cancellation::Canceled(usage(&self.hidden, lines)),
            Cancellation::Finished(done) => Cancellation::Finished(outcome(&self.hidden, done)),
            Cancellation::Unsupported => Cancellation::Unsupported,
        })
    }
    async fn fetch(&self, url: &str, bytes_max: u64) -> Result<Blob, ProviderError> {
        self.result(self.provider.fetch(url, bytes_max).await)
    }
    async fn parse_callback(
        &self,
        context: CallContext,
        callback: Callback,
    ) -> Result<Vec<CallbackEvent>, ProviderError> {
        self.result(self.provider.parse_callback(self.context(context), callback).await)
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
        Ok(Arc::new(Self { provider, hidden: self.hidden.clone() }))
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
