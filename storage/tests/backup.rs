//! Backups: of a store in use, and of damaged ones.

#[path = "support/filled.rs"]
mod filled;

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use atelier_domain::blob::BlobStore as _;
use atelier_domain::id::{JobId, KeyId};
use atelier_domain::job::JobState;
use atelier_domain::store::{AccountStore as _, FileStore as _, JobStore as _, LedgerStore as _, StoreError};
use atelier_storage::backup::{self, BackupError, Manifest, Source};
use atelier_storage::contract::ledger::steps::{NOW, end, grant, job_for, submit, used, user, wanted};
use atelier_storage::contract::sample;
use atelier_storage::{Blobs, Store};
use filled::{Filled, PLENTY, blob, without_blobs};

fn write(filled: &Filled) -> Vec<u8> {
    let mut bytes = Vec::new();
    backup_of(&filled.store, &filled.blobs, &mut bytes).expect("written");
    bytes
}

fn backup_of(store: &Store, blobs: &Blobs, out: &mut dyn Write) -> Result<Manifest, BackupError> {
    let documents = vec![("atelier.toml".to_owned(), b"[storage]\npath = \"data\"\n".to_vec())];
    let source = Source { store, blobs, files: Vec::new(), documents, with_secrets: false, program: "test" };
    backup::write(&source, out, &mut |_| {})
}

fn restored(bytes: &[u8], into: &Path) -> Result<Manifest, BackupError> {
    backup::restore(&mut &*bytes, into, "data", &mut |_| {}).map(|(_, manifest)| manifest)
}

/// What a restored folder holds adds up: the books, and the blobs that rows name.
fn audit(folder: &Path) -> Store {
    let store = Store::open(folder.join("data/store")).expect("opened");
    store.verify().expect("whole");
    assert!(store.audit().expect("read").is_clean(), "{:?}", store.audit());
    let blobs = Blobs::open(folder.join("data/blobs")).expect("opened");
    let mut after = None;
    loop {
        let ids = store.named_blobs(after, 100).expect("read");
        let Some(last) = ids.last() else { break };
        after = Some(*last);
        for id in &ids {
            assert!(blobs.verify(id).expect("whole"), "{id} is named and not there");
        }
    }
    store
}

#[test]
fn a_restored_store_is_what_was_backed_up() {
    let filled = Filled::new();
    let bytes = write(&filled);
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("new");
    let manifest = restored(&bytes, &into).expect("restored");
    assert_eq!(manifest.blobs.count, 2, "what nothing names is left out");
    let toml = fs::read_to_string(into.join("atelier.toml")).expect("read");
    assert!(toml.contains("path"));
    let store = audit(&into);
    for id in &filled.jobs {
        assert_eq!(store.job(*id).expect("read"), filled.store.job(*id).expect("read"));
    }
    assert_eq!(store.users(None, 99).expect("read"), filled.store.users(None, 99).expect("read"));
    let (there, here) = (store.balance(filled.user), filled.store.balance(filled.user));
    // The call that was recorded and not in the books is charged; what was left of its allowance has come back.
    assert_eq!(there.expect("read").available.get() + filled.spent, filled.granted);
    assert!(here.expect("read").available.get() < filled.granted);
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1, "nothing is left beside it");
    // It can be shut down and opened as any other.
    drop(store);
    Store::open(into.join("data/store")).expect("opened again");
}

#[test]
fn a_folder_that_holds_something_is_refused() {
    let bytes = write(&Filled::new());
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("mine"), b"mine").expect("written");
    let error = restored(&bytes, folder.path()).expect_err("not empty");
    assert!(matches!(error, BackupError::NotEmpty(_)), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
}

#[test]
fn every_damaged_backup_is_refused_by_name_and_leaves_nothing() {
    let bytes = write(&Filled::new());
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("new");
    let mut named = BTreeSet::new();
    let mut refuse = |damaged: &[u8], what: &str| {
        match backup::check(&mut &*damaged, &mut |_| {}) {
            // Padding, and what lies behind the end, holds nothing.
            Ok(_) => return false,
            Err(error) => {
                assert!(matches!(error, BackupError::Damaged(_) | BackupError::Newer(_)), "{what}: {error}")
            }
        }
        let error = restored(damaged, &into).expect_err(what).to_string();
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 0, "{what}: nothing half-written");
        for part in ["about.json", "files/", "rows/", "journal", "blobs/", "manifest.json"] {
            if error.contains(part) {
                named.insert(part);
            }
        }
        true
    };
    // The middle of each part's content, its head, and twenty places anywhere.
    let mut places: Vec<usize> = Vec::new();
    let mut archive = tar::Archive::new(&*bytes);
    for entry in archive.entries().expect("readable") {
        let entry = entry.expect("readable");
        let at = usize::try_from(entry.raw_file_position()).expect("small");
        places.extend([at + usize::try_from(entry.size()).expect("small") / 2, at - 512 + 3, at - 512 + 126]);
    }
    for place in &places {
        let mut damaged = bytes.clone();
        damaged[*place] ^= 4;
        assert!(refuse(&damaged, &format!("flipped at {place}")), "flipped at {place}");
    }
    for round in 0..20u64 {
        let hash = blake3::hash(&round.to_be_bytes());
        let draw = u64::from_be_bytes(*hash.as_bytes().first_chunk().expect("32 bytes"));
        let end = usize::try_from(draw % bytes.len() as u64).expect("small");
        if end < bytes.len() - 1024 {
            assert!(refuse(&bytes[..end], &format!("cut at {end}")), "cut at {end}");
        }
    }
    assert_eq!(named.len(), 6, "{named:?}");
    assert!(restored(b"", &into).expect_err("empty").to_string().contains("no backup"));
    restored(&bytes, &into).expect("the undamaged one");
}

#[test]
fn a_backup_of_a_newer_schema_is_refused_with_what_to_do() {
    let bytes = write(&Filled::new());
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let at = text.find("\"schema\": ").expect("about.json") + "\"schema\": ".len();
    let mut newer = bytes.clone();
    newer[at] = b'9';
    let error = backup::check(&mut &*newer, &mut |_| {}).expect_err("newer").to_string();
    assert!(error.contains("schema 9") && error.contains("newer"), "{error}");
}

#[test]
fn a_missing_or_damaged_blob_is_listed_and_the_rest_is_backed_up() {
    let filled = Filled::new();
    let id = filled.named[0].to_string();
    fs::remove_file(filled.folder.path().join("blobs").join(&id[..2]).join(&id[2..])).expect("removed");
    let mut bytes = Vec::new();
    let manifest = backup_of(&filled.store, &filled.blobs, &mut bytes).expect("written");
    assert_eq!((manifest.blobs.count, manifest.blobs.missing), (1, vec![id]));
    let folder = tempfile::tempdir().expect("a folder");
    restored(&bytes, &folder.path().join("new")).expect("restored");
}

#[test]
fn a_damaged_store_is_not_backed_up_as_if_it_were_whole() {
    let filled = Filled::new();
    let folder = filled.folder.path().join("store");
    drop((filled.store, filled.blobs));
    // As after a kill, and some rows lost since.
    fs::remove_file(folder.join("seal")).expect("there was one");
    let path = folder.join("db/db");
    let mut content = fs::read(&path).expect("read");
    let used = content.iter().rposition(|byte| *byte != 0).expect("written");
    content[used / 2..used].fill(0x55);
    fs::write(&path, content).expect("written");
    let Ok(store) = Store::open_as_it_is(&folder) else { return };
    let blobs = Blobs::open(filled.folder.path().join("blobs")).expect("opened");
    let error = backup_of(&store, &blobs, &mut io::sink()).expect_err("damaged");
    assert!(matches!(error, BackupError::Store(StoreError::Damaged(_))), "{error}");
}

/// Hands over slowly, as a network does.
struct Slow<'a>(&'a mut Vec<u8>);

impl Write for Slow<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        std::thread::sleep(std::time::Duration::from_micros(200));
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_backup_under_load_holds_what_was_acknowledged_before_it_began_and_adds_up() {
    let filled = Filled::new();
    let (store, blobs) = (&filled.store, &filled.blobs);
    for _ in 0..300 {
        store.create_job(&(&without_blobs(sample::job(filled.user))).into()).expect("created");
    }
    let before: Vec<JobId> =
        store.jobs_of(filled.user, None, usize::MAX).expect("read").iter().map(|j| j.id).collect();
    let stop = AtomicBool::new(false);
    let mut bytes = Vec::new();
    let written = std::thread::scope(|scope| {
        for writer in 0..3u64 {
            let stop = &stop;
            scope.spawn(move || {
                let owner = user(store);
                store.grant(&grant(owner, 1_000_000_000)).expect("made");
                for round in 0u64.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let (job, hold) = job_for(owner, KeyId::new(), 60, 10);
                    let mut job = without_blobs(job);
                    job.request.prompt = Some("p".repeat(usize::try_from(round % 7 * 1_500).expect("small")));
                    submit(store, &job, &hold).expect("submitted");
                    let content = format!("{writer} {round}").repeat(50);
                    let file = blob(blobs, content.as_bytes());
                    let named = atelier_domain::file::StoredFile {
                        blob: file,
                        size: content.len() as u64,
                        ..sample::file(owner)
                    };
                    store.create_file(&named, &PLENTY).expect("created");
                    end(store, &job, if round % 3 == 0 { JobState::Failed } else { JobState::Succeeded }, 2);
                    if round % 5 == 0 {
                        assert!(store.remove_file(owner, named.id, NOW).expect("removed"));
                    }
                    let taken = wanted(owner, KeyId::new(), 1, 100);
                    store.take_allowance(&taken).expect("taken");
                    store.record(&used(&taken, 1)).expect("recorded");
                    if round % 4 == 0 {
                        store.fold().expect("entered");
                    }
                }
            });
        }
        let written = backup_of(store, blobs, &mut Slow(&mut bytes));
        stop.store(true, Ordering::Relaxed);
        written
    });
    let manifest = written.expect("written");
    assert!(manifest.rows > before.len() as u64);
    let folder = tempfile::tempdir().expect("a folder");
    let into = folder.path().join("new");
    restored(&bytes, &into).expect("restored");
    let restored = audit(&into);
    for id in before {
        assert!(restored.job(id).expect("read").is_some(), "{id} was acknowledged before the backup began");
    }
    store.verify().expect("and the one in use is whole");
}

#[test]
fn what_a_killed_restore_left_is_replaced_by_the_next() {
    let bytes = write(&Filled::new());
    let folder = tempfile::tempdir().expect("a folder");
    let left = folder.path().join(".new.restoring/data/store/db");
    fs::create_dir_all(&left).expect("as a killed one leaves it");
    fs::write(left.join("db"), b"half of it").expect("written");
    fs::write(folder.path().join(".new.restoring.lock"), b"").expect("written");
    let into = folder.path().join("new");
    restored(&bytes, &into).expect("restored");
    audit(&into);
    assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
}

#[test]
fn a_backup_that_was_not_written_to_its_end_is_none() {
    let filled = Filled::new();
    struct Ends(usize);
    impl Write for Ends {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = backup_of(&filled.store, &filled.blobs, &mut Ends(10_000)).expect_err("no room");
    assert!(matches!(error, BackupError::Io { .. }), "{error}");
    // The store goes on, and so does the collector.
    filled.store.verify().expect("whole");
    let gone =
        filled
            .blobs
            .remove_unused(&filled.unnamed, atelier_domain::time::Timestamp(u64::MAX / 2), &|| Ok(false));
    assert!(gone.expect("removed"), "nothing keeps blobs any more");
}
