//! Mail that this server sends: what waits, and the port through which it leaves.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::account::email::EmailAddress;
use crate::account::token::TokenDigest;
use crate::id::MailId;
use crate::time::Timestamp;

/// Why a mail is to be sent. What is in it is made when it is: nothing that opens an account lies in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MailKind {
    /// Somebody wants to sign up with the address.
    SignUp,
    /// They want the mail again.
    Resend,
    /// Somebody has forgotten the password of its account.
    Reset,
}

/// A mail that waits to be sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueuedMail {
    pub id: MailId,
    pub to: EmailAddress,
    pub kind: MailKind,
    pub created: Timestamp,
    /// Attempts that failed.
    pub attempts: u32,
    /// When the next one is.
    pub due: Timestamp,
}

/// What a mailed token lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenUse {
    /// Begin an account with the address.
    Verify,
    /// Set another password for its account.
    Reset,
}

/// A token that was mailed, without its secret. There is one for each address and use: a newer takes the place of an older.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MailToken {
    pub digest: TokenDigest,
    pub r#use: TokenUse,
    pub address: EmailAddress,
    /// The mail that it was in.
    pub mail: MailId,
    pub expires: Timestamp,
}

/// A mail as it leaves.
#[derive(Clone)]
pub struct Mail {
    /// The same for each attempt.
    pub id: MailId,
    pub to: EmailAddress,
    pub subject: &'static str,
    /// Plain text, lines ended by `\n`. It may hold a token.
    pub text: String,
}

/// Neither the address nor the token.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("id", &self.id).field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a mail did not leave. The message names neither address nor content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct MailFailure {
    /// Another attempt would fail as well.
    pub is_permanent: bool,
    pub what: String,
}

/// The way out for mail.
#[async_trait]
pub trait MailSender: Send + Sync + fmt::Debug {
    /// Hands a mail to a server that takes it from here. Ends within a time of its own.
    async fn send(&self, mail: &Mail) -> Result<(), MailFailure>;
}
