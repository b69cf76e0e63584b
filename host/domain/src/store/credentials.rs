//! Passwords and sessions.

use std::fmt;

use super::StoreError;
use crate::account::User;
use crate::account::session::{Credentials, PasswordHash, Session};
use crate::account::token::TokenDigest;
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// What users sign in with, and where they did.
pub trait CredentialStore: Send + Sync + fmt::Debug {
    /// Those of a user who has none are empty.
    fn credentials(&self, user: UserId) -> Result<Credentials, StoreError>;
    /// Sets a user's password and ends all their sessions, durably and in one; gives their new version, `None` if there is no such
    /// user.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if a version is given, and it is over.
    fn set_password(
        &self,
        user: UserId,
        password: &PasswordHash,
        when: Timestamp,
        held: Option<u64>,
    ) -> Result<Option<u64>, StoreError>;
    /// Keeps the same password under another hash, if it is still `old`. Recorded, not durable.
    fn rehash(&self, user: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<bool, StoreError>;
    /// Adds a session, durably, if its version is its user's still. The user's oldest goes where there are `max` already.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] if the version is over, or there is no such user.
    fn create_session(&self, session: &Session, max: usize) -> Result<(), StoreError>;
    /// The session with this digest, and its user, unless it is of a version that is over.
    fn session_by_digest(&self, digest: &TokenDigest) -> Result<Option<(Session, User)>, StoreError>;
    /// The owner's sessions, newest first, over or not, without those of a version that is over.
    fn sessions_of(&self, owner: UserId) -> Result<Vec<Session>, StoreError>;
    /// Notes when a session was last used. Recorded, not durable.
    fn touch_session(&self, digest: &TokenDigest, when: Timestamp) -> Result<(), StoreError>;
    /// Ends the owner's session, durably; `false` if they have none such.
    fn end_session(&self, owner: UserId, id: SessionId) -> Result<bool, StoreError>;
    /// Ends all of a user's sessions, durably, those included that are just being made.
    fn end_sessions(&self, user: UserId) -> Result<(), StoreError>;
    /// Removes sessions whose time was over at `now`, `limit` at most; gives how many there were.
    fn sweep_sessions(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError>;
}
