//! Files that were changed from outside: the store says so, at once, when it reads them, or when it checks all rows; or it still has
//! every row. It never panics.

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

/// Everything that these tests put there, as far as it can be read.
#[derive(Debug, PartialEq)]
struct Rows {
    jobs: Vec<Job>,
    open: usize,
    users: usize,
}

fn rows(store: &Store) -> Result<Rows, StoreError> {
    let jobs = store.jobs_of(UserId::from_bytes(OWNER), None, usize::MAX)?;
    let (open, users) = (store.open_jobs(usize::MAX)?.len(), store.users(None, usize::MAX)?.len());
    Ok(Rows { jobs, open, users })
}

/// What became of a damaged store.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    RefusedAtOnce,
    RefusedWhenRead,
    FoundByTheCheck,
    /// It lay where nothing is.
    Harmless,
}

/// Opens a store, reads it, and has all of it checked.
fn outcome(folder: &Path, expected: &Rows, what: &str) -> Outcome {
    let is_typed = |error: &StoreError| matches!(error, StoreError::Damaged(_) | StoreError::Unavailable(_));
    let store = match Store::open(folder) {
        Ok(store) => store,
        Err(error) => {
            assert!(is_typed(&error), "{what}: {error}");
            return Outcome::RefusedAtOnce;
        }
    };
    let read = rows(&store);
    match (store.verify(), read) {
        (Ok(_), Ok(read)) => {
            assert!(
                &read == expected,
                "{what}: {} jobs of {JOBS}, or others, and nobody notices",
                read.jobs.len()
            );
            Outcome::Harmless
        }
        (Err(error), read) => {
            assert!(is_typed(&error), "{what}: {error}");
            let later = store.users(None, 1).expect_err("what is damaged is not served").to_string();
            assert!(later.contains("damaged"), "{what}: {later}");
            drop(store);
            Store::open(folder).expect_err("and refused at the next start");
            if read.is_ok() { Outcome::FoundByTheCheck } else { Outcome::RefusedWhenRead }
        }
        (Ok(_), Err(error)) => panic!("{what}: unreadable, and the check finds nothing: {error}"),
    }
}

/// Damages copies of a store, one in each round. Counts the rounds that changed the database by what became of them.
fn damage_and_open(original: &Path, rounds: u64, harm: fn(&Path, u64) -> (String, bool)) -> Vec<Outcome> {
    let expected = {
        let copy = copy(original);
        rows(&Store::open(copy.path()).expect("the undamaged copy opens")).expect("read")
    };
    assert_eq!((expected.jobs.len(), expected.open, expected.users), (JOBS, JOBS, 1));
    let mut outcomes = Vec::new();
    for round in 0..rounds {
        let copy = copy(original);
        let (what, in_database) = harm(copy.path(), round);
        let outcome = outcome(copy.path(), &expected, &what);
        println!("{what}: {outcome:?}");
        outcomes.extend(in_database.then_some(outcome));
    }
    outcomes
}

fn count(outcomes: &[Outcome], wanted: Outcome) -> usize {
    outcomes.iter().filter(|outcome| **outcome == wanted).count()
}

#[test]
fn a_file_cut_after_a_clean_shutdown_is_refused_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(&Store::open(folder.path()).expect("opened"));
    let outcomes = damage_and_open(folder.path(), 20, cut);
    assert_eq!(count(&outcomes, Outcome::RefusedAtOnce), 20, "{outcomes:?}");
}

#[test]
fn damage_after_a_clean_shutdown_is_noticed() {
    let folder = tempfile::tempdir().expect("a folder");
    fill(&Store::open(folder.path()).expect("opened"));
    let outcomes = damage_and_open(folder.path(), 40, damage);
    let harmless = count(&outcomes, Outcome::Harmless);
    assert!(
        outcomes.len() > 20 && harmless < outcomes.len(),
        "some of these changes must matter: {outcomes:?}"
    );
}

/// As if killed: no shutdown, and nothing of the process that wrote is left.
fn killed(test: &str) -> tempfile::TempDir {
    if let Some(folder) = std::env::var_os(CHILD_FOLDER) {
        let store = Store::open(Path::new(&folder)).expect("opened");
        fill(&store);
        std::process::abort();
    }
    let folder = tempfile::tempdir().expect("a folder");
    let status = Command::new(std::env::current_exe().expect("the test's path"))
        .args(["--exact", test, "--nocapture"])
        .env(CHILD_FOLDER, folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .expect("run");
    assert!(!status.success());
    assert!(!folder.path().join("seal").exists());
    folder
}

#[test]
fn a_file_cut_after_a_kill_is_always_noticed() {
    let folder = killed("a_file_cut_after_a_kill_is_always_noticed");
    let outcomes = damage_and_open(folder.path(), 20, cut);
    assert_eq!(outcomes.len(), 20);
    assert!(count(&outcomes, Outcome::RefusedAtOnce) >= 18, "{outcomes:?}");
}

#[test]
fn damage_after_a_kill_is_noticed_or_harmless() {
    let folder = killed("damage_after_a_kill_is_noticed_or_harmless");
    let outcomes = damage_and_open(folder.path(), 40, damage);
    assert!(count(&outcomes, Outcome::Harmless) < outcomes.len(), "some of these changes must matter");
}

/// Cuts the database's file at a length drawn from the round, within what is written.
fn cut(folder: &Path, round: u64) -> (String, bool) {
    let path = folder.join("db/db");
    let bytes = fs::read(&path).expect("read");
    let used = bytes.iter().rposition(|byte| *byte != 0).map_or(1, |last| last + 1);
    let at = draw(round, "length", used as u64);
    fs::write(&path, &bytes[..usize::try_from(at).expect("small")]).expect("written");
    (format!("round {round}: cut to {at} of {used} bytes"), true)
}

fn draw(round: u64, what: &str, below: u64) -> u64 {
    let hash = blake3::hash(format!("{round} {what}").as_bytes());
    u64::from_be_bytes(*hash.as_bytes().first_chunk().expect("32 bytes")) % below.max(1)
}

/// Flips a bit, zeroes a page or cuts the end off, at a place drawn from the round. Says what it did, and whether that
/// changed a file of the database.
fn damage(folder: &Path, round: u64) -> (String, bool) {
    let draw = |what: &str, below: u64| draw(round, what, below);
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
