//! The domain's storage ports on an embedded database (sled) and plain files.
//!
//! [`Store`] keeps accounts, plugins and jobs; [`Blobs`] keeps content. Both own their folder: a second process is
//! refused. Everything here blocks: call it off the async threads. No type of the database engine leaves this crate.
//!
//! # What is promised
//! - A *durable* write is on disk before its method returns; concurrent writers share one flush.
//! - A *recorded* write ([`touch_key`](atelier_domain::store::AccountStore::touch_key) and
//!   [`record`](atelier_domain::store::LedgerStore::record)) is on disk within about 50 ms.
//! - Damage is noticed. What [`Store::open`] sees at once: files that are gone, cut or of another state, a lost commit, and
//!   whatever is wrong with open jobs, their holds, allowances and plugins. What is read is checked by the engine page by page. The rest,
//!   rows that are silently missing or stale, is found by [`Store::verify_gently`], which compares all rows with what was
//!   committed while others use the store. From then on every call gives an error rather than fewer rows.

pub mod backup;
mod blobs;
mod codec;
#[cfg(feature = "contract-tests")]
pub mod contract;
mod disk;
mod engine;
mod folder;
mod journal;
mod keys;
mod mark;
mod room;
mod schema;
mod seal;
mod sealing;
mod store;

pub use blobs::{BLOB_MEMORY_BYTES_MAX, Blobs};
pub use codec::ROW_BYTES_MAX;
pub use disk::Disk;
pub use engine::Check;
pub use keys::{PLUGIN_ID_BYTES_MAX, USER_NAME_BYTES_MAX};
pub use schema::SCHEMA_VERSION;
pub use sealing::{LocalKeys, SealingKey, Unsealing};
pub use store::{Health, Opening, Store};
