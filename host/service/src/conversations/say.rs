//! Questions, and answers once more.

use atelier_domain::conversation::{Conversation, NewExchange, StoredMessage, Title, Unfit};
use atelier_domain::id::{ChatMessageId, ConversationId};
use atelier_domain::model::Task;

use super::draft::Draft;
use super::{AnswerSettings, Answering, Conversations, Follows, Inner, NewPart, check_model, unknown};
use crate::ServiceError;
use crate::caller::Caller;

impl Conversations {
    /// Asks something in the caller's conversation. The question is on disk before anything is sent.
    ///
    /// # Errors
    /// They have none such, no such message or file; it does not fit; the model or a text is refused; or it cannot be paid.
    pub async fn say(
        &self,
        caller: &Caller,
        id: ConversationId,
        parts: Vec<NewPart>,
        follows: Follows,
        settings: AnswerSettings,
    ) -> Result<Answering, ServiceError> {
        let conversation = self.get(caller, id).await?;
        let parent = match follows {
            Follows::Leaf => conversation.leaf,
            Follows::Nothing => None,
            Follows::Message(message) => Some(message),
        };
        let parts = self.inner.parts(caller, parts).await?;
        let question = self.inner.question(id, parent, parts);
        let branch = self.inner.branch(caller, id, parent).await?;
        self.answer(caller, conversation, branch, Some(question), settings).await
    }

    /// Asks once more what a message asked, or what it answers.
    ///
    /// # Errors
    /// As [`Conversations::say`].
    pub async fn regenerate(
        &self,
        caller: &Caller,
        id: ConversationId,
        message: ChatMessageId,
        settings: AnswerSettings,
    ) -> Result<Answering, ServiceError> {
        let conversation = self.get(caller, id).await?;
        let mut branch = self.inner.branch(caller, id, Some(message)).await?;
        if branch.last().is_some_and(|last| last.answer.is_some()) {
            branch.pop();
        }
        self.answer(caller, conversation, branch, None, settings).await
    }

    async fn answer(
        &self,
        caller: &Caller,
        conversation: Conversation,
        mut branch: Vec<StoredMessage>,
        question: Option<StoredMessage>,
        settings: AnswerSettings,
    ) -> Result<Answering, ServiceError> {
        let inner = &self.inner;
        let model = settings.model.clone().or_else(|| conversation.model.clone());
        let model = model.ok_or_else(|| ServiceError::Invalid {
            param: "model".to_owned(),
            message: "the conversation has no model yet: name one".to_owned(),
        })?;
        check_model(&model)?;
        let resolved = inner.ports.generations.resolve(caller, &model, Task::Chat).await?;
        let is_regeneration = question.is_none();
        branch.extend(question.clone());
        let request = inner.request(conversation.system.as_deref(), &branch, &settings).await?;
        resolved.model.options().check(&request.options)?;
        let asked = branch.last().ok_or_else(unknown)?;
        let new = NewExchange {
            owner: caller.user(),
            answer: inner.pending(
                &conversation,
                is_regeneration.then_some(asked.id),
                resolved.model.id.as_str(),
            ),
            title: Title::first_words(&asked.text()),
            question,
            model,
            bounds: inner.settings.bounds,
        };
        // On its own: an answer that was begun is also ended, although the caller may leave meanwhile.
        let storing = tokio::spawn(Draft::begin(inner.clone(), new));
        let stopped = |error| ServiceError::Internal(format!("storing a question stopped: {error}"));
        let draft = storing.await.map_err(stopped)??;
        match inner.ports.generations.chat(caller, resolved, request) {
            Ok(live) => Ok(Answering::new(caller.clone(), draft, live)),
            Err(error) => {
                draft.fail(&error).await?;
                Err(error)
            }
        }
    }
}

impl Inner {
    /// Why something does not fit.
    pub(super) fn refused(&self, unfit: Unfit) -> ServiceError {
        let bounds = &self.settings.bounds;
        match unfit {
            Unfit::NoConversation => unknown(),
            Unfit::NoParent => ServiceError::NotFound { what: "such message to go on from" },
            Unfit::ParentPending => ServiceError::AnswerPending,
            Unfit::TooManyMessages => ServiceError::TooMany {
                what: "messages in one conversation",
                max: bounds.messages_max as usize,
            },
            Unfit::TooDeep => {
                ServiceError::TooMany { what: "messages on one branch", max: bounds.depth_max as usize }
            }
            Unfit::BranchTooLong => ServiceError::Invalid {
                param: "content".to_owned(),
                message: format!(
                    "the branch would have more than {} bytes of text: begin a new conversation, or go on from an earlier message",
                    bounds.branch_bytes_max
                ),
            },
            Unfit::TooManyBytes => {
                let max = usize::try_from(bounds.user_bytes_max).unwrap_or(usize::MAX);
                ServiceError::TooMany { what: "bytes in all conversations", max }
            }
        }
    }
}
