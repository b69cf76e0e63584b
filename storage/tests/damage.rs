//! Files that were changed from outside: the store says so, or still has every row. It never panics.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use atelier_domain::id::UserId;
use atelier_domain::job::Job;
use atelier_domain::store::{AccountStore as _, JobStore as _, StoreError};
use atelier_storage::Store;
use atelier_storage::contract::sample;

const CHILD_FOLDER: &str = "ATELIER_STORAGE_TEST_FOLDER";
const JOBS: usize = 300;
const OWNER: [u8; 16] = [3; 16];

fn fill(store: &Store) {
    store.create_user(&sample::user("alice")).expect("created");
    for number in 0..JOBS {
        let mut job = sample::job(UserId::from_bytes(OWNER));
        if number % 10 == 0 {
            job.request.prompt = Some("p".repeat(20_000));
        }
        store.create_job(&(&job).into()).expect("created");
        if number % 3 == 0 {
            let change = |job: &mut Job| {
                job.attempt += 1;
                true
            };
            store.change_job(job.id, &change).expect("changed");
        }
    }
}

fn rows(store: &Store) -> Result<Vec<Job>, StoreError> {
    let jobs = store.jobs_of(UserId::from_bytes(OWNER), None, usize::MAX)?;
    let (open, users) = (store.open_jobs(usize::MAX)?.len(), store.users(None, usize::MAX)?.len());
    assert_eq!((open, users), (jobs.len(), 1));
    Ok(jobs)
}

#[test]
fn damage_after_a_clean_shutdown_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(&Store::open(folder.path()).expect("opened"));
    let (refused, changed) = damage_and_open(folder.path(), 40);
    assert!(changed > 20, "{changed} rounds changed the database itself");
    assert!(refused >= changed, "every change of a sealed file shows: {refused} of {changed}");
}

#[test]
fn damage_after_a_kill_is_noticed_or_harmless() {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        let store = Store::open(Path::new(&folder)).expect("opened");
        fill(&store);
        // As if killed: no shutdown, and nothing of this process is left.
        std::process::abort();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let status = Command::new(std::env::current_exe().expect("the test's path"))
        .args(["--exact", "damage_after_a_kill_is_noticed_or_harmless", "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("run");
    assert!(!status.success());
    assert!(!folder.path().join("seal").exists());
    let (refused, _) = damage_and_open(folder.path(), 40);
    assert!(refused > 0, "some of these changes must matter");
}

/// Changes a copy of the store in one place and opens it, again and again. Counts, of the rounds that changed a file
/// of the database, the refusals and all.
fn damage_and_open(original: &Path, rounds: u64) -> (usize, usize) {
    let expected = {
        let copy = copy(original);
        rows(&Store::open(copy.path()).expect("the undamaged copy opens")).expect("read")
    };
    assert_eq!(expected.len(), JOBS);
    let (mut refused, mut changed) = (0, 0);
    for round in 0..rounds {
        let copy = copy(original);
        let (what, in_database) = damage(copy.path(), round);
        changed += usize::from(in_database);
        match Store::open(copy.path()).and_then(|store| rows(&store)) {
            Ok(found) => assert!(found == expected, "{what}: {} rows of {JOBS}, or others", found.len()),
            Err(error) => {
                assert!(
                    matches!(error, StoreError::Damaged(_) | StoreError::Unavailable(_)),
                    "{what}: {error}"
                );
                refused += usize::from(in_database);
            }
        }
    }
    (refused, changed)
}

/// Flips a bit, zeroes a page or cuts the end off, at a place drawn from the round. Says what it did, and whether that
/// changed a file of the database.
fn damage(folder: &Path, round: u64) -> (String, bool) {
    let draw = |what: &str, below: u64| {
        let hash = blake3::hash(format!("{round} {what}").as_bytes());
        u64::from_be_bytes(*hash.as_bytes().first_chunk().expect("32 bytes")) % below.max(1)
    };
    // The database file four times in five, else the small files around it.
    let others: Vec<PathBuf> = files(folder).into_iter().filter(|path| !path.ends_with("db/db")).collect();
    let path = match draw("file", 5) {
        0 => others[usize::try_from(draw("other", others.len() as u64)).expect("small")].clone(),
        _ => folder.join("db/db"),
    };
    let mut bytes = fs::read(&path).expect("read");
    let before = bytes.clone();
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let at = usize::try_from(draw("place", used as u64)).expect("small");
    let kind = match draw("kind", 3) {
        _ if bytes.is_empty() => "nothing to change",
        0 => {
            bytes[at] ^= 1 << draw("bit", 8);
            "a flipped bit"
        }
        1 => {
            let end = (at + 4096).min(bytes.len());
            bytes[at..end].fill(0);
            "zeroes"
        }
        _ => {
            bytes.truncate(at);
            "a cut"
        }
    };
    fs::write(&path, &bytes).expect("written");
    let in_database = bytes != before && path.starts_with(folder.join("db"));
    (format!("round {round}: {kind} at {at} of {}", path.display()), in_database)
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("listed") {
        let path = entry.expect("listed").path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn copy(original: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for path in files(original) {
        let to = copy.path().join(path.strip_prefix(original).expect("below"));
        fs::create_dir_all(to.parent().expect("below")).expect("created");
        fs::copy(&path, to).expect("copied");
    }
    fs::create_dir_all(copy.path().join("db/blobs")).expect("created");
    copy
}
