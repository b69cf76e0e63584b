//! Measures the store on this machine: `cargo run -p atelier-storage --example throughput [JOBS]`.
//!
//! Prints durable writes of jobs with their holds per second from one and from eight threads, recorded live calls per second and the
//! time to enter them into the books, the time to open the store again after a clean
//! shutdown and without one, and (on Linux) the resident memory.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use atelier_domain::id::KeyId;
use atelier_domain::store::{LedgerStore as _, StoreError};
use atelier_storage::Store;
use atelier_storage::contract::ledger::steps::{grant, job_for, submit, used, user, wanted};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    if let Some(folder) = std::env::args().nth(2) {
        let store = open(Path::new(&folder), "in a fresh process")?;
        println!("idle, filled: {}", resident());
        drop(store);
        return Ok(());
    }
    let jobs: usize = std::env::args().nth(1).map_or(Ok(10_000), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    println!("before opening: {}", resident());
    let store = open(folder.path(), "new")?;
    println!("idle, empty: {}", resident());
    for threads in [1, 8] {
        let started = Instant::now();
        let each = jobs / 2 / threads;
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..threads).map(|_| scope.spawn(|| write(&store, each))).collect();
            writers.into_iter().try_for_each(|writer| writer.join().expect("a writer panicked"))
        })?;
        let rate = (each * threads) as f64 / started.elapsed().as_secs_f64();
        println!("{rate:.0} durable jobs a second from {threads} thread(s)");
    }
    println!("after writing: {}", resident());
    record(&store, jobs)?;
    let started = Instant::now();
    drop(store);
    println!("shut down in {:?}", started.elapsed());
    drop(open(folder.path(), "after a clean shutdown")?);
    std::fs::remove_file(folder.path().join("seal"))?;
    let store = open(folder.path(), "as after a kill")?;
    let bytes = std::fs::metadata(folder.path().join("db/db"))?.len();
    println!("database of {} MiB; {}", bytes >> 20, resident());
    drop(store);
    // Memory that this process has freed may not have gone back to the system: a fresh one shows what a start takes.
    for seal in ["kept", "broken"] {
        if seal == "broken" {
            std::fs::remove_file(folder.path().join("seal"))?;
        }
        Command::new(std::env::current_exe()?).arg("0").arg(folder.path()).status()?;
    }
    Ok(())
}

fn open(folder: &Path, how: &str) -> Result<Store, StoreError> {
    let started = Instant::now();
    let store = Store::open(folder)?;
    println!("opened, {how}, in {:?}: {:?}", started.elapsed(), store.opening());
    Ok(store)
}

fn write(store: &Store, count: usize) -> Result<(), StoreError> {
    let owner = user(store);
    store.grant(&grant(owner, 1_000_000_000))?;
    let key = KeyId::new();
    (0..count).try_for_each(|_| {
        let (job, hold) = job_for(owner, key, 60, 10);
        submit(store, &job, &hold)
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
