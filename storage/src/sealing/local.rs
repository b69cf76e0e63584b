//! Keys that this machine is given: from a file, or the environment.

use std::fmt;

use atelier_domain::store::{DataKey, KeeperError, KeyKeeper};
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};

const NONCE_BYTES: usize = 24;
/// What is wrapped here is nothing else.
const PURPOSE: &[u8] = b"atelier data key 1";

/// A key that wraps: 256 bits, with a name that tells nothing of them. It prints as its name.
#[derive(Clone)]
pub struct SealingKey {
    name: String,
    key: DataKey,
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealingKey({})", self.name)
    }
}

impl SealingKey {
    /// A key of these bits.
    pub fn new(key: [u8; 32]) -> Self {
        let name = blake3::derive_key("atelier 2026-11 name of a sealing key v1", &key);
        let name = blake3::Hash::from_bytes(name).to_hex()[..12].to_owned();
        Self { name, key: key.into() }
    }

    /// Its name: twelve hexadecimal digits.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.key.bytes().into())
    }
}

/// One key that wraps, and those that did before.
#[derive(Clone, Debug)]
pub struct LocalKeys {
    current: SealingKey,
    retired: Vec<SealingKey>,
}

impl LocalKeys {
    /// `retired` open what was sealed before, so that it can be sealed anew.
    pub fn new(current: SealingKey, retired: Vec<SealingKey>) -> Self {
        Self { current, retired }
    }
}

impl KeyKeeper for LocalKeys {
    fn current(&self) -> &str {
        self.current.name()
    }

    fn wrap(&self, key: &DataKey) -> Result<Vec<u8>, KeeperError> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|error| KeeperError::Unavailable(error.to_string()))?;
        let payload = Payload { msg: key.bytes(), aad: PURPOSE };
        let text = self.current.cipher().encrypt(&XNonce::from(nonce), payload);
        let text = text.map_err(|_| KeeperError::Unavailable("a key could not be wrapped".to_owned()))?;
        Ok([&nonce[..], &text].concat())
    }

    fn unwrap(&self, name: &str, wrapped: &[u8]) -> Result<DataKey, KeeperError> {
        let all = || std::iter::once(&self.current).chain(&self.retired);
        let key = all().find(|key| key.name == name).ok_or_else(|| KeeperError::Unknown {
            wanted: name.to_owned(),
            there: all().map(|key| key.name.clone()).collect(),
        })?;
        let altered = || KeeperError::Altered(name.to_owned());
        let (nonce, text) = wrapped.split_first_chunk::<NONCE_BYTES>().ok_or_else(altered)?;
        let payload = Payload { msg: text, aad: PURPOSE };
        let plain = key.cipher().decrypt(&XNonce::from(*nonce), payload).map_err(|_| altered())?;
        let plain = zeroize::Zeroizing::new(plain);
        plain.as_array().copied().map(DataKey::from).ok_or_else(altered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_unwrapped_by_the_key_that_wrapped_it() {
        let [old, new] = [1, 2].map(|byte| SealingKey::new([byte; 32]));
        let before = LocalKeys::new(old.clone(), Vec::new());
        let key = DataKey::generate().expect("randomness");
        let wrapped = before.wrap(&key).expect("wrapped");
        assert_eq!(before.unwrap(old.name(), &wrapped).expect("unwrapped"), key);
        let after = LocalKeys::new(new.clone(), vec![old.clone()]);
        assert_eq!(after.unwrap(old.name(), &wrapped).expect("retired"), key);
        let error =
            LocalKeys::new(new.clone(), Vec::new()).unwrap(old.name(), &wrapped).expect_err("unknown");
        let error = error.to_string();
        assert!(error.contains(old.name()) && error.contains(new.name()), "{error}");
        let mut altered = wrapped.clone();
        altered[30] ^= 1;
        assert!(matches!(before.unwrap(old.name(), &altered), Err(KeeperError::Altered(_))));
        assert!(matches!(before.unwrap(old.name(), b"short"), Err(KeeperError::Altered(_))));
        assert!(!format!("{after:?}{key:?}").contains("2, 2"), "keys print as names");
    }
}
