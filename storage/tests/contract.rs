//! The ports' contract, on sled and files.

use std::ops::Deref;

use atelier_storage::contract::sample::keeper;
use atelier_storage::{Blobs, Store};
use tempfile::TempDir;

/// A store in a folder that goes with it.
struct InFolder<T> {
    opened: T,
    _folder: TempDir,
}

impl<T> Deref for InFolder<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.opened
    }
}

fn store() -> InFolder<Store> {
    let folder = tempfile::tempdir().expect("a folder");
    let opened = Store::open(folder.path()).expect("opened");
    opened.unseal(&keeper()).expect("unsealed");
    InFolder { opened, _folder: folder }
}

fn blob_store() -> InFolder<Blobs> {
    let folder = tempfile::tempdir().expect("a folder");
    InFolder { opened: Blobs::open(folder.path()).expect("opened"), _folder: folder }
}

atelier_storage::store_contract!(store);
atelier_storage::blob_contract!(blob_store);

/// The one that tests and the harness of plugin authors use.
mod in_memory {
    fn blobs_in_memory() -> Box<atelier_domain::blob::MemoryBlobs> {
        Box::default()
    }

    atelier_storage::blob_contract!(blobs_in_memory);
}
