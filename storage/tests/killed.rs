//! A process is killed while it writes. The test starts itself again as that process.

use std::collections::{HashMap, HashSet};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::store::{EventStore as _, JobStore as _};
use atelier_storage::contract::sample;
use atelier_storage::{Opening, Store};

const FOLDER: &str = "ATELIER_STORAGE_TEST_FOLDER";
const ROUNDS: usize = 6;
const ACKNOWLEDGED_BEFORE_KILL: usize = 150;
const OWNER: [u8; 16] = [3; 16];

#[test]
fn acknowledged_writes_survive_a_killed_process() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        write_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mut acknowledged: HashMap<JobId, bool> = HashMap::new();
    for round in 1..=ROUNDS {
        let name = "acknowledged_writes_survive_a_killed_process";
        let mut child = Command::new(std::env::current_exe().expect("the test's path"))
            .args(["--exact", name, "--nocapture", "--test-threads=1"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("started");
        let mut seen = 0;
        for line in BufReader::new(child.stdout.take().expect("piped")).lines() {
            let line = line.expect("text");
            let Some((what, id)) =
                line.split_once(' ').filter(|(what, _)| ["created", "ended"].contains(what))
            else {
                continue;
            };
            acknowledged.insert(id.parse().expect("an id"), what == "ended");
            seen += 1;
            if seen == ACKNOWLEDGED_BEFORE_KILL + 10 * round {
                child.kill().expect("killed");
            }
        }
        assert!(!child.wait().expect("waited").success());
        assert!(seen > ACKNOWLEDGED_BEFORE_KILL, "it ended by itself after {seen} writes");
        // After the other rounds the next child recovers what this one left.
        if round.is_multiple_of(2) {
            check(folder.path(), &acknowledged, round);
        }
    }
}

fn check(folder: &Path, acknowledged: &HashMap<JobId, bool>, round: usize) {
    let store = Store::open(folder).expect("opened");
    assert!(matches!(store.opening(), Opening::Recovered { .. }), "{:?}", store.opening());
    store.verify().expect("whole");
    for (id, ended) in acknowledged {
        let job = store.job(*id).expect("read").unwrap_or_else(|| panic!("round {round}: {id} is lost"));
        assert!(!ended || job.state == JobState::Succeeded, "round {round}: the end of {id} is lost");
    }
    let owner = UserId::from_bytes(OWNER);
    let jobs = store.jobs_of(owner, None, usize::MAX).expect("read");
    let open: Vec<JobId> = jobs.iter().filter(|job| !job.state.is_final()).map(|job| job.id).collect();
    let mut indexed: Vec<JobId> =
        store.open_jobs(usize::MAX).expect("read").iter().map(|(_, id)| *id).collect();
    indexed.sort();
    indexed.reverse();
    assert_eq!(indexed, open, "the tables agree");
    assert_eq!(store.open_job_count(owner).expect("counted"), open.len());
    let events = store.events(owner, 0, usize::MAX).expect("read").events;
    assert!(events.iter().map(|event| event.sequence).eq(1..=events.len() as u64), "each number once");
    let told: HashSet<(JobId, bool)> =
        events.iter().map(|event| (event.job.id, event.kind.is_final())).collect();
    assert_eq!(told.len(), events.len(), "each event once");
    let happened: HashSet<(JobId, bool)> = jobs
        .iter()
        .flat_map(|job| [Some((job.id, false)), job.state.is_final().then_some((job.id, true))])
        .flatten()
        .collect();
    assert_eq!(told, happened, "what happened to jobs and what was told of it");
}

/// Prints every write after it was acknowledged, until the end.
fn write_until_killed(folder: &Path) -> ! {
    let store = Store::open(folder).expect("opened");
    let output = Mutex::new(std::io::stdout());
    let tell = |what: &str, id: JobId| {
        let mut output = output.lock().expect("no panic");
        writeln!(output, "{what} {id}").and_then(|()| output.flush()).expect("the parent reads");
    };
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, tell) = (&store, &tell);
            scope.spawn(move || {
                for number in 0.. {
                    let mut job: Job = sample::job(UserId::from_bytes(OWNER));
                    if (number + thread) % 7 == 0 {
                        job.request.prompt = Some("p".repeat(20_000));
                    }
                    store.create_job(&(&job).into()).expect("created");
                    tell("created", job.id);
                    if number % 2 == 0 {
                        let end = |job: &mut Job| {
                            job.state = JobState::Succeeded;
                            true
                        };
                        store.change_job(job.id, &end).expect("changed");
                        tell("ended", job.id);
                    }
                }
            });
        }
    });
    unreachable!("the writers write for ever")
}
