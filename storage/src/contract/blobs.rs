//! The contract of [`BlobStore`].

use std::io;
use std::time::Duration;

use atelier_domain::blob::{Blob, BlobId, BlobStore};
use atelier_domain::time::{Clock as _, SystemClock, Timestamp};
use bytes::Bytes;

/// A moment that everything written so far is older than.
const LATER: Timestamp = Timestamp(u64::MAX >> 12);

fn remove(store: &dyn BlobStore, id: &BlobId) -> bool {
    store.remove_unused(id, LATER, &|| Ok(false)).expect("answered")
}

fn write(store: &dyn BlobStore, parts: &[&[u8]]) -> Blob {
    let mut writer = store.create("image/png").expect("begun");
    parts.iter().for_each(|part| writer.append(part).expect("appended"));
    writer.finish().expect("finished")
}

fn open(store: &dyn BlobStore, id: &BlobId) -> Blob {
    store.open(id, "video/mp4").expect("read").expect("there")
}

/// Bytes without a short period.
fn content(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut bytes);
    bytes
}

pub fn small_content_is_read_back_from_memory(store: &dyn BlobStore) {
    for parts in [&[][..], &[&b"hello "[..], &b""[..], &b"world"[..]][..]] {
        let written = write(store, parts);
        let whole = parts.concat();
        assert_eq!(written.id, Blob::in_memory("", Bytes::from(whole.clone())).id, "BLAKE3 of the content");
        assert_eq!(written.content_type, "image/png");
        let read = open(store, &written.id);
        assert_eq!((read.size, read.content_type.as_str()), (whole.len() as u64, "video/mp4"));
        assert!(written.is_in_memory() && read.is_in_memory());
        assert_eq!(read.read(0, usize::MAX).expect("read"), whole);
    }
}

pub fn large_content_is_read_in_ranges(store: &dyn BlobStore) {
    let whole = content(3 * 1024 * 1024 + 17);
    let parts: Vec<&[u8]> = whole.chunks(100_000).collect();
    let written = write(store, &parts);
    let read = open(store, &written.id);
    for blob in [written, read] {
        assert_eq!(blob.size, whole.len() as u64);
        assert_eq!(blob.read(0, usize::MAX).expect("read"), whole);
        assert_eq!(blob.read(1_000_001, 99).expect("read"), whole[1_000_001..1_000_100]);
        assert_eq!(blob.read(blob.size - 5, 99).expect("read"), whole[whole.len() - 5..]);
        assert!(blob.read(blob.size, 99).expect("read").is_empty());
    }
}

pub fn equal_content_has_one_id(store: &dyn BlobStore) {
    let whole = content(400_000);
    let (one, two) = (write(store, &[&whole]), write(store, &[&whole[..7], &whole[7..]]));
    assert_eq!(one.id, two.id);
    assert_ne!(one.id, write(store, &[&whole[1..]]).id);
    assert!(remove(store, &one.id));
    assert!(!remove(store, &one.id), "it was one");
}

pub fn an_unfinished_blob_never_existed(store: &dyn BlobStore) {
    let whole = content(400_000);
    let mut writer = store.create("image/png").expect("begun");
    writer.append(&whole).expect("appended");
    drop(writer);
    let id = Blob::in_memory("", Bytes::from(whole)).id;
    assert!(store.open(&id, "image/png").expect("read").is_none());
}

pub fn a_removed_blob_is_gone(store: &dyn BlobStore) {
    let written = write(store, &[b"to go"]);
    let kept = write(store, &[b"to stay"]);
    assert!(remove(store, &written.id));
    assert!(store.open(&written.id, "").expect("read").is_none());
    assert!(store.open(&kept.id, "").expect("read").is_some());
}

pub fn many_writers_of_one_content_agree(store: &dyn BlobStore) {
    let whole = content(300_000);
    let ids: Vec<BlobId> = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..8).map(|_| scope.spawn(|| write(store, &[&whole]).id)).collect();
        writers.into_iter().map(|writer| writer.join().expect("no panic")).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(open(store, &ids[0]).read(0, usize::MAX).expect("read"), whole);
}

pub fn a_used_or_young_blob_is_not_removed(store: &dyn BlobStore) {
    let before = SystemClock::default().now();
    let written = write(store, &[b"wanted"]);
    assert!(!store.remove_unused(&written.id, before, &|| Ok(false)).expect("answered"), "too young");
    assert!(!store.remove_unused(&written.id, LATER, &|| Ok(true)).expect("answered"), "used");
    let failing = store.remove_unused(&written.id, LATER, &|| Err(io::Error::other("no database")));
    assert!(failing.is_err(), "not knowing is no reason to remove");
    assert!(store.open(&written.id, "").expect("read").is_some());
    assert!(remove(store, &written.id));
}

pub fn a_claimed_blob_is_young_again(store: &dyn BlobStore) {
    let (claimed, other) = (write(store, &[b"claimed"]), write(store, &[b"other"]));
    // Times of files are coarser than clocks.
    std::thread::sleep(Duration::from_millis(50));
    let between = SystemClock::default().now();
    std::thread::sleep(Duration::from_millis(50));
    let found = store.claim(&claimed.id, "audio/mpeg").expect("claimed").expect("there");
    assert_eq!((found.id, found.content_type.as_str()), (claimed.id, "audio/mpeg"));
    assert!(!store.remove_unused(&claimed.id, between, &|| Ok(false)).expect("answered"));
    assert!(store.remove_unused(&other.id, between, &|| Ok(false)).expect("answered"));
    assert!(store.claim(&other.id, "").expect("answered").is_none(), "a removed one cannot be claimed");
    // Written again it is young as well.
    let again = write(store, &[b"claimed"]);
    assert!(!store.remove_unused(&again.id, between, &|| Ok(false)).expect("answered"));
}

pub fn ids_are_listed_in_pages(store: &dyn BlobStore) {
    let mut expected: Vec<BlobId> = (0..60u32).map(|n| write(store, &[&n.to_be_bytes()]).id).collect();
    expected.sort_unstable();
    let mut listed: Vec<BlobId> = Vec::new();
    loop {
        let page = store.ids(listed.last().copied(), 7).expect("read");
        assert!(page.len() <= 7);
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, expected);
    assert!(store.ids(None, 0).expect("read").is_empty());
}

/// Whoever claims or writes while a collector is at work has the content afterwards, whenever the collector looked.
pub fn a_blob_wanted_while_it_is_collected_is_there(store: &dyn BlobStore) {
    let whole = content(300_000);
    for _ in 0..50 {
        let id = write(store, &[&whole]).id;
        std::thread::sleep(Duration::from_millis(5));
        let now = SystemClock::default().now();
        std::thread::scope(|scope| {
            let wanted = scope.spawn(|| match store.claim(&id, "").expect("answered") {
                Some(blob) => blob,
                None => write(store, &[&whole]),
            });
            scope.spawn(|| store.remove_unused(&id, now, &|| Ok(false)).expect("answered"));
            wanted.join().expect("no panic");
        });
        assert_eq!(open(store, &id).read(0, usize::MAX).expect("read"), whole);
    }
}
