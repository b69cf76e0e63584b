//! Live generations: from a caller's request to a provider's events.

pub mod answer;
mod ask;
mod elsewhere;
mod expected;
mod live;
pub mod options;
mod sound;
mod token_count;
pub(crate) mod traced;

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatEvent, ChatRequest, Part};
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::moderation::{ModerationInput, ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::id::CallId;
use atelier_domain::model::Task;
use atelier_domain::provider::{CallContext, ChargeJournal, Provider};
use atelier_domain::text::check_chat_text;

use futures::future::BoxFuture;

pub(crate) use elsewhere::another_may_try;
pub use live::{Live, LiveEvent};

use crate::ServiceError;
use crate::caller::Caller;
use crate::concealed::Concealed;
use crate::ledger::{ABANDONED, Charge, Expected, Ledger, Sent};
use crate::own_keys::OwnKeys;
use crate::registry::{ModelEntry, Registry, Resolved, Target};
use crate::templates::{Filled, PromptFault};

/// How long a live call may take.
#[derive(Clone, Copy, Debug)]
pub struct CallBudget {
    pub chat: Duration,
    pub other: Duration,
}

impl Default for CallBudget {
    fn default() -> Self {
        Self { chat: Duration::from_secs(600), other: Duration::from_secs(300) }
    }
}

/// A whole answer, with the model that gave it.
#[derive(Debug)]
pub struct Answered<T> {
    pub model: Arc<ModelEntry>,
    pub value: T,
    /// How long the provider took.
    pub provider_time: Duration,
}

/// Live calls over the registry.
#[derive(Debug)]
pub struct Generations {
    registry: Arc<Registry>,
    own_keys: Arc<OwnKeys>,
    ledger: Arc<Ledger>,
    budget: CallBudget,
}

impl Generations {
    /// Live calls of the registry's models.
    pub fn new(
        registry: Arc<Registry>,
        own_keys: Arc<OwnKeys>,
        ledger: Arc<Ledger>,
        budget: CallBudget,
    ) -> Self {
        Self { registry, own_keys, ledger, budget }
    }

    /// The model of a request, before the rest of it is read; under the caller's own key if they have one.
    ///
    /// # Errors
    /// As [`Registry::resolve`] and [`OwnKeys::apply`].
    pub async fn resolve(&self, caller: &Caller, model: &str, task: Task) -> Result<Resolved, ServiceError> {
        let resolved = self.registry.resolve(model, task, caller).await?;
        self.own_keys.apply(caller, resolved).await
    }

    /// The same under the operator's keys alone: what is hidden from the caller must not come into an account of theirs.
    ///
    /// # Errors
    /// As [`Registry::resolve`]; the caller sent a key of their own.
    pub async fn resolve_hidden(
        &self,
        caller: &Caller,
        model: &str,
        task: Task,
    ) -> Result<Resolved, ServiceError> {
        caller.without_own_key()?;
        self.registry.resolve(model, task, caller).await
    }

    /// Answers a conversation.
    ///
    /// # Errors
    /// A text or an option is refused. What the provider refuses comes as an event.
    pub fn chat(
        &self,
        caller: &Caller,
        resolved: Resolved,
        request: ChatRequest,
    ) -> Result<Live<ChatEvent>, ServiceError> {
        check_conversation(&request)?;
        let call = (Task::Chat, self.budget.chat);
        self.ask_live(caller, resolved, call, request, |provider, context, request| {
            provider.chat(context, request)
        })
    }

    /// Asks what a template was filled in to; `files` are those among its variables.
    ///
    /// # Errors
    /// As [`Generations::chat`].
    pub fn chat_filled(
        &self,
        caller: &Caller,
        resolved: Resolved,
        filled: Filled,
        files: Vec<Part>,
        stream: bool,
    ) -> Result<Live<ChatEvent>, ServiceError> {
        let hidden = filled.hidden();
        let request = filled.into_chat(files, stream)?;
        // The mistake would be the template's, and quote it.
        if resolved.model.options().check(&request.options).is_err() {
            return Err(ServiceError::Template(PromptFault::Misfit));
        }
        let conceal = |provider| -> Arc<dyn Provider> { Arc::new(Concealed::new(provider, hidden.clone())) };
        let fallback = |Target { provider, model }| Target { provider: conceal(provider), model };
        let resolved = Resolved {
            provider: conceal(resolved.provider),
            model: resolved.model,
            fallbacks: resolved.fallbacks.into_iter().map(fallback).collect(),
        };
        self.chat(caller, resolved, request)
    }

    /// Speaks a text.
    ///
    /// # Errors
    /// The text or an option is refused. What the provider refuses comes as an event.
    pub fn speak(
        &self,
        caller: &Caller,
        resolved: Resolved,
        request: SpeechRequest,
    ) -> Result<Live<SpeechEvent>, ServiceError> {
        check_text("input", &request.text)?;
        let call = (Task::Speech, self.budget.other);
        self.ask_live(caller, resolved, call, request, |provider, context, request| {
            provider.speak(context, request)
        })
    }

    /// Writes down what is spoken.
    ///
    /// # Errors
    /// The prompt or an option is refused. What the provider refuses comes as an event.
    pub fn transcribe(
        &self,
        caller: &Caller,
        resolved: Resolved,
        request: TranscriptionRequest,
    ) -> Result<Live<TranscriptionEvent>, ServiceError> {
        if let Some(prompt) = &request.prompt {
            check_chat_text(prompt)
                .map_err(|why| ServiceError::Prompt { param: "prompt".to_owned(), why })?;
        }
        let task = if request.translate { Task::Translation } else { Task::Transcription };
        let call = (task, self.budget.other);
        self.ask_live(caller, resolved, call, request, |provider, context, request| {
            provider.transcribe(context, request)
        })
    }

    /// Turns inputs into vectors, one for each, in order.
    ///
    /// # Errors
    /// A text or an option is refused, or the provider failed.
    pub async fn embed(
        &self,
        caller: &Caller,
        resolved: Resolved,
        request: EmbeddingRequest,
    ) -> Result<Answered<EmbeddingResponse>, ServiceError> {
        for (i, input) in request.inputs.iter().enumerate() {
            match input {
                EmbeddingInput::Text(text) => check_text(&format!("input[{i}]"), text)?,
                EmbeddingInput::Tokens(_) | EmbeddingInput::Media(_) | EmbeddingInput::Other(_) => {}
            }
        }
        let wanted = request.inputs.len();
        let answered = self.ask_whole(caller, resolved, Task::Embedding, request, embed).await?;
        if answered.value.vectors.len() != wanted {
            return Err(ServiceError::AnswerBrokenOff { instance: answered.model.id.instance().to_owned() });
        }
        Ok(answered)
    }

    /// Judges inputs.
    ///
    /// # Errors
    /// A text or an option is refused, or the provider failed.
    pub async fn moderate(
        &self,
        caller: &Caller,
        resolved: Resolved,
        request: ModerationRequest,
    ) -> Result<Answered<ModerationResponse>, ServiceError> {
        for (i, input) in request.inputs.iter().enumerate() {
            match input {
                ModerationInput::Text(text) => check_chat_text(text)
                    .map_err(|why| ServiceError::Prompt { param: format!("input[{i}]"), why })?,
                ModerationInput::Image(_) | ModerationInput::Other(_) => {}
            }
        }
        self.ask_whole(caller, resolved, Task::Moderation, request, moderate).await
    }
}

fn embed(
    provider: &dyn Provider,
    context: CallContext,
    request: EmbeddingRequest,
) -> BoxFuture<'_, Result<EmbeddingResponse, ProviderError>> {
    provider.embed(context, request)
}

fn moderate(
    provider: &dyn Provider,
    context: CallContext,
    request: ModerationRequest,
) -> BoxFuture<'_, Result<ModerationResponse, ProviderError>> {
    provider.moderate(context, request)
}

/// A call that is waited for as a whole. It is recorded also when its caller leaves meanwhile.
struct Pending(Option<Charge>);

impl Pending {
    fn retarget(&mut self, model: &Arc<ModelEntry>, expected: Expected) {
        if let Some(charge) = &mut self.0 {
            charge.retarget(model, expected);
        }
    }

    fn record(&mut self, outcome: &str, usage: &[UsageLine]) {
        if let Some(charge) = self.0.take() {
            charge.record(outcome, usage, 0);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.record(ABANDONED, &[]);
    }
}

/// What a provider learns of a live call, and the count of what it was asked that costs.
fn counted(caller: &Caller, budget: Duration) -> (CallContext, Arc<Sent>) {
    let sent = Sent::of(caller);
    let journal = Some(sent.clone() as Arc<dyn ChargeJournal>);
    (CallContext { journal, ..context(caller, budget) }, sent)
}

/// What a provider learns of a call.
pub(crate) fn context(caller: &Caller, budget: Duration) -> CallContext {
    let call = CallId::new();
    let keyed = caller.keyed.as_ref();
    CallContext {
        call,
        request_id: caller.request_id.clone(),
        attempt: 1,
        idempotency_key: keyed.map_or_else(|| call.simple(), |keyed| keyed.call_key()),
        budget,
        scope: caller.scope.clone(),
        callback_url: None,
        depth: caller.depth,
        // A claim is on disk before what costs leaves; without a key nothing is written.
        journal: keyed.map(|keyed| keyed.clone() as Arc<dyn ChargeJournal>),
        previews: None,
        hidden: None,
        trace: caller.trace.clone(),
    }
}

fn check_conversation(request: &ChatRequest) -> Result<(), ServiceError> {
    for (i, message) in request.messages.iter().enumerate() {
        for part in &message.parts {
            let texts = match part {
                Part::Text(text) => vec![text.as_str()],
                Part::ToolResult(result) => result.texts().collect(),
                Part::Image(_)
                | Part::Audio(_)
                | Part::File(_)
                | Part::ToolCall(_)
                | Part::Thinking(_)
                | Part::Refusal(_)
                | Part::Other(_) => continue,
            };
            texts
                .into_iter()
                .try_for_each(check_chat_text)
                .map_err(|why| ServiceError::Prompt { param: format!("messages[{i}].content"), why })?;
        }
    }
    Ok(())
}

fn check_text(param: &str, text: &str) -> Result<(), ServiceError> {
    let refused = |why| ServiceError::Prompt { param: param.to_owned(), why };
    if text.is_empty() {
        return Err(refused(atelier_domain::text::InvalidPrompt::Empty));
    }
    check_chat_text(text).map_err(refused)
}
