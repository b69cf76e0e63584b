//! Measures the store on this machine: `cargo run -p atelier-storage --example throughput [JOBS]`.
//!
//! Prints durable writes of jobs with their holds per second from one, from eight and from 64 threads, recorded live calls per second and the
//! time to enter them into the books, the time to open the store again after a clean
//! shutdown and after a kill of the process that wrote all of it, the time to check all rows, and (on Linux) the resident memory.
//! With `finished` behind the number the jobs have ended, so that what is open does not grow with what there is.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use atelier_domain::id::KeyId;
use atelier_domain::job::JobState;
use atelier_domain::store::{LedgerStore as _, StoreError};
use atelier_storage::Store;
use atelier_storage::contract::ledger::steps::{end, grant, job_for, submit, used, user, wanted};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(folder) = std::env::args().nth(3) {
        let store = open(Path::new(&folder), "in a fresh process")?;
        println!("idle, filled: {}", resident());
        drop(store);
        return Ok(());
    }
    let jobs: usize = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let ends = std::env::args().nth(2).is_some_and(|word| word == "finished");
    let folder = tempfile::tempdir()?;
    println!("before opening: {}", resident());
    let store = open(folder.path(), "new")?;
    println!("idle, empty: {}", resident());
    // One writer waits for the disk each time; many share its flushes. The most of a large store comes from many.
    let (one, eight) = ((jobs / 2).min(2_000), (jobs / 2).min(8_000));
    for (threads, count) in [(1, one), (8, eight), (64, jobs - one - eight)] {
        if count == 0 {
            continue;
        }
        let started = Instant::now();
        let each = count.div_ceil(threads);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..threads).map(|_| scope.spawn(|| write(&store, each, ends))).collect();
            writers.into_iter().try_for_each(|writer| writer.join().expect("a writer panicked"))
        })?;
        let rate = (each * threads) as f64 / started.elapsed().as_secs_f64();
        println!("{rate:.0} durable jobs a second from {threads} thread(s)");
    }
    println!("after writing: {}", resident());
    record(&store, jobs.min(10_000))?;
    // As a kill leaves it: what was written since the start was never written down by the engine.
    let killed = tempfile::tempdir()?;
    copy(folder.path(), killed.path())?;
    let started = Instant::now();
    drop(store);
    println!("shut down in {:?}", started.elapsed());
    drop(open(folder.path(), "after a clean shutdown")?);
    drop(open(killed.path(), "after a kill")?);
    let store = open(folder.path(), "once more")?;
    let started = Instant::now();
    println!("all {} rows checked in {:?}", store.verify()?, started.elapsed());
    let bytes = std::fs::metadata(folder.path().join("db/db"))?.len();
    println!("database of {} MiB; {}", bytes >> 20, resident());
    drop(store);
    // Memory that this process has freed may not have gone back to the system: a fresh one shows what a start takes.
    Command::new(std::env::current_exe()?).args(["0", "open"]).arg(folder.path()).status()?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn open(folder: &Path, how: &str) -> Result<Store, StoreError> {
    let started = Instant::now();
    let store = Store::open(folder)?;
    println!("opened, {how}, in {:?}: {:?}", started.elapsed(), store.opening());
    Ok(store)
}

fn write(store: &Store, count: usize, ends: bool) -> Result<(), StoreError> {
    let owner = user(store);
    store.grant(&grant(owner, 1_000_000_000))?;
    let key = KeyId::new();
    (0..count).try_for_each(|_| {
        let (job, hold) = job_for(owner, key, 60, 10);
        submit(store, &job, &hold)?;
        if ends {
            end(store, &job, JobState::Succeeded, 2);
        }
        Ok(())
    })
}

fn record(store: &Store, count: usize) -> Result<(), StoreError> {
    let owner = user(store);
    store.grant(&grant(owner, 1_000_000_000))?;
    let taken = wanted(owner, KeyId::new(), 1, 1_000_000);
    store.take_allowance(&taken)?;
    let started = Instant::now();
    (0..count).try_for_each(|_| store.record(&used(&taken, 1)))?;
    println!("{:.1} µs to record a live call", started.elapsed().as_secs_f64() * 1e6 / count as f64);
    let started = Instant::now();
    store.fold()?;
    println!("{:.1} µs to enter one into the books", started.elapsed().as_secs_f64() * 1e6 / count as f64);
    Ok(())
}

/// Resident memory as Linux tells it.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.map_or_else(
        || "resident memory unknown".to_owned(),
        |line| line.split_whitespace().collect::<Vec<_>>().join(" "),
    )
}
