//! Who keeps the keys under which the store's own keys lie.

use std::fmt;

use zeroize::Zeroizing;

/// 256 bits that seal rows. They print as dots, and are wiped when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey(Zeroizing<[u8; 32]>);

impl DataKey {
    /// Fresh random bits.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut key = Zeroizing::new([0; 32]);
        getrandom::fill(key.as_mut())?;
        Ok(Self(key))
    }

    /// The bits themselves.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for DataKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(…)")
    }
}

/// Why a key was not wrapped or unwrapped.
#[derive(Debug, Clone, thiserror::Error)]
pub enum KeeperError {
    /// It was wrapped with a key that is not at hand.
    #[error("the secrets in the store are sealed with key {wanted}, and there is only {}", .there.join(", "))]
    Unknown { wanted: String, there: Vec<String> },
    /// What was wrapped was changed since.
    #[error("a key in the store was changed since it was wrapped with key {0}")]
    Altered(String),
    /// The keeper cannot be asked.
    #[error("{0}")]
    Unavailable(String),
}

/// Keeps keys that wrap others and never leave it, as a key management service does. It is asked once for each start.
pub trait KeyKeeper: fmt::Debug + Send + Sync {
    /// The name of the key that wraps from now on. Names tell nothing of their keys.
    fn current(&self) -> &str;

    /// Wraps with the current key.
    ///
    /// # Errors
    /// It cannot be asked.
    fn wrap(&self, key: &DataKey) -> Result<Vec<u8>, KeeperError>;

    /// Unwraps what was wrapped with the named key.
    ///
    /// # Errors
    /// It does not know the key, what was wrapped was changed, or it cannot be asked.
    fn unwrap(&self, name: &str, wrapped: &[u8]) -> Result<DataKey, KeeperError>;
}
