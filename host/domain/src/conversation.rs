//! Conversations that users keep: trees of messages. A question and its answer come into being together; an edit is another question
//! below the same answer, a regeneration another answer below the same question.

pub mod search;

use serde::{Deserialize, Serialize};

use crate::blob::BlobId;
use crate::generation::usage::UsageLine;
use crate::id::{ChatMessageId, ConversationId, FileId, UserId};
use crate::job::JobError;
use crate::time::Timestamp;

/// Characters of a title that is made of first words.
const FIRST_WORDS_CHARACTERS_MAX: usize = 60;

/// Who gave a title. A later one never takes the place of an earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TitleOrigin {
    FirstWords,
    Model,
    Owner,
}

/// What a conversation is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Title {
    pub text: String,
    pub origin: TitleOrigin,
}

impl Title {
    /// The first words of a text, `None` if it has none.
    pub fn first_words(text: &str) -> Option<Self> {
        let mut title = String::new();
        let mut characters = 0;
        for word in text.split_whitespace() {
            let length = word.chars().count();
            let room = FIRST_WORDS_CHARACTERS_MAX.saturating_sub(characters);
            if length + usize::from(characters > 0) > room {
                if characters == 0 {
                    title.extend(word.chars().take(room.saturating_sub(1)));
                }
                title.push('…');
                break;
            }
            if characters > 0 {
                title.push(' ');
                characters += 1;
            }
            title.push_str(word);
            characters += length;
        }
        (!title.is_empty()).then_some(Self { text: title, origin: TitleOrigin::FirstWords })
    }
}

/// A conversation, apart from its messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conversation {
    pub id: ConversationId,
    pub owner: UserId,
    /// Absent until something is said or its owner gives one.
    pub title: Option<Title>,
    /// What answers unless a question says otherwise: `instance/model`, or an alias.
    pub model: Option<String>,
    /// What every model is told first.
    pub system: Option<String>,
    pub created: Timestamp,
    /// When something was last said.
    pub active: Timestamp,
    pub archived: bool,
    /// The last message of the branch that its owner is on.
    pub leaf: Option<ChatMessageId>,
    /// How many there are, on all branches.
    pub messages: u32,
    /// Of all messages, with the files that they name.
    pub bytes: u64,
}

/// A file as a message names it: its content stays with the message when the file is deleted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageFile {
    pub file: FileId,
    pub blob: BlobId,
    /// In bytes.
    pub size: u64,
    pub content_type: String,
    pub name: String,
}

/// A part of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MessagePart {
    Text(String),
    File(MessageFile),
}

/// Where an answer stands. All but the first are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AnswerState {
    /// It is being made.
    Pending,
    Complete,
    /// Its reader left; what had been made by then is kept.
    Canceled,
    Failed,
    /// The host stopped while it was made.
    Interrupted,
}

impl AnswerState {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            AnswerState::Pending => "pending",
            AnswerState::Complete => "complete",
            AnswerState::Canceled => "canceled",
            AnswerState::Failed => "failed",
            AnswerState::Interrupted => "interrupted",
        }
    }
}

/// What only answers have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// By its full id.
    pub model: String,
    pub state: AnswerState,
    /// The provider's word for why it ended, of a complete one.
    pub finish_reason: Option<String>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// What the model thought before.
    pub thinking: String,
    pub refusal: String,
    pub usage: Vec<UsageLine>,
    pub finished: Option<Timestamp>,
    /// The leaf before it came, which is the leaf again if it fails without a word.
    pub leaf_before: Option<ChatMessageId>,
}

/// A message of a conversation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredMessage {
    pub id: ChatMessageId,
    pub conversation: ConversationId,
    /// A question follows an answer, or nothing; an answer follows a question.
    pub parent: Option<ChatMessageId>,
    /// How many messages there are from the first of its branch to it.
    pub depth: u32,
    /// Bytes of all texts from the first of its branch to it.
    pub branch_bytes: u64,
    pub created: Timestamp,
    pub parts: Vec<MessagePart>,
    /// Set for answers.
    pub answer: Option<Answer>,
}

impl StoredMessage {
    /// Its texts, one behind the other.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            MessagePart::Text(text) => Some(text.as_str()),
            MessagePart::File(_) => None,
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &MessageFile> {
        self.parts.iter().filter_map(|part| match part {
            MessagePart::Text(_) => None,
            MessagePart::File(file) => Some(file),
        })
    }

    /// Bytes of its texts, thoughts included.
    pub fn text_bytes(&self) -> u64 {
        let parts = self.parts.iter().map(|part| match part {
            MessagePart::Text(text) => text.len(),
            MessagePart::File(_) => 0,
        });
        let beside = self.answer.as_ref().map_or(0, |answer| answer.thinking.len() + answer.refusal.len());
        (parts.sum::<usize>() + beside) as u64
    }

    /// Bytes that it keeps: its texts and the files that it names.
    pub fn bytes(&self) -> u64 {
        self.files().fold(self.text_bytes(), |sum, file| sum.saturating_add(file.size))
    }

    /// Whether it is an answer that is still being made.
    pub fn is_pending(&self) -> bool {
        self.answer.as_ref().is_some_and(|answer| answer.state == AnswerState::Pending)
    }
}

/// How far a conversation goes.
#[derive(Clone, Copy, Debug)]
pub struct ConversationBounds {
    /// Conversations of one user.
    pub conversations_max: u32,
    /// Messages of one conversation, on all branches.
    pub messages_max: u32,
    /// Messages of one branch.
    pub depth_max: u32,
    /// Bytes of all texts of one branch, before its next answer.
    pub branch_bytes_max: u64,
    /// Bytes of all conversations of one user, with the files that they name.
    pub user_bytes_max: u64,
}

/// A question with its answer to come, or an answer to come to a question that was asked before.
#[derive(Clone, Debug)]
pub struct NewExchange {
    pub owner: UserId,
    /// Absent for a regeneration. The store sets where it stands in its branch.
    pub question: Option<StoredMessage>,
    pub answer: StoredMessage,
    /// What the conversation is called if it has no name yet.
    pub title: Option<Title>,
    /// What answers from now on.
    pub model: String,
    pub bounds: ConversationBounds,
}

/// An exchange as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    pub conversation: Conversation,
    /// What is answered.
    pub question: StoredMessage,
    /// Still to come.
    pub answer: StoredMessage,
}

/// Why an exchange was not stored; nothing of it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// Its owner has no such conversation.
    NoConversation,
    /// The message that it is to follow is not there, or of the wrong kind.
    NoParent,
    /// The answer that it is to follow is still being made.
    ParentPending,
    TooManyMessages,
    TooDeep,
    BranchTooLong,
    TooManyBytes,
}

/// Where a page of conversations begins: behind the one that was active then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConversationPosition {
    pub active: Timestamp,
    pub id: ConversationId,
}

/// Which of an owner's conversations to list: the last to be active first.
#[derive(Clone, Copy, Debug)]
pub struct ConversationPage {
    pub archived: bool,
    pub before: Option<ConversationPosition>,
    pub limit: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_made_of_whole_words() {
        let title = |text: &str| Title::first_words(text).map(|title| title.text);
        assert_eq!(title("  What is\n\nthe  capital? "), Some("What is the capital?".to_owned()));
        assert_eq!(title(" \t\n"), None);
        let long = title(&"lighthouse ".repeat(20)).expect("a title");
        assert_eq!(long, format!("{}…", ["lighthouse"; 5].join(" ")));
        let word = title(&"漢".repeat(100)).expect("a title");
        assert_eq!((word.chars().count(), word.ends_with('…')), (60, true));
    }
}
