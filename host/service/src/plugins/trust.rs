//! Who may publish: detached minisign signatures (Ed25519), each publisher bound to its keys.

use atelier_domain::plugin::Trust;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minisign_verify::{PublicKey, Signature};

/// What happens to a plugin without a good signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrustMode {
    /// Refused.
    Strict,
    /// Let in, with a warning.
    Warn,
    /// Let in: no signature is looked at.
    Off,
}

impl TrustMode {
    /// Reads the operator's word; any other word means strict.
    pub fn from_word(word: &str) -> Self {
        match word {
            "warn" => Self::Warn,
            "off" => Self::Off,
            _ => Self::Strict,
        }
    }
}

/// A key that may sign for a publisher.
#[derive(Clone)]
pub struct TrustedKey {
    pub publisher: String,
    id: String,
    key: PublicKey,
}

impl std::fmt::Debug for TrustedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrustedKey")
            .field("publisher", &self.publisher)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl TrustedKey {
    /// Reads a minisign public key: the base64 line of its file.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(publisher: &str, base64: &str) -> Result<Self, String> {
        let malformed = |why: String| format!("the key of {publisher} is not a minisign public key: {why}");
        let key = PublicKey::from_base64(base64.trim()).map_err(|error| malformed(error.to_string()))?;
        let bytes = STANDARD.decode(base64.trim()).map_err(|error| malformed(error.to_string()))?;
        // Two bytes of algorithm, eight of key id (little-endian, as minisign prints it), the key.
        let id = bytes.get(2..10).ok_or_else(|| malformed("it is too short".to_owned()))?;
        let id = id.iter().rev().map(|byte| format!("{byte:02X}")).collect();
        Ok(Self { publisher: publisher.to_owned(), id, key })
    }
}

/// Why a file is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    #[error(
        "it is not signed, and the trust mode is strict: add its .minisig file, or ask its publisher to sign it"
    )]
    Unsigned,
    #[error("no key is trusted for the publisher {0:?}: add one under [[plugins.trusted_keys]]")]
    PublisherUnknown(String),
    #[error("the signature does not fit the file and the keys trusted for {publisher:?}: {reason}")]
    BadSignature { publisher: String, reason: String },
}

/// The operator's trust mode and keys.
#[derive(Clone, Debug)]
pub struct TrustPolicy {
    pub mode: TrustMode,
    pub keys: Vec<TrustedKey>,
}

impl TrustPolicy {
    /// Decides on a file with its signature (the text of the `.minisig` file).
    ///
    /// # Errors
    /// It is not trusted, and the mode is strict.
    pub fn judge(&self, file: &[u8], signature: Option<&str>, publisher: &str) -> Result<Trust, TrustError> {
        match (self.verify(file, signature, publisher), self.mode) {
            (Ok(key_id), _) => Ok(Trust::Signed { key_id }),
            (Err(error), TrustMode::Strict) => Err(error),
            (Err(error), TrustMode::Warn) => {
                tracing::warn!(publisher, %error, "letting in a plugin without a good signature (trust mode warn)");
                Ok(Trust::Unsigned { reason: error.to_string() })
            }
            (Err(error), TrustMode::Off) => Ok(Trust::Unsigned { reason: error.to_string() }),
        }
    }

    fn verify(&self, file: &[u8], signature: Option<&str>, publisher: &str) -> Result<String, TrustError> {
        let bad = |reason: String| TrustError::BadSignature { publisher: publisher.to_owned(), reason };
        let signature = signature.ok_or(TrustError::Unsigned)?;
        let signature = Signature::decode(signature).map_err(|error| bad(error.to_string()))?;
        let mut reason = None;
        for trusted in self.keys.iter().filter(|trusted| trusted.publisher == publisher) {
            match trusted.key.verify(file, &signature, false) {
                Ok(()) => return Ok(trusted.id.clone()),
                Err(error) => reason = Some(error.to_string()),
            }
        }
        Err(reason.map_or_else(|| TrustError::PublisherUnknown(publisher.to_owned()), bad))
    }
}
