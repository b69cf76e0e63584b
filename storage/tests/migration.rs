//! Databases that older versions wrote, as they were (`tests/fixtures`), become current ones.

use std::fs;
use std::path::Path;

use atelier_domain::event::EventKind;
use atelier_domain::job::{Job, JobState};
use atelier_domain::store::{
    AccountStore as _, EventStore as _, FileStore as _, JobStore as _, LedgerStore as _, PluginStore as _,
};
use atelier_domain::time::Timestamp;
use atelier_storage::{Opening, SCHEMA_VERSION, Store};

/// A copy of a store that a version of that schema wrote and shut down. Its file is kept without the zeroes at its end.
fn written_by(schema: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/schema-{schema}"));
    copy(&fixture, folder.path());
    // An empty folder, which is kept in no repository.
    fs::create_dir_all(folder.path().join("db/blobs")).expect("created");
    folder
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("created");
    for entry in fs::read_dir(from).expect("the fixture") {
        let (path, to) = {
            let entry = entry.expect("listed");
            (entry.path(), to.join(entry.file_name()))
        };
        if path.is_dir() {
            copy(&path, &to);
        } else {
            fs::copy(&path, &to).expect("copied");
        }
    }
}

/// What both fixtures hold.
fn check(store: &Store, jobs: usize) {
    assert_eq!(store.schema_version().expect("read"), SCHEMA_VERSION);
    store.verify().expect("whole");
    let user = store.user_by_name("fixture").expect("read").expect("there");
    assert_eq!(store.keys(user.id, None, 9).expect("read").len(), 1);
    assert_eq!(store.plugins().expect("read").len(), 1);
    let found = store.jobs_of(user.id, None, 9).expect("read");
    assert_eq!(found.len(), jobs);
    assert_eq!(found.iter().filter(|job| job.state == JobState::Succeeded).count(), 1);
    assert!(found.iter().any(|job| job.request.prompt.as_ref().is_some_and(|prompt| prompt.len() == 6_000)));
    for blob in found.iter().flat_map(|job| job.blobs()) {
        assert!(store.is_blob_named(&blob).expect("read"), "migration 2 names blobs");
    }
    assert!(store.audit().expect("read").is_clean());
}

#[test]
fn a_database_of_schema_1_becomes_a_current_one() {
    let folder = written_by("1");
    let looking = Store::open_as_it_is(folder.path()).expect("opened");
    assert_ne!(looking.opening(), Opening::Clean, "a seal of the older form says nothing");
    assert_eq!(looking.schema_version().expect("read"), 1, "looking changes nothing");
    drop(looking);
    for _ in 0..2 {
        let store = Store::open(folder.path()).expect("opened");
        assert_eq!(store.opening(), Opening::Clean);
        check(&store, 3);
    }
}

#[test]
fn a_database_of_schema_2_with_one_sum_of_all_rows_is_read_and_its_books_add_up() {
    let folder = written_by("2");
    let store = Store::open(folder.path()).expect("opened");
    check(&store, 3);
    let user = store.user_by_name("fixture").expect("read").expect("there").id;
    // A grant of 1,000; a job of 20; a live call of 7 that was in the journal, and its allowance.
    let balance = store.balance(user).expect("read");
    assert_eq!((balance.available.get(), balance.allowance.get()), (1_000 - 20 - 7, 0));
}

#[test]
fn what_schema_2_kept_of_open_jobs_in_other_tables_is_kept() {
    let folder = written_by("2-open");
    for _ in 0..2 {
        let store = Store::open(folder.path()).expect("opened");
        store.verify().expect("whole");
        let user = store.users(None, 9).expect("read")[0].id;
        let jobs = store.jobs_of(user, None, 9).expect("read");
        let [waiting, going_on, failed, succeeded] = &jobs[..] else { panic!("four jobs") };
        let due = [(waiting.wake_at, waiting.id), (going_on.wake_at, going_on.id)];
        assert_eq!(store.open_jobs(9).expect("read"), due);
        assert_eq!((waiting.wake_at, going_on.wake_at), (Timestamp(500), Timestamp(7_000)));
        assert_eq!(store.open_job_count(user).expect("counted"), 2);
        let held: Vec<u64> =
            store.holds(9).expect("read").iter().map(|(_, hold)| hold.amount.get()).collect();
        assert_eq!(held, [60, 60]);
        let audit = store.audit().expect("read");
        assert!(audit.is_clean() && audit.holds == 2, "{audit:?}");
        let kinds = |job: &Job| {
            let page = store.events_of_job(user, job.id, 0).expect("read");
            (page.is_cut, page.events.iter().map(|event| event.kind).collect::<Vec<_>>())
        };
        assert_eq!(kinds(waiting), (false, vec![EventKind::Queued]));
        assert_eq!(kinds(going_on), (false, vec![EventKind::Queued, EventKind::Processing]));
        assert_eq!(kinds(failed), (false, vec![EventKind::Queued, EventKind::Failed]));
        assert_eq!(kinds(succeeded), (true, vec![]), "they were swept");
    }
    let store = Store::open(folder.path()).expect("opened");
    let user = store.users(None, 9).expect("read")[0].id;
    let (_, waiting) = store.open_jobs(1).expect("read")[0];
    let canceled = store.change_job(waiting, &|job| {
        job.state = JobState::Canceled;
        true
    });
    canceled.expect("changed");
    assert_eq!(store.balance(user).expect("read").held.get(), 60, "its hold is released, the other stays");
}
