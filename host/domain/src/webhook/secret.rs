//! What outgoing webhooks are signed with.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

const PREFIX: &str = "whsec_";
/// As Standard Webhooks wants it.
const KEY_BYTES_MIN: usize = 24;
const KEY_BYTES_MAX: usize = 64;
/// Of those that are made here.
const KEY_BYTES: usize = 32;

/// A symmetric secret as Standard Webhooks writes it: `whsec_` and base64. It is kept readable, since it has to sign, and prints as
/// dots.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SigningSecret(String);

/// The text is no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is whsec_ and {KEY_BYTES_MIN} to {KEY_BYTES_MAX} bytes in base64")]
pub struct InvalidSecret;

impl SigningSecret {
    /// 256 fresh random bits.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut key = [0u8; KEY_BYTES];
        getrandom::fill(&mut key)?;
        Ok(Self(format!("{PREFIX}{}", STANDARD.encode(key))))
    }

    /// The text, to be shown to its owner once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The key itself, to sign with.
    pub fn key(&self) -> Vec<u8> {
        decode(&self.0).unwrap_or_default()
    }
}

fn decode(text: &str) -> Option<Vec<u8>> {
    let key = STANDARD.decode(text.strip_prefix(PREFIX)?).ok()?;
    (KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.len()).then_some(key)
}

impl FromStr for SigningSecret {
    type Err = InvalidSecret;
    fn from_str(text: &str) -> Result<Self, InvalidSecret> {
        decode(text).map(|_| Self(text.to_owned())).ok_or(InvalidSecret)
    }
}

impl fmt::Debug for SigningSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningSecret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_is_written_and_prints_nothing_of_itself() {
        let secret = SigningSecret::generate().expect("randomness");
        assert_eq!(secret.reveal().parse::<SigningSecret>().expect("well-formed"), secret);
        assert_eq!(secret.key().len(), KEY_BYTES);
        assert_eq!(format!("{secret:?}"), "SigningSecret(…)");
        for text in
            ["", "whsec_", "whsec_AAAA", "whsec_not base64", secret.reveal().trim_start_matches(PREFIX)]
        {
            assert_eq!(text.parse::<SigningSecret>(), Err(InvalidSecret), "{text:?}");
        }
    }
}
