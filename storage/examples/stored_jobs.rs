//! Measures the store with 1,000, 10,000 and 100,000 jobs in it, for `cargo xtask bench jobs`: `stored_jobs SIZE…`.
//!
//! Prints a line of JSON for each size: durable submissions a second (job, hold and claim in one flushed transaction, from as many threads
//! as the service lets write at once), durable ends a second, and how long reading takes. All times are medians, in microseconds.

use std::io::Write as _;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use atelier_domain::id::{JobId, KeyId, UserId};
use atelier_domain::idempotency::{Claim, ClaimKey, ClaimState};
use atelier_domain::job::{Job, JobState};
use atelier_domain::money::{Dimension, TotalsQuery};
use atelier_domain::store::{JobStore as _, LedgerStore as _, NewJob, StoreError};
use atelier_storage::Store;
use atelier_storage::contract::ledger::steps::{NOW, grant, job_for, user};

/// As the server allocates.
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// As many as the service lets write at once.
const SUBMITTERS: usize = 32;
const USERS: usize = 4;
const DAYS: usize = 31;
const MODELS: usize = 2;
const DAY: Duration = Duration::from_secs(86_400);
/// Jobs that go on, whatever has ended.
const OPEN: usize = 16;
/// As the engine reads at its start, and as a page of the API does.
const OPEN_MAX: usize = 65_536;
const PAGE: usize = 51;
const TOTALS_PAGE: usize = 1_001;
const REPETITIONS: usize = 101;
/// How often the store is opened after a kill, and how many jobs were stored since it was opened before.
const KILLS: usize = 5;
const WRITTEN: usize = 16;
/// The word with which this program opens a store and dies.
const DIE: &str = "die";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, folder, jobs] = &arguments[..]
        && word == DIE
    {
        let store = Store::open(Path::new(folder))?;
        let users = users(&store)?;
        let made = submit(&store, &users, 0, jobs.parse()?)?;
        each(&made, |job| end(&store, job))?;
        // As if it were killed: nothing is closed.
        std::process::abort();
    }
    let sizes = arguments.iter().map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    let folder = tempfile::tempdir()?;
    let mut store = Store::open(folder.path())?;
    let users = users(&store)?;
    submit(&store, &users, 0, OPEN)?;
    let mut stored = OPEN;
    for size in sizes {
        let more = size.saturating_sub(stored);
        let began = Instant::now();
        let made = submit(&store, &users, stored, more)?;
        let submissions = rate(more, began);
        let began = Instant::now();
        each(&made, |job| end(&store, job))?;
        let ends = rate(more, began);
        stored += more;
        let read = reading(&store, &users)?;
        drop(store);
        let opened = Instant::now();
        let again = Store::open(folder.path())?;
        let clean = opened.elapsed();
        drop(again);
        let (mut killed, mut recovery) = (Vec::new(), Vec::new());
        for _ in 0..KILLS {
            die(folder.path(), WRITTEN)?;
            let opened = Instant::now();
            let again = Store::open(folder.path())?;
            killed.push(micros(opened.elapsed()));
            recovery.push(recover(&again)?);
        }
        store = Store::open(folder.path())?;
        let line = serde_json::json!({
            "jobs": size, "submissions": submissions, "ends": ends,
            "page": read.page, "deep_page": read.deep_page, "month": read.month,
            "recovery": middle(recovery), "open_clean": micros(clean), "open_killed": middle(killed),
        });
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()?;
    }
    Ok(())
}

fn users(store: &Store) -> Outcome<Vec<(UserId, KeyId)>> {
    let users: Vec<_> = (0..USERS).map(|_| (user(store), KeyId::new())).collect();
    for (user, _) in &users {
        store.grant(&grant(*user, 1_000_000_000_000))?;
    }
    Ok(users)
}

/// Another process opens the store, stores jobs in it, ends them and dies.
fn die(folder: &Path, jobs: usize) -> Outcome<()> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(DIE).arg(folder).arg(jobs.to_string()).stderr(std::process::Stdio::null()).status()?;
    Ok(())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn rate(count: usize, since: Instant) -> f64 {
    count as f64 / since.elapsed().as_secs_f64()
}

/// Does it to all, from as many threads as there are submitters.
fn each<T: Sync, R: Send>(
    all: &[T],
    act: impl Fn(&T) -> Result<R, StoreError> + Sync,
) -> Result<Vec<R>, StoreError> {
    let share = all.len().div_ceil(SUBMITTERS).max(1);
    std::thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = all
            .chunks(share)
            .map(|share| scope.spawn(move || share.iter().map(act).collect::<Result<Vec<R>, StoreError>>()))
            .collect();
        let mut done = Vec::with_capacity(all.len());
        for thread in threads {
            done.extend(thread.join().expect("a thread panicked")?);
        }
        Ok(done)
    })
}

/// Stores new jobs, each with its hold and its claim: users, days and models take turns.
fn submit(
    store: &Store,
    users: &[(UserId, KeyId)],
    from: usize,
    count: usize,
) -> Result<Vec<Job>, StoreError> {
    let numbers: Vec<usize> = (from..from + count).collect();
    each(&numbers, |number| {
        let (user, key) = users[number % USERS];
        let turn = number / USERS;
        let (mut job, hold) = job_for(user, key, 60, 10);
        job.request.model = format!("provider/model-{}", turn / DAYS % MODELS);
        job.request.inputs.clear();
        job.created = NOW.plus(DAY * (turn % DAYS) as u32);
        job.state = JobState::Queued;
        (job.started, job.progress, job.ticket, job.error) = (None, None, None, None);
        (job.charging, job.attempt) = (false, 0);
        job.outputs.clear();
        job.usage.clear();
        let claim =
            Claim { payload: "f".repeat(64), expires: job.created.plus(DAY), state: ClaimState::Job(job.id) };
        let claim_key = ClaimKey::new(user, "POST /api/v1/generations", &format!("key-{number}"));
        store.create_job(&NewJob { job: &job, claim: Some((&claim_key, &claim)), hold: Some(&hold) })?;
        Ok(job)
    })
}

fn end(store: &Store, job: &Job) -> Result<(), StoreError> {
    let made = atelier_domain::generation::usage::UsageLine::new("images", 1);
    store
        .change_job(job.id, &|job| {
            job.state = JobState::Succeeded;
            job.finished = Some(job.created);
            job.usage = vec![made.clone()];
            true
        })
        .map(drop)
}

struct Reading {
    page: f64,
    deep_page: f64,
    month: f64,
}

fn reading(store: &Store, users: &[(UserId, KeyId)]) -> Outcome<Reading> {
    let owner = users[0].0;
    let page = median(|| store.jobs_of(owner, None, PAGE).map(|jobs| assert_eq!(jobs.len(), PAGE)))?;
    // A cursor seven tenths down the list.
    let mut ids: Vec<JobId> = Vec::new();
    loop {
        let page = store.jobs_of(owner, ids.last().copied(), 1_000)?;
        if page.is_empty() {
            break;
        }
        ids.extend(page.iter().map(|job| job.id));
    }
    let deep = ids[ids.len() * 7 / 10];
    let deep_page =
        median(|| store.jobs_of(owner, Some(deep), PAGE).map(|jobs| assert_eq!(jobs.len(), PAGE)))?;
    let first_day = NOW.day();
    let month = median(|| {
        for by in [Dimension::Day, Dimension::Model, Dimension::Provider, Dimension::Key] {
            let last_day = first_day + DAYS as u32 - 1;
            let query = TotalsQuery { user: Some(owner), by, first_day, last_day, after: None };
            let rows = store.totals(&query, TOTALS_PAGE)?.len();
            assert_eq!(rows, if by == Dimension::Model { DAYS * MODELS } else { DAYS });
        }
        Ok(())
    })?;
    Ok(Reading { page, deep_page, month })
}

/// What the engine reads at its start: the open jobs, by their index, and each of their rows.
fn recover(store: &Store) -> Result<f64, StoreError> {
    let began = Instant::now();
    let open = store.open_jobs(OPEN_MAX)?;
    for (_, id) in &open {
        store.job(*id)?;
    }
    let took = micros(began.elapsed());
    assert_eq!(open.len(), OPEN);
    Ok(took)
}

fn median(mut act: impl FnMut() -> Result<(), StoreError>) -> Result<f64, StoreError> {
    let mut times = Vec::with_capacity(REPETITIONS);
    for _ in 0..REPETITIONS {
        let began = Instant::now();
        act()?;
        times.push(micros(began.elapsed()));
    }
    Ok(middle(times))
}

fn middle(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}
