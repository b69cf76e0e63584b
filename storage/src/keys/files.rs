//! Keys of files, of links, and of the names of blobs.

use atelier_domain::blob::BlobId;
use atelier_domain::file::Purpose;
use atelier_domain::id::{BatchId, ChatMessageId, FileId, JobId, LinkId, UserId};
use atelier_domain::rendition::RenditionKind;
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

use super::{ID, join, split};
use crate::schema::Table;

/// Owner, then file: the files of one owner lie together, oldest first.
pub(crate) fn owned_file(owner: UserId, id: FileId) -> [u8; 2 * ID] {
    join(owner.as_bytes(), id.as_bytes())
}

/// The file of a key made by [`owned_file`].
pub(crate) fn file_of_owned(key: &[u8]) -> Result<FileId, StoreError> {
    let (_, id) = split::<ID, ID>(Table::FilesByOwner, key)?;
    Ok(FileId::from_bytes(id))
}

/// Owner and purpose: what the keys of [`owned_file_for`] begin with.
pub(crate) fn owner_and_purpose(owner: UserId, purpose: Purpose) -> [u8; ID + 1] {
    join(owner.as_bytes(), &[stored(purpose)])
}

/// Owner, purpose, then file: an owner's files of one purpose lie together, oldest first.
pub(crate) fn owned_file_for(owner: UserId, purpose: Purpose, id: FileId) -> [u8; 2 * ID + 1] {
    join(&owner_and_purpose(owner, purpose), id.as_bytes())
}

/// The file of a key made by [`owned_file_for`].
pub(crate) fn file_of_owned_for(key: &[u8]) -> Result<FileId, StoreError> {
    let (_, id) = split::<{ ID + 1 }, ID>(Table::FilesByPurpose, key)?;
    Ok(FileId::from_bytes(id))
}

/// A purpose in keys: never renumber one.
fn stored(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Assistants => 1,
        Purpose::Batch => 2,
        Purpose::FineTune => 3,
        Purpose::Vision => 4,
        Purpose::UserData => 5,
        Purpose::Evals => 6,
        Purpose::BatchOutput => 7,
    }
}

/// End, then id: what ends first lies first.
pub(crate) fn ending(at: Timestamp, id: &[u8; ID]) -> [u8; 8 + ID] {
    join(&at.0.to_be_bytes(), id)
}

/// The id of a key made by [`ending`].
pub(crate) fn id_of_ending(table: Table, key: &[u8]) -> Result<[u8; ID], StoreError> {
    split::<8, ID>(table, key).map(|(_, id)| id)
}

/// Owner, then link, inverted: one owner's links lie together, newest first.
pub(crate) fn owned_link(owner: UserId, id: LinkId) -> [u8; 2 * ID] {
    join(owner.as_bytes(), &id.as_bytes().map(|byte| !byte))
}

/// The link of a key made by [`owned_link`].
pub(crate) fn link_of_owned(key: &[u8]) -> Result<LinkId, StoreError> {
    let (_, id) = split::<ID, ID>(Table::LinksByOwner, key)?;
    Ok(LinkId::from_bytes(id.map(|byte| !byte)))
}

/// A row that names blobs.
#[derive(Clone, Copy)]
pub(crate) enum Namer {
    Job(JobId),
    File(FileId),
    Batch(BatchId),
    ChatMessage(ChatMessageId),
    /// By the first half of the content's id that it was made of.
    Rendition([u8; ID]),
}

impl Namer {
    /// The row of a rendition.
    pub(crate) fn rendition_of(source: &BlobId) -> Self {
        let mut half = [0; ID];
        half.copy_from_slice(&source.0[..ID]);
        Self::Rendition(half)
    }
}

/// Content, then what is made of it.
pub(crate) fn rendition(source: &BlobId, kind: RenditionKind) -> [u8; 32 + 1] {
    let kind = match kind {
        RenditionKind::Thumbnail => 1,
        RenditionKind::Peaks => 2,
    };
    join(&source.0, &[kind])
}

/// Blob, then who names it: all names of a blob lie together.
pub(crate) fn blob_name(blob: &BlobId, namer: Namer) -> [u8; 32 + 1 + ID] {
    let (kind, id) = match &namer {
        Namer::Job(id) => (1, id.as_bytes()),
        Namer::File(id) => (2, id.as_bytes()),
        Namer::Batch(id) => (3, id.as_bytes()),
        Namer::ChatMessage(id) => (80, id.as_bytes()),
        Namer::Rendition(half) => (81, half),
    };
    let mut key = [kind; 32 + 1 + ID];
    key[..32].copy_from_slice(&blob.0);
    key[33..].copy_from_slice(id);
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn owners_files_lie_together_oldest_first(a: ([u8; 16], [u8; 16]), b: ([u8; 16], [u8; 16])) {
            let key = |(owner, id)| owned_file(UserId::from_bytes(owner), FileId::from_bytes(id));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn owners_links_lie_together_newest_first(a: ([u8; 16], [u8; 16]), b: ([u8; 16], [u8; 16])) {
            let key = |(owner, id)| owned_link(UserId::from_bytes(owner), LinkId::from_bytes(id));
            prop_assert_eq!(key(a).cmp(&key(b)), a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        }

        #[test]
        fn keys_give_back_what_they_were_made_of(owner: [u8; 16], id: [u8; 16], at: u64) {
            let owner = UserId::from_bytes(owner);
            let (file, link) = (FileId::from_bytes(id), LinkId::from_bytes(id));
            prop_assert_eq!(file_of_owned(&owned_file(owner, file)).expect("well-formed"), file);
            for purpose in Purpose::ALL {
                let key = owned_file_for(owner, purpose, file);
                prop_assert!(key.starts_with(&owner_and_purpose(owner, purpose)));
                prop_assert_eq!(file_of_owned_for(&key).expect("well-formed"), file);
            }
            prop_assert_eq!(link_of_owned(&owned_link(owner, link)).expect("well-formed"), link);
            let key = ending(Timestamp(at), &id);
            prop_assert_eq!(id_of_ending(Table::FilesExpiring, &key).expect("well-formed"), id);
        }

        #[test]
        fn names_of_one_blob_begin_with_it_and_differ(blob: [u8; 32], id: [u8; 16]) {
            let blob = BlobId(blob);
            let job = blob_name(&blob, Namer::Job(JobId::from_bytes(id)));
            let file = blob_name(&blob, Namer::File(FileId::from_bytes(id)));
            prop_assert!(job.starts_with(&blob.0) && file.starts_with(&blob.0) && job != file);
        }
    }
}
