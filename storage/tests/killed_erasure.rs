//! A process is killed while it removes what a deleted user stored. The test starts itself again as that process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use atelier_domain::deletion::Advance;
use atelier_domain::id::UserId;
use atelier_domain::job::JobState;
use atelier_domain::store::{DeletionStore as _, FileStore as _, JobStore as _, LedgerStore};
use atelier_domain::time::Timestamp;
use atelier_storage::Store;
use atelier_storage::contract::deletions::erase;
use atelier_storage::contract::deletions::world::World;
use atelier_storage::contract::ledger::steps::end;
use atelier_storage::contract::sample::{self, keeper};

const FOLDER: &str = "ATELIER_STORAGE_TEST_FOLDER";
const STEPS_BEFORE_KILL: usize = 4;
/// More than there are steps.
const ROUNDS_MAX: usize = 100;
const NOW: Timestamp = Timestamp(77);

#[test]
fn an_erasure_goes_on_after_each_kill_until_all_is_gone() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        erase_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (user, other) = fill(folder.path());
    let mut kills = 0;
    loop {
        assert!(kills < ROUNDS_MAX, "it begins anew each time");
        let name = "an_erasure_goes_on_after_each_kill_until_all_is_gone";
        let mut child = Command::new(std::env::current_exe().expect("the test's path"))
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let steps = lines.map(|line| line.expect("text")).filter(|line| line.ends_with("step"));
        if steps.take(STEPS_BEFORE_KILL).count() < STEPS_BEFORE_KILL {
            assert!(child.wait().expect("waited").success(), "it ended by itself");
            break;
        }
        child.kill().expect("killed");
        child.wait().expect("waited");
        kills += 1;
    }
    assert!(kills > 3, "it was killed {kills} times alone");
    let store = Store::open(folder.path()).expect("opened");
    store.unseal(&keeper()).expect("unsealed");
    store.verify().expect("whole");
    assert_eq!(store.deletion(user).expect("read").and_then(|deletion| deletion.finished), Some(NOW));
    assert!(store.jobs_of(user, None, 9).expect("read").is_empty());
    assert_eq!(store.jobs_of(other, None, 9).expect("read").len(), 3);
    assert_eq!(store.file_use_of(user).expect("read"), atelier_domain::file::FileUse::default());
    let audit = LedgerStore::audit(&store).expect("read");
    assert!(audit.is_clean(), "{audit:?}");
}

/// A store in which somebody was deleted, and somebody else not.
fn fill(folder: &Path) -> (UserId, UserId) {
    let store = Store::open(folder).expect("opened");
    store.unseal(&keeper()).expect("unsealed");
    let (made, other) = (World::fill(&store, "quokka"), World::fill(&store, "wombat"));
    let user = made.user.id;
    for _ in 0..40 {
        let file = sample::file(user);
        let quota = atelier_domain::file::FileQuota { bytes: u64::MAX, files: 99 };
        store.create_file(&file, &quota).expect("created");
    }
    store.delete_user(user, NOW).expect("deleted").expect("there");
    end(&store, &made.open, JobState::Canceled, 0);
    (user, other.user.id)
}

/// Goes on with what is open, and tells of each step after it was made.
fn erase_until_killed(folder: &Path) -> ! {
    let store = Store::open(folder).expect("opened");
    store.unseal(&keeper()).expect("unsealed");
    for deletion in store.open_deletions(9).expect("read") {
        while store.erase_some(deletion.user, NOW, 2).expect("erased").advance == Advance::More {
            let mut out = std::io::stdout();
            writeln!(out, "step").and_then(|()| out.flush()).expect("the parent reads");
        }
        assert_eq!(erase(&store, deletion.user, 2), Advance::Finished);
    }
    drop(store);
    std::process::exit(0)
}
