//! An answer on its way into the store: whatever happens to who makes it, it is ended.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::conversation::{Answer, AnswerState, Exchanged, MessagePart, NewExchange, StoredMessage};
use atelier_domain::failure::ProviderError;
use atelier_domain::generation::usage::{UsageLine, bounded};
use atelier_domain::id::UserId;
use atelier_domain::job::JobError;

use super::{ConversationPorts, Inner};
use crate::{ServiceError, patience};

/// How long an answer that was left is kept for a storage that does not take it.
const KEPT_MAX: Duration = Duration::from_secs(3600);
/// The most characters of a failure's message that are kept with an answer, and of a word for why it ended.
const MESSAGE_CHARACTERS_MAX: usize = 2_000;
const WORD_CHARACTERS_MAX: usize = 64;

/// An answer that is being made. Dropped before it was stored, it is stored as far as it came.
#[derive(Debug)]
pub(super) struct Draft {
    inner: Arc<Inner>,
    owner: UserId,
    pub(super) exchanged: Exchanged,
    pub(super) text: String,
    pub(super) thinking: String,
    pub(super) refusal: String,
    pub(super) finish_reason: Option<String>,
    pub(super) usage: Vec<UsageLine>,
    /// How it ended, once that is known.
    outcome: Option<(AnswerState, Option<JobError>)>,
    is_stored: bool,
}

impl Draft {
    /// Stores a question with its pending answer.
    pub(super) async fn begin(inner: Arc<Inner>, new: NewExchange) -> Result<Self, ServiceError> {
        let ConversationPorts { store, blobs, pool, room, .. } = &inner.ports;
        let (store, blobs, room, owner) = (store.clone(), blobs.clone(), room.clone(), new.owner);
        let stored = pool.run(move || -> Result<_, ServiceError> {
            room.check()?;
            // Their files may be removed at this moment: what is claimed stays until the row names it.
            for file in new.question.iter().flat_map(StoredMessage::files) {
                if blobs.claim(&file.blob, &file.content_type)?.is_none() {
                    let (what, state) = ("a message's file", "not there");
                    return Err(ServiceError::ContentMissing { what, blob: file.blob, state });
                }
            }
            Ok(store.exchange(&new)?)
        });
        let exchanged = stored.await?.map_err(|unfit| inner.refused(unfit))?;
        Ok(Self {
            inner: inner.clone(),
            owner,
            exchanged,
            text: String::new(),
            thinking: String::new(),
            refusal: String::new(),
            finish_reason: None,
            usage: Vec::new(),
            outcome: None,
            is_stored: false,
        })
    }

    pub(super) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Bytes that came so far.
    pub(super) fn bytes(&self) -> usize {
        self.text.len() + self.thinking.len() + self.refusal.len()
    }

    /// Stores it as whole.
    pub(super) async fn complete(mut self) -> Result<Self, ServiceError> {
        self.outcome = Some((AnswerState::Complete, None));
        self.store().await.map(|()| self)
    }

    /// Stores it as failed.
    pub(super) async fn fail(mut self, error: &ServiceError) -> Result<(), ServiceError> {
        self.outcome = Some((AnswerState::Failed, Some(told(error))));
        self.store().await
    }

    async fn store(&mut self) -> Result<(), ServiceError> {
        let answer = self.row();
        let stored = put(self.inner.clone(), self.owner, answer).await?;
        self.is_stored = true;
        // Its conversation was removed meanwhile, or it is ended already: what was said is told nevertheless.
        if let Some(stored) = stored {
            self.exchanged.answer = stored;
        }
        Ok(())
    }

    /// The answer as it is to be stored.
    fn row(&self) -> StoredMessage {
        let pending = &self.exchanged.answer;
        let (state, error) = self.outcome.clone().unwrap_or((AnswerState::Canceled, None));
        let text = Some(&self.text).filter(|text| !text.is_empty()).cloned();
        let answer = pending.answer.clone().map(|answer| Answer {
            state,
            error,
            finish_reason: self
                .finish_reason
                .as_deref()
                .filter(|_| state == AnswerState::Complete)
                .map(|word| word.chars().take(WORD_CHARACTERS_MAX).collect()),
            thinking: self.thinking.clone(),
            refusal: self.refusal.clone(),
            usage: bounded(&self.usage),
            finished: Some(self.inner.ports.clock.now()),
            ..answer
        });
        StoredMessage { parts: text.map(MessagePart::Text).into_iter().collect(), answer, ..pending.clone() }
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if self.is_stored {
            return;
        }
        let message = self.exchanged.answer.id;
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            // The process ends; the next one finds it pending.
            tracing::warn!(%message, "an answer was left while the server stopped");
            return;
        };
        let (inner, owner, answer) = (self.inner.clone(), self.owner, self.row());
        runtime.spawn(async move {
            // It may have been paid for, and nobody can go on from one that is pending.
            let storing = patience::patiently(KEPT_MAX, || put(inner.clone(), owner, answer.clone()));
            if let Err(error) = storing.await {
                tracing::error!(%message, %error, "an answer that was left could not be stored");
            }
        });
    }
}

async fn put(
    inner: Arc<Inner>,
    owner: UserId,
    answer: StoredMessage,
) -> Result<Option<StoredMessage>, ServiceError> {
    let store = inner.ports.store.clone();
    inner.ports.pool.run(move || store.finish_answer(owner, &answer)).await
}

/// A failure as it is kept with its answer. Internals of the host are not among it.
fn told(error: &ServiceError) -> JobError {
    let (code, message) = match error {
        ServiceError::Provider(ProviderError::Reported { failure, .. }) => {
            (failure.code.as_str(), failure.message.clone())
        }
        ServiceError::Provider(other) => (other.kind(), other.to_string()),
        ServiceError::AnswerBrokenOff { .. } => ("broken-off", error.to_string()),
        ServiceError::Refused(_) | ServiceError::NotPriced { .. } => ("not-paid", error.to_string()),
        ServiceError::StorageBusy
        | ServiceError::Store(_)
        | ServiceError::Blobs(_)
        | ServiceError::Internal(_)
        | ServiceError::ContentMissing { .. } => {
            ("internal", "something went wrong at the server".to_owned())
        }
        other => ("refused", other.to_string()),
    };
    JobError { code: code.to_owned(), message: message.chars().take(MESSAGE_CHARACTERS_MAX).collect() }
}
