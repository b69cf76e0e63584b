//! Users, API keys and what they may do.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::id::{KeyId, SessionId, UserId};
use crate::time::Timestamp;

pub mod email;
pub mod password;
pub mod session;
pub mod token;

/// What a user is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Uses the API for themselves.
    User,
    /// Also runs the server.
    Administrator,
}

/// A person or program that owns keys and jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    /// Unique, for people. Empty once they were deleted.
    pub name: String,
    pub role: Role,
    pub created: Timestamp,
    /// A disabled user's keys and sessions open nothing.
    pub disabled: bool,
    /// When they showed that their name is an address at which they get mail.
    #[serde(default)]
    pub verified: Option<Timestamp>,
}

impl User {
    /// Whether all that is left of them is their id.
    pub fn is_deleted(&self) -> bool {
        self.name.is_empty()
    }

    /// What stays of them when they are deleted.
    pub fn tombstone(&self) -> Self {
        let Self { id, created, .. } = *self;
        Self { id, name: String::new(), role: Role::User, created, disabled: true, verified: None }
    }
}

/// A kind of permission of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// List and look.
    Read,
    /// Make calls that may cost.
    Generate,
    /// Administer users and keys.
    Admin,
    /// Install and configure plugins.
    PluginAdmin,
}

impl Role {
    /// What a user of this role may do at most: what their sessions may.
    pub fn scopes(self) -> &'static [Scope] {
        match self {
            Role::User => &[Scope::Read, Scope::Generate],
            Role::Administrator => &Scope::ALL,
        }
    }
}

impl Scope {
    /// All of them, widest last.
    pub const ALL: [Scope; 4] = [Scope::Read, Scope::Generate, Scope::Admin, Scope::PluginAdmin];

    /// The word used in the API and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Generate => "generate",
            Scope::Admin => "admin",
            Scope::PluginAdmin => "plugin-admin",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text is not a scope.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0:?} is not a scope: use read, generate, admin or plugin-admin")]
pub struct UnknownScope(pub String);

impl FromStr for Scope {
    type Err = UnknownScope;
    fn from_str(text: &str) -> Result<Self, UnknownScope> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.as_str() == text)
            .ok_or_else(|| UnknownScope(text.to_owned()))
    }
}

/// An API key as stored: its secret only as a digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    pub id: KeyId,
    pub user: UserId,
    /// For people.
    pub name: String,
    pub digest: KeyDigest,
    /// The first characters, so that a person can tell keys apart.
    pub hint: String,
    pub scopes: Vec<Scope>,
    pub created: Timestamp,
    /// From then on it opens nothing.
    pub expires: Option<Timestamp>,
    pub revoked: Option<Timestamp>,
    /// To the minute, not to the call.
    pub last_used: Option<Timestamp>,
}

/// BLAKE3 of a key's secret. The secret has 256 random bits, so that a slow password hash would add nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyDigest(pub [u8; 32]);

/// A key's secret: shown once, never stored. Its text is `atl_` and 43 characters.
#[derive(Clone)]
pub struct KeySecret(String);

impl KeySecret {
    /// 256 fresh random bits.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0u8; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(format!("atl_{}", URL_SAFE_NO_PAD.encode(bytes))))
    }
    /// The text, to be shown to its owner once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
    /// What is stored and looked up.
    pub fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.0)
    }
    /// Enough for a person to recognise it.
    pub fn hint(&self) -> String {
        self.0.chars().take(10).collect()
    }
}

impl fmt::Debug for KeySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeySecret(…)")
    }
}

impl KeyDigest {
    /// Digest of what a caller sent. Looking a digest up leaks nothing of the secret by its timing.
    pub fn of(secret: &str) -> Self {
        Self(*blake3::hash(secret.as_bytes()).as_bytes())
    }
}

/// Who is calling: the outcome of authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub user: UserId,
    pub role: Role,
    /// The key that was sent, or [`browser_key`].
    pub key: KeyId,
    pub scopes: Vec<Scope>,
    /// The key or session stops working then, even while cached.
    pub expires: Option<Timestamp>,
    /// Set for who signed in and sent no key.
    pub session: Option<SessionId>,
}

impl Principal {
    /// Whether the key has the scope, and the user the role that the scope needs.
    pub fn may(&self, scope: Scope) -> bool {
        self.role.scopes().contains(&scope) && self.scopes.contains(&scope)
    }
}

/// The key under which all that a user does in browsers is counted, and goes on after its session: there is no such key, and nothing
/// opens with it.
pub fn browser_key(user: UserId) -> KeyId {
    KeyId::derived(user.made(), &[user.as_bytes(), b"browser"])
}
