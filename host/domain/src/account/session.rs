//! Sessions of browsers, which signed in with a password.

use serde::{Deserialize, Serialize};

use super::token::TokenDigest;
use crate::id::{SessionId, UserId};
use crate::time::Timestamp;

/// A browser that is signed in. Its secret is stored only as a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Its name in lists, not its secret.
    pub id: SessionId,
    pub user: UserId,
    pub digest: TokenDigest,
    pub created: Timestamp,
    /// To the minute, not to the call.
    pub last_used: Timestamp,
    /// From then on it opens nothing, however often it is used.
    pub expires: Timestamp,
    /// It holds as long as this is its user's: see [`Credentials::version`].
    pub version: u64,
    /// What the browser called itself, so that its owner can tell sessions apart.
    pub agent: String,
}

/// What a user signs in with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// Absent for who has no password, and so cannot sign in.
    pub password: Option<PasswordHash>,
    /// When the password was set.
    pub changed: Option<Timestamp>,
    /// Counts what ends all sessions: another password, being disabled, a forced sign-out. Those of another version are over.
    pub version: u64,
}

/// A hashed password with all that is needed to hash another one alike, in the PHC string format.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PasswordHash(pub String);

/// Never the hash: whoever has it can try passwords at home.
impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}
