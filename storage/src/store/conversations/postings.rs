//! The words of a text, each in a row of its own, so that a word leads to the texts that have it. They are written and removed in the
//! transaction of their text, from which they can be told again at any time.

use atelier_domain::conversation::search::Words;
use atelier_domain::conversation::{Conversation, StoredMessage};
use atelier_domain::id::{ConversationId, UserId};

use super::Shelf;
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys::conversations::{Posting, posting};
use crate::schema::Table;

/// A text that can be found.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Text {
    owner: UserId,
    id: [u8; 16],
    conversation: ConversationId,
    words: Words,
}

impl Text {
    /// A conversation's title. First words are found as what they are the first words of.
    pub(super) fn title(conversation: &Conversation) -> Option<Self> {
        use atelier_domain::conversation::TitleOrigin;
        let title = conversation.title.as_ref().filter(|title| title.origin != TitleOrigin::FirstWords)?;
        Self::new(conversation.owner, *conversation.id.as_bytes(), conversation.id, &title.text)
    }

    /// What a message says. An answer that is still to come says nothing.
    pub(super) fn message(owner: UserId, message: &StoredMessage) -> Option<Self> {
        Self::new(owner, *message.id.as_bytes(), message.conversation, &message.text())
    }

    fn new(owner: UserId, id: [u8; 16], conversation: ConversationId, text: &str) -> Option<Self> {
        let words = Words::of(text);
        (words.length > 0).then_some(Self { owner, id, conversation, words })
    }

    /// It can be found from this transaction on.
    pub(super) fn add(&self, txn: &Txn<'_>, shelf: &mut Shelf) -> Result<(), TxnError> {
        shelf.texts += 1;
        shelf.words += u64::from(self.words.length);
        self.keys().try_for_each(|key| txn.put_key(Table::Postings, &key))
    }

    /// It cannot be found any more.
    pub(super) fn remove(&self, txn: &Txn<'_>, shelf: &mut Shelf) -> Result<(), TxnError> {
        let texts = shelf.texts.checked_sub(1);
        let words = shelf.words.checked_sub(u64::from(self.words.length));
        let (Some(texts), Some(words)) = (texts, words) else {
            let why = "it has fewer words than a text of its owner";
            return Err(damaged(Table::ConversationShelves, self.owner.as_bytes(), why).into());
        };
        (shelf.texts, shelf.words) = (texts, words);
        for key in self.keys() {
            if !txn.remove(Table::Postings, &key)? {
                return Err(damaged(Table::Postings, &key, "a word of a text does not lead to it").into());
            }
        }
        Ok(())
    }

    fn keys(&self) -> impl Iterator<Item = Vec<u8>> {
        let Words { counts, length } = &self.words;
        counts.iter().map(|(word, count)| {
            let made =
                Posting { text: self.id, conversation: self.conversation, count: *count, length: *length };
            posting(self.owner, word, made)
        })
    }
}
