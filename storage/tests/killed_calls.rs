//! A process is killed while it records live calls. The test starts itself again as that process.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use atelier_domain::id::{KeyId, UserId};
use atelier_domain::money::MicroCredits;
use atelier_domain::store::{AccountStore as _, LedgerStore as _};
use atelier_storage::Store;
use atelier_storage::contract::ledger::steps::{amount, grant, used, wanted};
use atelier_storage::contract::sample;

const FOLDER: &str = "ATELIER_STORAGE_TEST_CALLS_FOLDER";
const ROUNDS: u64 = 5;
const GRANTED: u64 = 1_000_000;
const OWNER: [u8; 16] = [5; 16];

#[test]
fn recorded_calls_are_charged_once_after_a_kill_and_the_rest_comes_back() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        record_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let owner = UserId::from_bytes(OWNER);
    {
        let store = Store::open(folder.path()).expect("opened");
        store
            .create_user(&atelier_domain::account::User { id: owner, ..sample::user("alice") })
            .expect("created");
        store.grant(&grant(owner, GRANTED)).expect("made");
    }
    let mut acknowledged = 0;
    for round in 1..=ROUNDS {
        let name = "recorded_calls_are_charged_once_after_a_kill_and_the_rest_comes_back";
        let mut child = Command::new(std::env::current_exe().expect("the test's path"))
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            if line.expect("text") == "recorded" {
                seen += 1;
                if seen == 100 * round {
                    child.kill().expect("killed");
                }
            }
        }
        assert!(!child.wait().expect("waited").success());
        acknowledged += seen;
        let store = Store::open(folder.path()).expect("opened");
        let balance = store.balance(owner).expect("read");
        assert_eq!((balance.allowance, balance.held), (MicroCredits::ZERO, MicroCredits::ZERO));
        let spent = GRANTED - balance.available.get();
        let records = store.usage(owner, None, usize::MAX).expect("read");
        let charged: u64 = records.iter().map(|record| record.cost.expect("priced").get()).sum();
        assert_eq!(charged, spent, "the records and the books agree");
        // Each costs three. One that was written and not acknowledged may be there, of each round.
        assert!(
            (acknowledged..=acknowledged + round).contains(&(spent / 3)),
            "round {round}: {spent} for {acknowledged}"
        );
        assert!(store.audit().expect("read").is_clean());
    }
}

/// Prints every call after it was recorded; some are folded, some allowances given back.
fn record_until_killed(folder: &Path) -> ! {
    let store = Store::open(folder).expect("opened");
    let owner = UserId::from_bytes(OWNER);
    let mut output = std::io::stdout();
    // The test harness has begun a line of its own.
    writeln!(output).expect("the parent reads");
    loop {
        let taken = wanted(owner, KeyId::from_bytes([6; 16]), 1, 300);
        assert_eq!(store.take_allowance(&taken).expect("there"), amount(300));
        for call in 0..70 {
            store.record(&used(&taken, 3)).expect("recorded");
            writeln!(output, "recorded").and_then(|()| output.flush()).expect("the parent reads");
            if call % 30 == 29 {
                store.fold().expect("folded");
            }
        }
        store.return_allowance(taken.id).expect("returned");
    }
}
