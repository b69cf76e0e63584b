//! Live generations: from a caller's request to a provider's events.

pub mod answer;
mod live;
pub mod options;
mod token_count;

use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::generation::chat::{ChatEvent, ChatRequest, Part};
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::moderation::{ModerationInput, ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::transcription::{TranscriptionEvent, TranscriptionRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::id::CallId;
use atelier_domain::model::Task;
use atelier_domain::provider::{CallContext, ChargeJournal};
use atelier_domain::text::check_chat_text;

pub use live::{Live, LiveEvent};

use crate::ServiceError;
use crate::caller::Caller;
use crate::meter::CallRecord;
use crate::registry::{ModelEntry, Registry, Resolved};

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
    budget: CallBudget,
}

impl Generations {
    /// Live calls of the registry's models.
    pub fn new(registry: Arc<Registry>, budget: CallBudget) -> Self {
        Self { registry, budget }
    }

    /// The model of a request, before the rest of it is read.
    ///
    /// # Errors
    /// As [`Registry::resolve`].
    pub async fn resolve(&self, caller: &Caller, model: &str, task: Task) -> Result<Resolved, ServiceError> {
        self.registry.resolve(model, task, &caller.scope).await
    }

    /// Answers a conversation.
    ///
    /// # Errors
    /// A text or an option is refused. What the provider refuses comes as an event.
    pub fn chat(
        &self,
        caller: &Caller,
        resolved: Resolved,
        mut request: ChatRequest,
    ) -> Result<Live<ChatEvent>, ServiceError> {
        check_conversation(&request)?;
        resolved.model.options().check(&request.options)?;
        request.model.clone_from(&resolved.model.info.id);
        let context = context(caller, self.budget.chat);
        let started = Instant::now();
        let events = resolved.provider.chat(context, request);
        Ok(Live::new(caller, resolved.model, Task::Chat, started, events))
    }

    /// Speaks a text.
    ///
    /// # Errors
    /// The text or an option is refused. What the provider refuses comes as an event.
    pub fn speak(
        &self,
        caller: &Caller,
        resolved: Resolved,
        mut request: SpeechRequest,
    ) -> Result<Live<SpeechEvent>, ServiceError> {
        check_text("input", &request.text)?;
        resolved.model.options().check(&request.options)?;
        request.model.clone_from(&resolved.model.info.id);
        let started = Instant::now();
        let events = resolved.provider.speak(context(caller, self.budget.other), request);
        Ok(Live::new(caller, resolved.model, Task::Speech, started, events))
    }

    /// Writes down what is spoken.
    ///
    /// # Errors
    /// The prompt or an option is refused. What the provider refuses comes as an event.
    pub fn transcribe(
        &self,
        caller: &Caller,
        resolved: Resolved,
        mut request: TranscriptionRequest,
    ) -> Result<Live<TranscriptionEvent>, ServiceError> {
        if let Some(prompt) = &request.prompt {
            check_chat_text(prompt)
                .map_err(|why| ServiceError::Prompt { param: "prompt".to_owned(), why })?;
        }
        resolved.model.options().check(&request.options)?;
        request.model.clone_from(&resolved.model.info.id);
        let task = if request.translate { Task::Translation } else { Task::Transcription };
        let started = Instant::now();
        let events = resolved.provider.transcribe(context(caller, self.budget.other), request);
        Ok(Live::new(caller, resolved.model, task, started, events))
    }

    /// Turns inputs into vectors, one for each, in order.
    ///
    /// # Errors
    /// A text or an option is refused, or the provider failed.
    pub async fn embed(
        &self,
        caller: &Caller,
        resolved: Resolved,
        mut request: EmbeddingRequest,
    ) -> Result<Answered<EmbeddingResponse>, ServiceError> {
        for (i, input) in request.inputs.iter().enumerate() {
            match input {
                EmbeddingInput::Text(text) => check_text(&format!("input[{i}]"), text)?,
                EmbeddingInput::Tokens(_) | EmbeddingInput::Media(_) | EmbeddingInput::Other(_) => {}
            }
        }
        resolved.model.options().check(&request.options)?;
        request.model.clone_from(&resolved.model.info.id);
        let wanted = request.inputs.len();
        let call = resolved.provider.embed(context(caller, self.budget.other), request);
        let answered =
            self.timed(caller, &resolved.model, Task::Embedding, call, |value| &value.usage).await?;
        if answered.value.vectors.len() != wanted {
            return Err(ServiceError::AnswerBrokenOff { instance: resolved.model.id.instance().to_owned() });
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
        mut request: ModerationRequest,
    ) -> Result<Answered<ModerationResponse>, ServiceError> {
        for (i, input) in request.inputs.iter().enumerate() {
            match input {
                ModerationInput::Text(text) => check_chat_text(text)
                    .map_err(|why| ServiceError::Prompt { param: format!("input[{i}]"), why })?,
                ModerationInput::Image(_) | ModerationInput::Other(_) => {}
            }
        }
        resolved.model.options().check(&request.options)?;
        request.model.clone_from(&resolved.model.info.id);
        let call = resolved.provider.moderate(context(caller, self.budget.other), request);
        self.timed(caller, &resolved.model, Task::Moderation, call, |value| &value.usage).await
    }

    async fn timed<T>(
        &self,
        caller: &Caller,
        model: &Arc<ModelEntry>,
        task: Task,
        call: impl Future<Output = Result<T, atelier_domain::failure::ProviderError>>,
        usage: impl Fn(&T) -> &[UsageLine],
    ) -> Result<Answered<T>, ServiceError> {
        let started = Instant::now();
        let outcome = match tokio::time::timeout(self.budget.other, call).await {
            Ok(outcome) => outcome.map_err(ServiceError::Provider),
            Err(_) => Err(ServiceError::TimedOut { what: "the provider's answer", after: self.budget.other }),
        };
        let duration = started.elapsed();
        let word = match &outcome {
            Ok(_) => "ok",
            Err(ServiceError::Provider(error)) => error.kind(),
            Err(_) => "timed-out",
        };
        let lines = outcome.as_ref().map_or(&[][..], |value| usage(value));
        model.meter().ended(&CallRecord {
            caller,
            model: model.id.as_str(),
            task,
            outcome: word,
            duration,
            first: None,
            usage: lines,
        });
        outcome.map(|value| Answered { model: model.clone(), value, provider_time: duration })
    }
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
