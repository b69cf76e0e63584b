//! Questions with their answers: stored together, the answer ended later.

use std::ops::Bound;

use atelier_domain::conversation::{Answer, AnswerState, Exchanged, NewExchange, StoredMessage, Unfit};
use atelier_domain::id::{ChatMessageId, ConversationId, UserId};
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

use super::postings::Text;
use super::{Shelf, owned, put};
use crate::codec::damaged;
use crate::engine::{Engine, Txn, TxnError};
use crate::keys::conversations as keys;
use crate::keys::files::Namer;
use crate::schema::Table;
use crate::store::blob_names;
use crate::store::deletions::refuse_deleted;
use crate::store::rows::{read, write};

/// Why a transaction's body writes nothing.
enum Stop {
    Unfit(Unfit),
    Failed(TxnError),
}

impl From<TxnError> for Stop {
    fn from(error: TxnError) -> Self {
        Stop::Failed(error)
    }
}

pub(super) fn store(engine: &Engine, new: &NewExchange) -> Result<Result<Exchanged, Unfit>, StoreError> {
    // The words are found before the transaction.
    let words = new.question.as_ref().and_then(|question| Text::message(new.owner, question));
    engine.write(|txn| match place(txn, new, words.as_ref()) {
        Ok(exchanged) => Ok(Ok(exchanged)),
        Err(Stop::Unfit(unfit)) => Ok(Err(unfit)),
        Err(Stop::Failed(error)) => Err(error),
    })
}

fn place(txn: &Txn<'_>, new: &NewExchange, words: Option<&Text>) -> Result<Exchanged, Stop> {
    let id = new.answer.conversation;
    refuse_deleted(txn, new.owner)?;
    let Some(old) = owned(txn, new.owner, id)? else { return Err(Stop::Unfit(Unfit::NoConversation)) };
    let (bounds, mut answer, mut conversation) = (&new.bounds, new.answer.clone(), old.clone());
    let question = match &new.question {
        Some(question) => {
            let mut question = question.clone();
            let before = parent(txn, id, question.parent)?;
            set_place(&mut question, before.as_ref(), true)?;
            question
        }
        None => parent(txn, id, answer.parent)?.ok_or(Stop::Unfit(Unfit::NoParent))?,
    };
    set_place(&mut answer, Some(&question), false)?;
    if answer.depth > bounds.depth_max {
        return Err(Stop::Unfit(Unfit::TooDeep));
    }
    if question.branch_bytes > bounds.branch_bytes_max {
        return Err(Stop::Unfit(Unfit::BranchTooLong));
    }
    let bytes = new.question.as_ref().map_or(0, StoredMessage::bytes);
    let mut shelf = Shelf::read(txn, new.owner)?;
    shelf.bytes = shelf.bytes.saturating_add(bytes);
    if shelf.bytes > bounds.user_bytes_max {
        return Err(Stop::Unfit(Unfit::TooManyBytes));
    }
    conversation.bytes += bytes;
    conversation.messages += 1 + u32::from(new.question.is_some());
    if conversation.messages > bounds.messages_max {
        return Err(Stop::Unfit(Unfit::TooManyMessages));
    }
    // What is written from here on stays.
    if new.question.is_some() {
        add(txn, &question)?;
    }
    if let Some(words) = words {
        words.add(txn, &mut shelf)?;
    }
    if let Some(answer) = &mut answer.answer {
        answer.leaf_before = conversation.leaf;
    }
    add(txn, &answer)?;
    txn.put(Table::AnswersPending, &keys::message(id, answer.id), new.owner.as_bytes())?;
    conversation.leaf = Some(answer.id);
    conversation.active = conversation.active.max(answer.created);
    conversation.model = Some(new.model.clone());
    if conversation.title.is_none() {
        conversation.title.clone_from(&new.title);
    }
    put(txn, &mut shelf, Some(&old), &conversation)?;
    shelf.write(txn, new.owner)?;
    Ok(Exchanged { conversation, question, answer })
}

/// What a new message is to follow.
fn parent(
    txn: &Txn<'_>,
    conversation: ConversationId,
    id: Option<ChatMessageId>,
) -> Result<Option<StoredMessage>, Stop> {
    let Some(id) = id else { return Ok(None) };
    let found = read(txn, Table::ChatMessages, &keys::message(conversation, id))?;
    found.map(Some).ok_or(Stop::Unfit(Unfit::NoParent))
}

/// Where a message stands in its branch. Questions follow answers that were ended, answers follow questions.
fn set_place(
    message: &mut StoredMessage,
    parent: Option<&StoredMessage>,
    is_question: bool,
) -> Result<(), Stop> {
    if parent.is_some_and(StoredMessage::is_pending) {
        return Err(Stop::Unfit(Unfit::ParentPending));
    }
    if parent.is_some_and(|parent| parent.answer.is_some() != is_question) {
        return Err(Stop::Unfit(Unfit::NoParent));
    }
    message.parent = parent.map(|parent| parent.id);
    message.depth = parent.map_or(0, |parent| parent.depth) + 1;
    message.branch_bytes = parent.map_or(0, |parent| parent.branch_bytes) + message.text_bytes();
    Ok(())
}

fn add(txn: &Txn<'_>, message: &StoredMessage) -> Result<(), TxnError> {
    let key = keys::message(message.conversation, message.id);
    if txn.contains(Table::ChatMessages, &key)? {
        return Err(StoreError::Exists { what: format!("message {}", message.id) }.into());
    }
    let follower = keys::follower(message.conversation, message.parent, message.id);
    txn.put_key(Table::ChatMessagesByParent, &follower)?;
    for file in message.files() {
        blob_names::add(txn, &file.blob, Namer::ChatMessage(message.id))?;
    }
    write(txn, Table::ChatMessages, &key, message)
}

/// Takes away all that [`add`] wrote, and the words.
pub(super) fn remove(
    txn: &Txn<'_>,
    shelf: &mut Shelf,
    owner: UserId,
    message: &StoredMessage,
) -> Result<(), TxnError> {
    let key = keys::message(message.conversation, message.id);
    if let Some(text) = Text::message(owner, message) {
        text.remove(txn, shelf)?;
    }
    for file in message.files() {
        blob_names::remove(txn, &file.blob, Namer::ChatMessage(message.id))?;
    }
    let follower = keys::follower(message.conversation, message.parent, message.id);
    txn.remove(Table::ChatMessagesByParent, &follower)?;
    txn.remove(Table::AnswersPending, &key)?;
    txn.remove(Table::ChatMessages, &key).map(|_| ())
}

pub(super) fn finish(
    engine: &Engine,
    owner: UserId,
    answer: &StoredMessage,
) -> Result<Option<StoredMessage>, StoreError> {
    let words = Text::message(owner, answer);
    engine.write(|txn| {
        let key = keys::message(answer.conversation, answer.id);
        let Some(old) = owned(txn, owner, answer.conversation)? else { return Ok(None) };
        let pending: Option<StoredMessage> = read(txn, Table::ChatMessages, &key)?;
        let Some(pending) = pending.filter(StoredMessage::is_pending) else { return Ok(None) };
        let leaf_before = pending.answer.as_ref().and_then(|answer| answer.leaf_before);
        let (depth, before) = (pending.depth, pending.branch_bytes);
        let mut answer = StoredMessage {
            parent: pending.parent,
            depth,
            branch_bytes: before + answer.text_bytes(),
            ..answer.clone()
        };
        let mut conversation = old.clone();
        if let Some(facts) = &mut answer.answer {
            facts.leaf_before = leaf_before;
            let is_silent = facts.state == AnswerState::Failed && answer.parts.is_empty();
            if is_silent && conversation.leaf == Some(answer.id) {
                conversation.leaf = leaf_before;
            }
            conversation.active = conversation.active.max(facts.finished.unwrap_or(answer.created));
        }
        let mut shelf = Shelf::read(txn, owner)?;
        let bytes = answer.bytes();
        shelf.bytes = shelf.bytes.saturating_add(bytes);
        conversation.bytes = conversation.bytes.saturating_add(bytes);
        if let Some(words) = &words {
            words.add(txn, &mut shelf)?;
        }
        put(txn, &mut shelf, Some(&old), &conversation)?;
        shelf.write(txn, owner)?;
        write(txn, Table::ChatMessages, &key, &answer)?;
        txn.remove(Table::AnswersPending, &key)?;
        Ok(Some(answer))
    })
}

pub(super) fn interrupt(engine: &Engine, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
    let pending = engine.keys(Table::AnswersPending, (Bound::Unbounded, Bound::Unbounded), limit)?;
    for key in &pending {
        engine.write_soon(|txn| {
            txn.remove(Table::AnswersPending, key)?;
            // The message of a conversation that is being removed may be gone.
            let Some(mut message) = read::<StoredMessage>(txn, Table::ChatMessages, key)? else {
                return Ok(());
            };
            let Some(answer) = message.answer.take() else {
                return Err(damaged(Table::ChatMessages, key, "it is pending and no answer").into());
            };
            let answer = Answer { state: AnswerState::Interrupted, finished: Some(now), ..answer };
            message.answer = Some(answer);
            write(txn, Table::ChatMessages, key, &message)
        })?;
    }
    engine.make_durable()?;
    Ok(pending.len())
}
