//! Keys of conversations, their messages, and the words in them.

use atelier_domain::conversation::{Conversation, ConversationPosition};
use atelier_domain::id::{ChatMessageId, ConversationId, UserId};
use atelier_domain::store::StoreError;

use super::{ID, join, split};
use crate::codec::damaged;
use crate::schema::Table;

/// Owner and whether it is archived: what the keys of [`by_activity`] begin with.
pub(crate) fn listed(owner: UserId, archived: bool) -> [u8; ID + 1] {
    join(owner.as_bytes(), &[u8::from(archived)])
}

/// Owner, archived or not, then the last to be active first.
pub(crate) fn by_activity(conversation: &Conversation) -> Vec<u8> {
    let position = ConversationPosition { active: conversation.active, id: conversation.id };
    [&listed(conversation.owner, conversation.archived)[..], &activity(position)].concat()
}

/// Time and id, both inverted.
pub(crate) fn activity(position: ConversationPosition) -> [u8; 8 + ID] {
    join(&(!position.active.0).to_be_bytes(), &position.id.as_bytes().map(|byte| !byte))
}

/// The conversation of a key made by [`by_activity`].
pub(crate) fn conversation_of_active(key: &[u8]) -> Result<ConversationId, StoreError> {
    let (_, id) = split::<{ ID + 1 + 8 }, ID>(Table::ConversationsByActivity, key)?;
    Ok(ConversationId::from_bytes(id.map(|byte| !byte)))
}

/// Conversation, then message: the messages of a conversation lie together, oldest first.
pub(crate) fn message(conversation: ConversationId, id: ChatMessageId) -> [u8; 2 * ID] {
    join(conversation.as_bytes(), id.as_bytes())
}

/// Conversation and what is followed; zeros where nothing is.
pub(crate) fn followers(conversation: ConversationId, parent: Option<ChatMessageId>) -> [u8; 2 * ID] {
    let parent = parent.map_or([0; ID], |parent| *parent.as_bytes());
    join(conversation.as_bytes(), &parent)
}

/// Conversation, what is followed, then who follows, oldest first.
pub(crate) fn follower(
    conversation: ConversationId,
    parent: Option<ChatMessageId>,
    id: ChatMessageId,
) -> [u8; 3 * ID] {
    join(&followers(conversation, parent), id.as_bytes())
}

/// Who follows, of a key made by [`follower`].
pub(crate) fn message_of_follower(key: &[u8]) -> Result<ChatMessageId, StoreError> {
    split::<{ 2 * ID }, ID>(Table::ChatMessagesByParent, key).map(|(_, id)| ChatMessageId::from_bytes(id))
}

/// A word in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Posting {
    /// The text's id: that of a message, or of the conversation whose title it is.
    pub(crate) text: [u8; ID],
    pub(crate) conversation: ConversationId,
    /// How often the word is there.
    pub(crate) count: u8,
    /// How many words the text has.
    pub(crate) length: u16,
}

/// Text, conversation, count, length.
const POSTING: usize = 2 * ID + 3;

/// Owner, word, a zero, then the newest text first. Words have no zeros.
pub(crate) fn posting(owner: UserId, word: &str, posting: Posting) -> Vec<u8> {
    let mut key = texts_with(owner, word);
    key.extend(posting.text.map(|byte| !byte));
    key.extend_from_slice(posting.conversation.as_bytes());
    key.push(posting.count);
    key.extend_from_slice(&posting.length.to_be_bytes());
    key
}

/// What the keys of a word's postings begin with.
pub(crate) fn texts_with(owner: UserId, word: &str) -> Vec<u8> {
    [&owner.as_bytes()[..], word.as_bytes(), &[0]].concat()
}

/// What the keys of the postings of all words begin with that begin so.
pub(crate) fn texts_with_prefix(owner: UserId, prefix: &str) -> Vec<u8> {
    [&owner.as_bytes()[..], prefix.as_bytes()].concat()
}

/// What a key was made of by [`posting`], apart from owner and word.
pub(crate) fn parse_posting(key: &[u8]) -> Result<Posting, StoreError> {
    let parse = || {
        let (_, tail) = key.split_last_chunk::<POSTING>()?;
        let (text, rest) = tail.split_first_chunk::<ID>()?;
        let (conversation, rest) = rest.split_first_chunk::<ID>()?;
        let (count, length) = rest.split_first()?;
        Some(Posting {
            text: text.map(|byte| !byte),
            conversation: ConversationId::from_bytes(*conversation),
            count: *count,
            length: u16::from_be_bytes(*length.as_array()?),
        })
    };
    parse().ok_or_else(|| damaged(Table::Postings, key, "its key is too short"))
}

#[cfg(test)]
mod tests {
    use atelier_domain::time::Timestamp;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_last_to_be_active_lies_first(a: (u64, [u8; 16]), b: (u64, [u8; 16])) {
            let key = |(at, id): (u64, [u8; 16])| {
                activity(ConversationPosition { active: Timestamp(at), id: ConversationId::from_bytes(id) })
            };
            prop_assert_eq!(key(a).cmp(&key(b)), b.cmp(&a));
        }

        #[test]
        fn postings_of_a_word_lie_together_the_newest_text_first(
            owner: [u8; 16], word in "[a-zé漢]{1,12}", a: [u8; 16], b: [u8; 16], other: [u8; 16], count: u8, length: u16,
        ) {
            let owner = UserId::from_bytes(owner);
            let made = |text| Posting { text, conversation: ConversationId::from_bytes(other), count, length };
            let key = |text| posting(owner, &word, made(text));
            prop_assert_eq!(key(a).cmp(&key(b)), b.cmp(&a));
            prop_assert!(key(a).starts_with(&texts_with(owner, &word)));
            let first: String = word.chars().take(1).collect();
            prop_assert!(key(a).starts_with(&texts_with_prefix(owner, &first)));
            prop_assert_eq!(parse_posting(&key(a)).expect("well-formed"), made(a));
        }

        #[test]
        fn keys_give_back_what_they_were_made_of(conversation: [u8; 16], parent: Option<[u8; 16]>, id: [u8; 16]) {
            let (conversation, id) = (ConversationId::from_bytes(conversation), ChatMessageId::from_bytes(id));
            let parent = parent.map(ChatMessageId::from_bytes);
            let key = follower(conversation, parent, id);
            prop_assert!(key.starts_with(&followers(conversation, parent)));
            prop_assert_eq!(message_of_follower(&key).expect("well-formed"), id);
        }
    }
}
