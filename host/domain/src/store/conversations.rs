use std::fmt;

use crate::conversation::search::{Found, Query};
use crate::conversation::{Conversation, ConversationPage, Exchanged, NewExchange, StoredMessage, Unfit};
use crate::id::{ChatMessageId, ConversationId, UserId};
use crate::store::StoreError;
use crate::time::Timestamp;

/// Conversations. What a message says is found by [`ConversationStore::search`] from the transaction on that stores it, and
/// not any more from the one on that removes its conversation. The blobs that a message names are named in its transaction.
pub trait ConversationStore: Send + Sync + fmt::Debug {
    /// Adds a conversation, durably; `false` if its owner would then have more than `max`.
    fn create_conversation(&self, conversation: &Conversation, max: u32) -> Result<bool, StoreError>;
    /// The owner's conversation; another's is none.
    fn conversation_of(&self, owner: UserId, id: ConversationId) -> Result<Option<Conversation>, StoreError>;
    /// A page of the owner's conversations. Takes time by the page, not by the table.
    fn conversations_of(
        &self,
        owner: UserId,
        page: &ConversationPage,
    ) -> Result<Vec<Conversation>, StoreError>;
    /// Changes title, model, leaf and whether it is archived, durably. `change` may run again and must do nothing else. `None` if its
    /// owner has none such, or its new leaf is none of its messages.
    fn change_conversation(
        &self,
        owner: UserId,
        id: ConversationId,
        change: &dyn Fn(&mut Conversation),
    ) -> Result<Option<Conversation>, StoreError>;
    /// Removes the owner's conversation, durably; `false` if they have none such. Its messages go with
    /// [`ConversationStore::sweep_conversations`] and are seen by nobody before.
    fn remove_conversation(&self, owner: UserId, id: ConversationId) -> Result<bool, StoreError>;
    /// Adds a question with its pending answer, or a pending answer to a question that is there, durably: whole or not at all. The
    /// answer becomes the leaf.
    fn exchange(&self, new: &NewExchange) -> Result<Result<Exchanged, Unfit>, StoreError>;
    /// Ends a pending answer, durably. One that failed without a word is the leaf no more. `None` if there is none such, or none any
    /// more, or it is ended already.
    fn finish_answer(
        &self,
        owner: UserId,
        answer: &StoredMessage,
    ) -> Result<Option<StoredMessage>, StoreError>;
    /// A message of the owner's conversation.
    fn message_of(
        &self,
        owner: UserId,
        conversation: ConversationId,
        id: ChatMessageId,
    ) -> Result<Option<StoredMessage>, StoreError>;
    /// The messages from `from` up to the first of its branch, that way round, `limit` at most; `None` if `from` is no message of a
    /// conversation of the owner's.
    fn branch_of(
        &self,
        owner: UserId,
        conversation: ConversationId,
        from: ChatMessageId,
        limit: usize,
    ) -> Result<Option<Vec<StoredMessage>>, StoreError>;
    /// All messages of the owner's conversation, on all branches, oldest first, behind `after`, `limit` at most. Another's has none.
    fn messages_of(
        &self,
        owner: UserId,
        conversation: ConversationId,
        after: Option<ChatMessageId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError>;
    /// The messages that follow `parent`, or begin the conversation, oldest first, `limit` at most.
    fn following(
        &self,
        owner: UserId,
        conversation: ConversationId,
        parent: Option<ChatMessageId>,
        limit: usize,
    ) -> Result<Vec<ChatMessageId>, StoreError>;
    /// Marks pending answers as interrupted, `limit` at most, and gives their number: to be done before any is made. Takes time by
    /// what is pending.
    fn interrupt_answers(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
    /// Removes messages of removed conversations, `limit` at most, and gives their number. Takes time by what it removes.
    fn sweep_conversations(&self, limit: usize) -> Result<usize, StoreError>;
    /// Bytes of the owner's conversations, with the files that they name.
    fn conversation_bytes_of(&self, owner: UserId) -> Result<u64, StoreError>;
    /// The owner's texts that have all words of a query, the best `limit` of them. Takes time by the newest texts that have the words, a
    /// bounded number.
    fn search(&self, owner: UserId, query: &Query, now: Timestamp, limit: usize)
    -> Result<Found, StoreError>;
}
