//! What the contract's tests do with conversations again and again.

use atelier_domain::conversation::search::Query;
use atelier_domain::conversation::{
    Answer, AnswerState, Conversation, ConversationBounds, Exchanged, MessagePart, NewExchange,
    StoredMessage, Title,
};
use atelier_domain::id::{ChatMessageId, ConversationId, UserId};
use atelier_domain::job::JobError;
use atelier_domain::store::ConversationStore;
use atelier_domain::time::Timestamp;

use crate::contract::sample;

pub(in crate::contract) const PLENTY: ConversationBounds = ConversationBounds {
    conversations_max: 1_000,
    messages_max: 1_000,
    depth_max: 1_000,
    branch_bytes_max: 1 << 30,
    user_bytes_max: 1 << 30,
};
pub(in crate::contract) const NOW: Timestamp = Timestamp(5_000);

pub(in crate::contract) fn create(store: &dyn ConversationStore, conversation: Conversation) -> Conversation {
    assert!(store.create_conversation(&conversation, PLENTY.conversations_max).expect("created"));
    conversation
}

/// A conversation without a name.
pub(in crate::contract) fn fresh(store: &dyn ConversationStore, owner: UserId) -> Conversation {
    create(store, Conversation { title: None, ..sample::conversation(owner) })
}

pub(in crate::contract) fn question(
    conversation: &Conversation,
    parent: Option<ChatMessageId>,
    text: &str,
) -> StoredMessage {
    StoredMessage {
        id: ChatMessageId::new(),
        conversation: conversation.id,
        parent,
        depth: 0,
        branch_bytes: 0,
        created: conversation.active,
        parts: vec![MessagePart::Text(text.to_owned())],
        answer: None,
    }
}

pub(in crate::contract) fn answer(
    conversation: &Conversation,
    parent: Option<ChatMessageId>,
) -> StoredMessage {
    let facts = Answer {
        model: "instance/model".to_owned(),
        state: AnswerState::Pending,
        finish_reason: None,
        error: None,
        thinking: String::new(),
        refusal: String::new(),
        usage: Vec::new(),
        finished: None,
        leaf_before: None,
    };
    StoredMessage { parts: Vec::new(), answer: Some(facts), ..question(conversation, parent, "") }
}

pub(in crate::contract) fn asking(
    conversation: &Conversation,
    parent: Option<ChatMessageId>,
    text: &str,
) -> NewExchange {
    NewExchange {
        owner: conversation.owner,
        question: Some(question(conversation, parent, text)),
        answer: answer(conversation, None),
        title: Title::first_words(text),
        model: "instance/model".to_owned(),
        bounds: PLENTY,
    }
}

pub(in crate::contract) fn again(conversation: &Conversation, question: ChatMessageId) -> NewExchange {
    NewExchange {
        question: None,
        answer: answer(conversation, Some(question)),
        ..asking(conversation, None, "")
    }
}

pub(in crate::contract) fn exchange(store: &dyn ConversationStore, new: &NewExchange) -> Exchanged {
    store.exchange(new).expect("written").expect("it fits")
}

pub(in crate::contract) fn ended(pending: &StoredMessage, state: AnswerState, text: &str) -> StoredMessage {
    let facts = pending.answer.clone().expect("an answer");
    let facts = Answer {
        state,
        finish_reason: (state == AnswerState::Complete).then(|| "stop".to_owned()),
        error: (state == AnswerState::Failed)
            .then(|| JobError { code: "unavailable".to_owned(), message: "nobody there".to_owned() }),
        finished: Some(NOW),
        ..facts
    };
    let parts = Some(text).filter(|text| !text.is_empty()).map(|text| MessagePart::Text(text.to_owned()));
    StoredMessage { parts: parts.into_iter().collect(), answer: Some(facts), ..pending.clone() }
}

pub(in crate::contract) fn finish(
    store: &dyn ConversationStore,
    owner: UserId,
    pending: &StoredMessage,
    text: &str,
) -> StoredMessage {
    let ended = ended(pending, AnswerState::Complete, text);
    store.finish_answer(owner, &ended).expect("written").expect("it was pending")
}

/// A question and its whole answer.
pub(in crate::contract) fn said(
    store: &dyn ConversationStore,
    conversation: &Conversation,
    parent: Option<ChatMessageId>,
    asked: &str,
    told: &str,
) -> Exchanged {
    let made = exchange(store, &asking(conversation, parent, asked));
    let answer = finish(store, conversation.owner, &made.answer, told);
    Exchanged { answer, ..made }
}

pub(in crate::contract) fn now(store: &dyn ConversationStore, conversation: &Conversation) -> Conversation {
    store.conversation_of(conversation.owner, conversation.id).expect("read").expect("it is there")
}

pub(in crate::contract) fn found(
    store: &dyn ConversationStore,
    owner: UserId,
    query: &str,
) -> Vec<(ConversationId, Option<ChatMessageId>)> {
    let query = Query::parse(query).expect("words");
    let found = store.search(owner, &query, NOW, 100).expect("searched");
    assert!(!found.is_partial);
    found.hits.into_iter().map(|hit| (hit.conversation.id, hit.message.map(|message| message.id))).collect()
}
