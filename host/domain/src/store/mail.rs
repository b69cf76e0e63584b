//! Mail that waits, and tokens that were mailed.

use std::fmt;

use super::StoreError;
use crate::account::User;
use crate::account::email::EmailAddress;
use crate::account::session::PasswordHash;
use crate::account::token::TokenDigest;
use crate::id::{MailId, UserId};
use crate::mail::{MailToken, QueuedMail, TokenUse};
use crate::time::Timestamp;

/// Mail and its tokens.
pub trait MailStore: Send + Sync + fmt::Debug {
    /// Adds a mail, durably; `false` if `max` wait already.
    fn queue_mail(&self, mail: &QueuedMail, max: usize) -> Result<bool, StoreError>;
    /// Mail that was due at `now`, the longest due first, `limit` at most.
    fn due_mail(&self, now: Timestamp, limit: usize) -> Result<Vec<QueuedMail>, StoreError>;
    /// Notes a failed attempt, durably: the mail is due again at `due`. Nothing if it is gone.
    fn delay_mail(&self, id: MailId, due: Timestamp) -> Result<(), StoreError>;
    /// Removes a mail that was sent or given up, durably.
    fn remove_mail(&self, id: MailId) -> Result<(), StoreError>;
    /// Keeps a token, durably; an earlier one of the same address and use is worth nothing any more.
    fn put_mail_token(&self, token: &MailToken) -> Result<(), StoreError>;
    /// The token with this digest, over or not.
    fn mail_token(&self, digest: &TokenDigest) -> Result<Option<MailToken>, StoreError>;
    /// The token of an address, over or not.
    fn mail_token_of(&self, address: &EmailAddress, r#use: TokenUse)
    -> Result<Option<MailToken>, StoreError>;
    /// Uses a token once: adds the user whose name is its address, with a password, durably and in one. `false` if it is none for this,
    /// was used, or was over at `now`.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is such a user by now.
    fn redeem_sign_up(
        &self,
        digest: &TokenDigest,
        user: &User,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<bool, StoreError>;
    /// Uses a token once: sets the password of the user whose name is its address, ends all their sessions, and notes that the address
    /// is theirs, durably and in one. `None` as above, or if there is no such user.
    fn redeem_reset(
        &self,
        digest: &TokenDigest,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError>;
    /// Removes tokens that were over at `now`, `limit` at most; gives how many there were.
    fn sweep_mail_tokens(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
}
