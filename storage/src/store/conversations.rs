//! Conversations: trees of messages, and the words in them. Every method that names an owner looks at whose conversation it is.

mod exchange;
mod postings;
mod search;
mod sweep;

use std::ops::Bound;

use atelier_domain::conversation::search::{Found, Query};
use atelier_domain::conversation::{
    Conversation, ConversationPage, Exchanged, NewExchange, StoredMessage, Unfit,
};
use atelier_domain::id::{ChatMessageId, ConversationId, UserId};
use atelier_domain::store::{ConversationStore, StoreError};
use atelier_domain::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Store;
use super::deletions::refuse_deleted;
use super::rows::{read, write};
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys::conversations as keys;
use crate::schema::Table;
use postings::Text;

/// How much an owner's conversations are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Shelf {
    conversations: u32,
    /// Of all messages, with the files that they name.
    bytes: u64,
    /// Texts that can be found.
    texts: u64,
    /// Words of all of them.
    words: u64,
}

impl Shelf {
    fn read(txn: &Txn<'_>, owner: UserId) -> Result<Self, TxnError> {
        Ok(read(txn, Table::ConversationShelves, owner.as_bytes())?.unwrap_or_default())
    }

    fn write(self, txn: &Txn<'_>, owner: UserId) -> Result<(), TxnError> {
        match self == Self::default() {
            true => txn.remove(Table::ConversationShelves, owner.as_bytes()).map(|_| ()),
            false => write(txn, Table::ConversationShelves, owner.as_bytes(), &self),
        }
    }
}

/// The owner's conversation within a transaction.
fn owned(txn: &Txn<'_>, owner: UserId, id: ConversationId) -> Result<Option<Conversation>, TxnError> {
    let found: Option<Conversation> = read(txn, Table::Conversations, id.as_bytes())?;
    Ok(found.filter(|conversation| conversation.owner == owner))
}

/// Writes a conversation, its place in the list and the words of its title.
fn put(
    txn: &Txn<'_>,
    shelf: &mut Shelf,
    old: Option<&Conversation>,
    new: &Conversation,
) -> Result<(), TxnError> {
    let place = keys::by_activity(new);
    if let Some(old) = old.map(keys::by_activity).filter(|old| *old != place) {
        txn.remove(Table::ConversationsByActivity, &old)?;
    }
    txn.put_key(Table::ConversationsByActivity, &place)?;
    let (was, is) = (old.and_then(Text::title), Text::title(new));
    if was != is {
        if let Some(was) = was {
            was.remove(txn, shelf)?;
        }
        if let Some(is) = is {
            is.add(txn, shelf)?;
        }
    }
    write(txn, Table::Conversations, new.id.as_bytes(), new)
}

impl ConversationStore for Store {
    fn create_conversation(&self, conversation: &Conversation, max: u32) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            if txn.contains(Table::Conversations, conversation.id.as_bytes())? {
                let what = format!("conversation {}", conversation.id);
                return Err(StoreError::Exists { what }.into());
            }
            refuse_deleted(txn, conversation.owner)?;
            let mut shelf = Shelf::read(txn, conversation.owner)?;
            if shelf.conversations >= max {
                return Ok(false);
            }
            shelf.conversations += 1;
            put(txn, &mut shelf, None, conversation)?;
            shelf.write(txn, conversation.owner)?;
            Ok(true)
        })
    }

    fn conversation_of(&self, owner: UserId, id: ConversationId) -> Result<Option<Conversation>, StoreError> {
        let found: Option<Conversation> = self.row(Table::Conversations, id.as_bytes())?;
        Ok(found.filter(|conversation| conversation.owner == owner))
    }

    fn conversations_of(
        &self,
        owner: UserId,
        page: &ConversationPage,
    ) -> Result<Vec<Conversation>, StoreError> {
        let prefix = keys::listed(owner, page.archived);
        let first = match page.before {
            Some(position) => Bound::Excluded([&prefix[..], &keys::activity(position)].concat()),
            None => Bound::Included(prefix.to_vec()),
        };
        let last = Bound::Included([&prefix[..], &[0xff; 24]].concat());
        let mut found = Vec::new();
        for key in self.engine().keys(Table::ConversationsByActivity, (first, last), page.limit)? {
            // One that was removed since its key was read is left out.
            found.extend(self.conversation_of(owner, keys::conversation_of_active(&key)?)?);
        }
        Ok(found)
    }

    fn change_conversation(
        &self,
        owner: UserId,
        id: ConversationId,
        change: &dyn Fn(&mut Conversation),
    ) -> Result<Option<Conversation>, StoreError> {
        self.engine().write(|txn| {
            let Some(old) = owned(txn, owner, id)? else { return Ok(None) };
            let mut new = old.clone();
            change(&mut new);
            let Conversation { title, model, leaf, archived, .. } = new;
            let new = Conversation { title, model, leaf, archived, ..old.clone() };
            if let Some(leaf) = new.leaf.filter(|_| new.leaf != old.leaf)
                && !txn.contains(Table::ChatMessages, &keys::message(id, leaf))?
            {
                return Ok(None);
            }
            let mut shelf = Shelf::read(txn, owner)?;
            put(txn, &mut shelf, Some(&old), &new)?;
            shelf.write(txn, owner)?;
            Ok(Some(new))
        })
    }

    fn remove_conversation(&self, owner: UserId, id: ConversationId) -> Result<bool, StoreError> {
        self.engine().write(|txn| {
            let Some(conversation) = owned(txn, owner, id)? else { return Ok(false) };
            let mut shelf = Shelf::read(txn, owner)?;
            if let Some(title) = Text::title(&conversation) {
                title.remove(txn, &mut shelf)?;
            }
            let less = |what: &str| {
                damaged(Table::ConversationShelves, owner.as_bytes(), &format!("it has fewer {what}"))
            };
            shelf.conversations = shelf.conversations.checked_sub(1).ok_or_else(|| less("conversations"))?;
            shelf.bytes = shelf.bytes.checked_sub(conversation.bytes).ok_or_else(|| less("bytes"))?;
            shelf.write(txn, owner)?;
            txn.remove(Table::ConversationsByActivity, &keys::by_activity(&conversation))?;
            txn.remove(Table::Conversations, id.as_bytes())?;
            txn.put(Table::ConversationsRemoved, id.as_bytes(), owner.as_bytes())?;
            Ok(true)
        })
    }

    fn exchange(&self, new: &NewExchange) -> Result<Result<Exchanged, Unfit>, StoreError> {
        exchange::store(self.engine(), new)
    }

    fn finish_answer(
        &self,
        owner: UserId,
        answer: &StoredMessage,
    ) -> Result<Option<StoredMessage>, StoreError> {
        exchange::finish(self.engine(), owner, answer)
    }

    fn message_of(
        &self,
        owner: UserId,
        conversation: ConversationId,
        id: ChatMessageId,
    ) -> Result<Option<StoredMessage>, StoreError> {
        match self.conversation_of(owner, conversation)? {
            Some(_) => self.row(Table::ChatMessages, &keys::message(conversation, id)),
            None => Ok(None),
        }
    }

    fn branch_of(
        &self,
        owner: UserId,
        conversation: ConversationId,
        from: ChatMessageId,
        limit: usize,
    ) -> Result<Option<Vec<StoredMessage>>, StoreError> {
        let Some(first) = self.message_of(owner, conversation, from)? else { return Ok(None) };
        let mut branch = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next.take().filter(|_| branch.len() < limit) {
            next = match message.parent.filter(|_| branch.len() + 1 < limit) {
                Some(parent) => self.row(Table::ChatMessages, &keys::message(conversation, parent))?,
                None => None,
            };
            branch.push(message);
        }
        Ok(Some(branch))
    }

    fn messages_of(
        &self,
        owner: UserId,
        conversation: ConversationId,
        after: Option<ChatMessageId>,
        limit: usize,
    ) -> Result<Vec<StoredMessage>, StoreError> {
        if self.conversation_of(owner, conversation)?.is_none() {
            return Ok(Vec::new());
        }
        let first = match after {
            Some(after) => Bound::Excluded(keys::message(conversation, after).to_vec()),
            None => Bound::Included(conversation.as_bytes().to_vec()),
        };
        let last = Bound::Included([&conversation.as_bytes()[..], &[0xff; 16]].concat());
        let mut found = Vec::new();
        for key in self.engine().keys(Table::ChatMessages, (first, last), limit)? {
            found.extend(self.row::<StoredMessage>(Table::ChatMessages, &key)?);
        }
        Ok(found)
    }

    fn following(
        &self,
        owner: UserId,
        conversation: ConversationId,
        parent: Option<ChatMessageId>,
        limit: usize,
    ) -> Result<Vec<ChatMessageId>, StoreError> {
        if self.conversation_of(owner, conversation)?.is_none() {
            return Ok(Vec::new());
        }
        let prefix = keys::followers(conversation, parent);
        let last = Bound::Included([&prefix[..], &[0xff; 16]].concat());
        let found = self.engine().keys(
            Table::ChatMessagesByParent,
            (Bound::Included(prefix.to_vec()), last),
            limit,
        )?;
        found.iter().map(|key| keys::message_of_follower(key)).collect()
    }

    fn interrupt_answers(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        exchange::interrupt(self.engine(), now, limit)
    }

    fn sweep_conversations(&self, limit: usize) -> Result<usize, StoreError> {
        sweep::messages(self.engine(), limit)
    }

    fn conversation_bytes_of(&self, owner: UserId) -> Result<u64, StoreError> {
        let shelf: Option<Shelf> = self.row(Table::ConversationShelves, owner.as_bytes())?;
        Ok(shelf.unwrap_or_default().bytes)
    }

    fn search(
        &self,
        owner: UserId,
        query: &Query,
        now: Timestamp,
        limit: usize,
    ) -> Result<Found, StoreError> {
        search::search(self, owner, query, now, limit)
    }
}
