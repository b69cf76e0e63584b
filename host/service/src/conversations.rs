//! Conversations that users keep: trees of messages with answers that are made as those of any chat are, and search in what was said.
//!
//! A question is stored together with its answer, which is still to come, before anything is sent; the answer is ended once, however
//! its call ends: whole, failed, left by its reader, or, at the next start, interrupted.

mod answer;
mod draft;
mod request;
mod say;
mod sweep;
mod titles;

use std::sync::Arc;

use atelier_domain::blob::BlobStore;
use atelier_domain::conversation::search::{Found, Query};
use atelier_domain::conversation::{
    Conversation, ConversationBounds, ConversationPage, StoredMessage, Title, TitleOrigin,
};
use atelier_domain::id::{ChatMessageId, ConversationId, FileId, ModelId};
use atelier_domain::store::ConversationStore;
use atelier_domain::text::check_chat_text;
use atelier_domain::time::Clock;
use tokio::sync::{Notify, Semaphore};

pub use answer::{AnswerEvent, Answering};

use crate::caller::Caller;
use crate::disk::Room;
use crate::files::Files;
use crate::generation::Generations;
use crate::limits::Limiter;
use crate::{ServiceError, StoragePool};

/// Characters of a title that an owner gives.
pub const TITLE_CHARACTERS_MAX: usize = 200;
/// Bytes of what every model is told first.
pub const SYSTEM_BYTES_MAX: usize = 32 * 1024;
/// Parts of one message.
pub const PARTS_MAX: usize = 32;
/// Messages that follow the same one and are named.
pub const SIBLINGS_MAX: usize = 100;
/// Bytes of one answer; what comes after them is not read.
pub const ANSWER_BYTES_MAX: usize = 1 << 20;

/// Titles that are made at once; what comes beyond keeps its first words.
const TITLES_AT_ONCE: usize = 8;

/// What the operator decides.
#[derive(Clone, Debug)]
pub struct ConversationSettings {
    pub bounds: ConversationBounds,
    /// Bytes of one question.
    pub message_bytes_max: usize,
    /// What makes titles.
    pub title_model: Option<String>,
}

impl Default for ConversationSettings {
    fn default() -> Self {
        Self {
            bounds: ConversationBounds {
                conversations_max: 10_000,
                messages_max: 2_000,
                depth_max: 1_000,
                branch_bytes_max: 4 << 20,
                user_bytes_max: 1 << 30,
            },
            message_bytes_max: 256 << 10,
            title_model: None,
        }
    }
}

/// What conversations are held with.
#[derive(Debug)]
pub struct ConversationPorts {
    pub store: Arc<dyn ConversationStore>,
    pub blobs: Arc<dyn BlobStore>,
    pub files: Files,
    pub generations: Arc<Generations>,
    pub limiter: Arc<Limiter>,
    pub pool: StoragePool,
    pub clock: Arc<dyn Clock>,
    pub room: Room,
}

#[derive(Debug)]
struct Inner {
    ports: ConversationPorts,
    settings: ConversationSettings,
    titling: Arc<Semaphore>,
    /// Told when a conversation was removed.
    removed: Notify,
}

/// Conversations of all users.
#[derive(Clone, Debug)]
pub struct Conversations {
    inner: Arc<Inner>,
}

/// A conversation to be begun.
#[derive(Clone, Debug, Default)]
pub struct NewConversation {
    pub title: Option<String>,
    pub model: Option<String>,
    pub system: Option<String>,
}

/// What is to be changed of a conversation.
#[derive(Clone, Debug, Default)]
pub struct ConversationChange {
    pub title: Option<String>,
    pub archived: Option<bool>,
    /// A message of the branch to go on with.
    pub branch: Option<ChatMessageId>,
}

/// A part of a question.
#[derive(Clone, Debug)]
pub enum NewPart {
    Text(String),
    File(FileId),
}

/// What a question follows.
#[derive(Clone, Copy, Debug)]
pub enum Follows {
    /// The last message of the current branch.
    Leaf,
    /// Nothing: it begins a branch.
    Nothing,
    Message(ChatMessageId),
}

/// How an answer is to be made.
#[derive(Clone, Debug, Default)]
pub struct AnswerSettings {
    /// In place of the conversation's.
    pub model: Option<String>,
    /// The caller wants it as it is made.
    pub stream: bool,
    pub max_output_tokens: Option<u32>,
    pub temperature: Option<f64>,
}

/// A message with those that follow the same one, itself among them.
#[derive(Clone, Debug)]
pub struct Listed {
    pub message: StoredMessage,
    pub siblings: Vec<ChatMessageId>,
}

impl Conversations {
    /// Over these ports. Answers that are still pending were being made by a process that ended: [`Conversations::recover`] first.
    pub fn new(ports: ConversationPorts, settings: ConversationSettings) -> Self {
        let titling = Arc::new(Semaphore::new(TITLES_AT_ONCE));
        Self { inner: Arc::new(Inner { ports, settings, titling, removed: Notify::new() }) }
    }

    /// Begins a conversation.
    ///
    /// # Errors
    /// The caller has too many, or a member is not allowed.
    pub async fn create(&self, caller: &Caller, new: NewConversation) -> Result<Conversation, ServiceError> {
        let title = new.title.as_deref().map(given_title).transpose()?;
        if let Some(model) = &new.model {
            check_model(model)?;
        }
        if let Some(system) = &new.system {
            check_text("system", system, SYSTEM_BYTES_MAX)?;
        }
        let ConversationPorts { store, pool, clock, .. } = &self.inner.ports;
        let now = clock.now();
        let conversation = Conversation {
            id: ConversationId::new(),
            owner: caller.user(),
            title,
            model: new.model,
            system: new.system,
            created: now,
            active: now,
            archived: false,
            leaf: None,
            messages: 0,
            bytes: 0,
        };
        let (store, row, max) =
            (store.clone(), conversation.clone(), self.inner.settings.bounds.conversations_max);
        let room = self.inner.ports.room.clone();
        let creating = pool.run(move || -> Result<bool, ServiceError> {
            room.check()?;
            Ok(store.create_conversation(&row, max)?)
        });
        match creating.await? {
            true => Ok(conversation),
            false => Err(ServiceError::TooMany { what: "conversations", max: max as usize }),
        }
    }

    /// The caller's conversation.
    ///
    /// # Errors
    /// They have none such.
    pub async fn get(&self, caller: &Caller, id: ConversationId) -> Result<Conversation, ServiceError> {
        let ConversationPorts { store, pool, .. } = &self.inner.ports;
        let (store, owner) = (store.clone(), caller.user());
        pool.run(move || store.conversation_of(owner, id)).await?.ok_or_else(unknown)
    }

    /// A page of the caller's conversations, the last to be active first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn list(
        &self,
        caller: &Caller,
        page: ConversationPage,
    ) -> Result<Vec<Conversation>, ServiceError> {
        let ConversationPorts { store, pool, .. } = &self.inner.ports;
        let (store, owner) = (store.clone(), caller.user());
        pool.run(move || store.conversations_of(owner, &page)).await
    }

    /// Changes the caller's conversation. Of a branch that is named by one of its messages, the newest end is the current one from
    /// then on.
    ///
    /// # Errors
    /// They have none such, or no such message in it; or a member is not allowed.
    pub async fn change(
        &self,
        caller: &Caller,
        id: ConversationId,
        change: ConversationChange,
    ) -> Result<Conversation, ServiceError> {
        let title = change.title.as_deref().map(given_title).transpose()?;
        let (archived, branch) = (change.archived, change.branch);
        let ConversationPorts { store, pool, .. } = &self.inner.ports;
        let (store, owner) = (store.clone(), caller.user());
        let messages_max = self.inner.settings.bounds.messages_max as usize;
        let changed = pool.run(move || -> Result<_, ServiceError> {
            let mut leaf = branch;
            for _ in 0..messages_max {
                let Some(message) = leaf else { break };
                match store.following(owner, id, Some(message), messages_max)?.pop() {
                    Some(newest) => leaf = Some(newest),
                    None => break,
                }
            }
            let changed = store.change_conversation(owner, id, &|conversation| {
                if let Some(title) = &title {
                    conversation.title = Some(title.clone());
                }
                conversation.archived = archived.unwrap_or(conversation.archived);
                conversation.leaf = leaf.or(conversation.leaf);
            })?;
            Ok(changed)
        });
        changed.await?.ok_or_else(unknown)
    }

    /// Removes the caller's conversation, at once; what it kept is given back in the background.
    ///
    /// # Errors
    /// They have none such.
    pub async fn remove(&self, caller: &Caller, id: ConversationId) -> Result<(), ServiceError> {
        let ConversationPorts { store, pool, .. } = &self.inner.ports;
        let (store, owner) = (store.clone(), caller.user());
        match pool.run(move || store.remove_conversation(owner, id)).await? {
            true => {
                self.inner.removed.notify_one();
                Ok(())
            }
            false => Err(unknown()),
        }
    }

    /// Messages of the caller's conversation from `from`, or the current leaf, up to the first of its branch, `limit` at most; and the
    /// one that the next page begins with.
    ///
    /// # Errors
    /// They have none such, or no such message in it.
    pub async fn messages(
        &self,
        caller: &Caller,
        id: ConversationId,
        from: Option<ChatMessageId>,
        limit: usize,
    ) -> Result<(Vec<Listed>, Option<ChatMessageId>), ServiceError> {
        let conversation = self.get(caller, id).await?;
        let Some(from) = from.or(conversation.leaf) else { return Ok((Vec::new(), None)) };
        let ConversationPorts { store, pool, .. } = &self.inner.ports;
        let (store, owner) = (store.clone(), caller.user());
        let found = pool.run(move || -> Result<_, ServiceError> {
            let Some(branch) = store.branch_of(owner, id, from, limit)? else { return Ok(None) };
            let next = branch.last().and_then(|message| message.parent);
            let mut listed = Vec::with_capacity(branch.len());
            for message in branch {
                let siblings = store.following(owner, id, message.parent, SIBLINGS_MAX)?;
                listed.push(Listed { message, siblings });
            }
            Ok(Some((listed, next)))
        });
        found.await?.ok_or(ServiceError::NotFound { what: "such message" })
    }

    /// Messages of the caller's conversation on all of its branches, oldest first, behind `after`.
    pub async fn all_messages(
        &self,
        caller: &Caller,
        id: ConversationId,
        after: Option<ChatMessageId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, ServiceError> {
        let ConversationPorts { store, pool, .. } = &self.inner.ports;
        let (store, owner) = (store.clone(), caller.user());
        pool.run(move || store.messages_of(owner, id, after, limit)).await
    }

    /// The caller's texts that have all words of a query, the best first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn search(&self, caller: &Caller, query: Query, limit: usize) -> Result<Found, ServiceError> {
        let ConversationPorts { store, pool, clock, .. } = &self.inner.ports;
        let (store, owner, now) = (store.clone(), caller.user(), clock.now());
        pool.run(move || store.search(owner, &query, now, limit)).await
    }
}

fn unknown() -> ServiceError {
    ServiceError::NotFound { what: "such conversation" }
}

fn given_title(text: &str) -> Result<Title, ServiceError> {
    let text = text.trim();
    let characters = text.chars().count();
    if !(1..=TITLE_CHARACTERS_MAX).contains(&characters) || text.chars().any(char::is_control) {
        let message = format!("must have 1 to {TITLE_CHARACTERS_MAX} characters, and no control characters");
        return Err(ServiceError::Invalid { param: "title".to_owned(), message });
    }
    Ok(Title { text: text.to_owned(), origin: TitleOrigin::Owner })
}

/// An alias is a word, so that it need not be a model's id.
fn check_model(model: &str) -> Result<(), ServiceError> {
    let is_decent = |model: &str| !model.is_empty() && !model.chars().any(|c| c.is_control() || c == ' ');
    match model.parse::<ModelId>().is_ok() || (model.len() <= 128 && is_decent(model)) {
        true => Ok(()),
        false => {
            Err(ServiceError::ModelUnknown { model: model.chars().take(80).collect(), nearest: Vec::new() })
        }
    }
}

fn check_text(param: &str, text: &str, bytes_max: usize) -> Result<(), ServiceError> {
    if text.trim().is_empty() {
        let why = atelier_domain::text::InvalidPrompt::Empty;
        return Err(ServiceError::Prompt { param: param.to_owned(), why });
    }
    if text.len() > bytes_max {
        let message = format!("at most {bytes_max} bytes");
        return Err(ServiceError::Invalid { param: param.to_owned(), message });
    }
    check_chat_text(text).map_err(|why| ServiceError::Prompt { param: param.to_owned(), why })
}
