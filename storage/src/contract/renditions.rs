//! The contract of [`FileStore`]'s renditions.

use atelier_domain::blob::BlobId;
use atelier_domain::rendition::{Rendition, RenditionKind};
use atelier_domain::store::FileStore;

const SOURCE: BlobId = BlobId([0x21; 32]);

fn made(blob: u8) -> Rendition {
    Rendition::Made { blob: BlobId([blob; 32]), size: 12, content_type: "image/png".to_owned() }
}

fn is_named(store: &dyn FileStore, blob: u8) -> bool {
    store.is_blob_named(&BlobId([blob; 32])).expect("read")
}

pub fn a_rendition_is_kept_and_named_until_it_is_forgotten(store: &dyn FileStore) {
    let none = Rendition::None { reason: "it is no sound".to_owned() };
    store.put_rendition(&SOURCE, RenditionKind::Thumbnail, &made(0x22)).expect("kept");
    store.put_rendition(&SOURCE, RenditionKind::Peaks, &none).expect("kept");
    let other = BlobId([0x31; 32]);
    store.put_rendition(&other, RenditionKind::Thumbnail, &made(0x22)).expect("two may look alike");
    let read = |source: &BlobId, kind| store.rendition(source, kind).expect("read");
    assert_eq!(read(&SOURCE, RenditionKind::Thumbnail), Some(made(0x22)));
    assert_eq!(read(&SOURCE, RenditionKind::Peaks), Some(none));
    assert_eq!(read(&other, RenditionKind::Peaks), None);
    store.forget_renditions(&SOURCE).expect("forgotten");
    store.forget_renditions(&SOURCE).expect("nothing to forget");
    assert_eq!((read(&SOURCE, RenditionKind::Thumbnail), read(&SOURCE, RenditionKind::Peaks)), (None, None));
    assert!(is_named(store, 0x22), "the other names it still");
    store.forget_renditions(&other).expect("forgotten");
    assert!(!is_named(store, 0x22));
}

pub fn a_rendition_that_is_made_again_names_its_blob_alone(store: &dyn FileStore) {
    for blob in [0x41, 0x42] {
        store.put_rendition(&SOURCE, RenditionKind::Thumbnail, &made(blob)).expect("kept");
    }
    assert_eq!((is_named(store, 0x41), is_named(store, 0x42)), (false, true));
}
