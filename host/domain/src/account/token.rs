//! Secrets that open something for a time: sessions, and what a mail carries.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Random bytes of a token.
const BYTES: usize = 32;
/// Characters of its text.
const CHARACTERS: usize = 43;

/// 256 random bits, as text in base64url. It is given to its holder and never stored.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// A fresh one.
    ///
    /// # Errors
    /// The operating system has no randomness to give.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What a holder sent; `None` if it cannot be one.
    pub fn read(text: &str) -> Option<Self> {
        let is_one = text.len() == CHARACTERS
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
        is_one.then(|| Self(text.to_owned()))
    }

    /// The text, for its holder.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up. The token has 256 random bits, so that a slow hash would add nothing.
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(blake3::derive_key("atelier 2026-11 token digest", self.0.as_bytes()))
    }

    /// The value that a page sends beside a session's cookie, so that no other site can ask in its name: it is bound to this token, and
    /// tells nothing of it.
    pub fn csrf(&self) -> CsrfToken {
        CsrfToken(blake3::derive_key("atelier 2026-11 csrf token", self.0.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// A one-way hash of a [`Token`]. Looking it up leaks nothing of the token by its timing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TokenDigest(pub [u8; 32]);

/// What proves that a request with a session's cookie was meant by the page that the session was given to.
#[derive(Clone)]
pub struct CsrfToken([u8; 32]);

impl CsrfToken {
    /// The text, for the session's own page.
    pub fn text(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.0)
    }

    /// Whether that is what was sent, in constant time.
    pub fn is(&self, sent: &str) -> bool {
        let Ok(bytes) = URL_SAFE_NO_PAD.decode(sent) else { return false };
        let Ok(bytes) = <[u8; 32]>::try_from(bytes) else { return false };
        // Hashes are compared in constant time.
        blake3::Hash::from_bytes(self.0) == blake3::Hash::from_bytes(bytes)
    }
}

impl fmt::Debug for CsrfToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CsrfToken(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_was_made_and_nothing_else_is_one() {
        let token = Token::generate().expect("randomness");
        assert_eq!(token.reveal().len(), CHARACTERS);
        assert_eq!(Token::read(token.reveal()).expect("a token").digest(), token.digest());
        let other = Token::generate().expect("randomness");
        assert_ne!(token.digest(), other.digest());
        for none in ["", "short", &"a".repeat(44), &"ä".repeat(22), &format!("{}\n", "a".repeat(42))] {
            assert!(Token::read(none).is_none(), "{none:?}");
        }
        assert_eq!(format!("{token:?} {:?}", token.csrf()), "Token(…) CsrfToken(…)");
    }

    #[test]
    fn a_csrf_token_is_its_sessions_alone() {
        let (mine, other) = (Token::generate().expect("randomness"), Token::generate().expect("randomness"));
        assert!(mine.csrf().is(&mine.csrf().text()));
        for wrong in ["", "x", mine.reveal(), &other.csrf().text()] {
            assert!(!mine.csrf().is(wrong), "{wrong:?}");
        }
    }
}
