//! What a store is when it is opened again.

use std::fs;

use atelier_domain::blob::BlobStore as _;
use atelier_domain::id::UserId;
use atelier_domain::job::{Job, JobState};
use atelier_domain::store::{AccountStore as _, JobStore as _, PluginStore as _, StoreError};
use atelier_domain::time::Timestamp;
use atelier_storage::contract::sample;
use atelier_storage::{BLOB_MEMORY_BYTES_MAX, Blobs, Opening, Store};

#[test]
fn everything_is_there_after_a_shutdown() {
    let folder = tempfile::tempdir().expect("a folder");
    let alice = sample::user("alice");
    let mut key = sample::key(alice.id);
    let plugin = sample::plugin("acme/chat");
    let open = sample::job(alice.id);
    let large = {
        let mut job = Job { state: JobState::Succeeded, ..sample::job(alice.id) };
        job.request.prompt = Some("p".repeat(50_000));
        job
    };
    {
        let store = Store::open(folder.path()).expect("opened");
        assert_eq!(store.opening(), Opening::Created);
        store.create_user(&alice).expect("created");
        store.create_key(&key).expect("created");
        store.touch_key(alice.id, key.id, Timestamp(60_000)).expect("recorded");
        store.put_plugin(&plugin).expect("put");
        store.create_job(&(&open).into()).expect("created");
        store.create_job(&(&large).into()).expect("created");
    }
    key.last_used = Some(Timestamp(60_000));
    for _ in 0..3 {
        let store = Store::open(folder.path()).expect("opened");
        assert_eq!(store.opening(), Opening::Clean);
        assert_eq!(store.key_by_digest(&key.digest).expect("read"), Some((key.clone(), alice.clone())));
        assert_eq!(store.plugins().expect("read"), std::slice::from_ref(&plugin));
        assert_eq!(store.jobs_of(alice.id, None, 10).expect("read"), [large.clone(), open.clone()]);
        assert_eq!(store.open_jobs(10).expect("read"), [(open.wake_at, open.id)]);
    }
}

#[test]
fn a_second_opening_is_refused_with_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("opened");
    let error = Store::open(folder.path()).expect_err("in use").to_string();
    assert!(error.contains("in use") && error.contains("stop the other process"), "{error}");
    store.create_job(&(&sample::job(UserId::new())).into()).expect("the first goes on");
    drop(store);
    Store::open(folder.path()).expect("free again");
}

#[test]
fn a_lost_database_beside_its_mark_is_not_begun_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("opened");
    store.create_user(&sample::user("alice")).expect("created");
    drop(store);
    fs::remove_dir_all(folder.path().join("db")).expect("removed");
    let error = Store::open(folder.path()).expect_err("lost");
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}

#[test]
fn a_database_without_its_mark_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    drop(Store::open(folder.path()).expect("opened"));
    fs::remove_file(folder.path().join("mark")).expect("removed");
    let error = Store::open(folder.path()).expect_err("no mark");
    assert!(matches!(error, StoreError::Damaged(_)), "{error}");
}

#[test]
fn an_older_database_put_beside_a_newer_mark_is_refused() {
    let (folder, older) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    drop(Store::open(folder.path()).expect("opened"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        for name in fs::read_dir(from).expect("listed").map(|entry| entry.expect("listed").file_name()) {
            if from.join(&name).is_file() {
                fs::copy(from.join(&name), to.join(&name)).expect("copied");
            }
        }
    };
    copy(&folder.path().join("db"), older.path());
    let store = Store::open(folder.path()).expect("opened");
    store.create_user(&sample::user("alice")).expect("created");
    drop(store);
    fs::remove_dir_all(folder.path().join("db")).expect("removed");
    fs::create_dir(folder.path().join("db")).expect("created");
    copy(older.path(), &folder.path().join("db"));
    fs::remove_file(folder.path().join("seal")).expect("as after a crash");
    let error = Store::open(folder.path()).expect_err("rolled back").to_string();
    assert!(error.contains("made durable"), "{error}");
}

#[test]
fn leftovers_of_unfinished_blobs_are_removed_and_the_rest_stays() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = Blobs::open(folder.path()).expect("opened");
    let mut writer = blobs.create("text/plain").expect("begun");
    writer.append(b"kept").expect("appended");
    let kept = writer.finish().expect("finished");
    assert!(Blobs::open(folder.path()).is_err(), "in use");
    drop(blobs);
    fs::write(folder.path().join("unfinished/7"), b"half a blo").expect("as after a crash");
    let blobs = Blobs::open(folder.path()).expect("opened");
    assert_eq!(fs::read_dir(folder.path().join("unfinished")).expect("listed").count(), 0);
    assert!(blobs.verify(&kept.id).expect("intact"));
    assert!(blobs.open(&kept.id, "text/plain").expect("read").is_some());
}

#[test]
fn a_blob_with_other_content_than_its_name_says_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = Blobs::open(folder.path()).expect("opened");
    for size in [100, BLOB_MEMORY_BYTES_MAX as usize + 1] {
        let mut writer = blobs.create("text/plain").expect("begun");
        writer.append(&vec![7; size]).expect("appended");
        let id = writer.finish().expect("finished").id;
        let name = id.to_string();
        let path = folder.path().join(&name[..2]).join(&name[2..]);
        let mut content = fs::read(&path).expect("read");
        content[size / 2] ^= 1;
        fs::write(&path, &content).expect("changed");
        let error = blobs.verify(&id).expect_err("flipped");
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("damaged"), "{error}");
        if size as u64 <= BLOB_MEMORY_BYTES_MAX {
            blobs.open(&id, "text/plain").expect_err("small content is checked at once");
        }
        fs::write(&path, &content[..size / 2]).expect("cut");
        blobs.verify(&id).expect_err("cut");
        fs::remove_file(&path).expect("removed");
        assert!(!blobs.verify(&id).expect("none"));
    }
}
