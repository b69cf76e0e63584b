//! Rows that hold secrets are sealed: what lies on the disk and in backups can be read only with a key that lies elsewhere.
//!
//! A row is sealed with XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) under a key of the store's own, which lies in the store,
//! wrapped by a [`KeyKeeper`](atelier_domain::store::KeyKeeper). Table and key of the row are authenticated with it, so that a row
//! cannot be put in another's place. When the keeper's key changes, a new key is made and every row sealed anew.

mod cipher;
mod local;

pub(crate) use cipher::Cipher;
pub use local::{LocalKeys, SealingKey};

/// How the store was found when it was unsealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsealing {
    /// Everything was sealed as it should be.
    AsItWas,
    /// Rows were sealed, with the store's first key or a new one.
    Sealed {
        /// How many.
        rows: u64,
    },
}
