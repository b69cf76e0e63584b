//! Renditions: named by a row that goes with what they were made of.

use atelier_domain::blob::BlobId;
use atelier_domain::rendition::{Rendition, RenditionKind};
use atelier_domain::store::StoreError;

use super::rows::{read, write};
use super::{Store, blob_names};
use crate::engine::{Txn, TxnError};
use crate::keys::files::{Namer, rendition};
use crate::schema::Table;

impl Store {
    pub(super) fn rendition_of(
        &self,
        source: &BlobId,
        kind: RenditionKind,
    ) -> Result<Option<Rendition>, StoreError> {
        self.row(Table::Renditions, &rendition(source, kind))
    }

    pub(super) fn keep_rendition(
        &self,
        source: &BlobId,
        kind: RenditionKind,
        made: &Rendition,
    ) -> Result<(), StoreError> {
        self.engine().write(|txn| {
            forget(txn, source, kind)?;
            if let Rendition::Made { blob, .. } = made {
                blob_names::add(txn, blob, Namer::rendition_of(source))?;
            }
            write(txn, Table::Renditions, &rendition(source, kind), made)
        })
    }

    pub(super) fn drop_renditions(&self, source: &BlobId) -> Result<(), StoreError> {
        self.engine()
            .write_soon(|txn| RenditionKind::ALL.into_iter().try_for_each(|kind| forget(txn, source, kind)))
    }
}

fn forget(txn: &Txn<'_>, source: &BlobId, kind: RenditionKind) -> Result<(), TxnError> {
    let key = rendition(source, kind);
    let Some(old) = read::<Rendition>(txn, Table::Renditions, &key)? else { return Ok(()) };
    if let Rendition::Made { blob, .. } = old {
        blob_names::remove(txn, &blob, Namer::rendition_of(source))?;
    }
    txn.remove(Table::Renditions, &key).map(|_| ())
}
