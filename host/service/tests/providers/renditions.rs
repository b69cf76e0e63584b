//! Renditions, on the real stores.

use std::sync::Arc;

use atelier_domain::blob::{Blob, BlobStore as _};
use atelier_domain::rendition::RenditionKind;
use atelier_service::files::Swept;
use atelier_service::renditions::{RenditionPorts, Renditions};
use atelier_service::{StoragePool, StoragePoolLimits};
use image::{DynamicImage, ImageFormat, RgbImage};

use crate::files::{GRACE, clock, files, keep};
use crate::jobs::{caller, stores};

fn picture() -> Vec<u8> {
    let mut bytes = Vec::new();
    let image = DynamicImage::ImageRgb8(RgbImage::new(600, 600));
    image.write_to(&mut std::io::Cursor::new(&mut bytes), ImageFormat::Png).expect("written");
    bytes
}

#[tokio::test]
async fn what_was_made_of_content_stays_with_it_and_goes_with_it() {
    let (_folder, store, blobs) = stores();
    let (clock, alice) = (clock(), caller());
    let files = files(&store, &blobs, &clock);
    let pool = StoragePool::new(StoragePoolLimits::default());
    let renditions =
        Arc::new(Renditions::new(RenditionPorts { store: store.clone(), blobs: blobs.clone(), pool }));
    let file = keep(&files, &alice, &picture(), None).await;
    let source = Blob { content_type: "image/png".to_owned(), ..files.open(&file).await.expect("there") };
    // Many who want it at once get the one that was made.
    let wanting = (0..16).map(|_| renditions.of(source.clone(), RenditionKind::Thumbnail));
    let made = futures::future::join_all(wanting).await;
    let ids: Vec<_> = made.iter().map(|made| made.as_ref().expect("made").id).collect();
    assert!(ids.iter().all(|id| *id == ids[0]));
    clock.pass_seconds(GRACE.as_secs() + 60);
    assert_eq!(files.sweep(None).await.expect("swept").0, Swept::default(), "it is in use");
    files.remove(&alice, file.id).await.expect("removed");
    clock.pass_seconds(GRACE.as_secs() + 60);
    let mut swept = 0;
    for _ in 0..2 {
        swept += files.sweep(None).await.expect("swept").0.blobs;
    }
    assert_eq!((swept, blobs.ids(None, 10).expect("read").len()), (2, 0));
}
