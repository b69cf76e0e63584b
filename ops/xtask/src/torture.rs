//! `cargo xtask torture`: a host under load that is killed again and again, and what must still be true afterwards.

mod book;
mod client;
mod evidence;
mod invariants;
mod load;
mod random;
mod setup;

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};

use crate::{cache::Cache, host, plugins, progress::say, workspace::Workspace};
use book::Book;
use load::Load;
use random::Random;
use setup::Site;

/// How long the host lives between two kills, once it is ready.
const LIFE_MS: (u64, u64) = (200, 1_500);
/// Threads that send requests.
const SENDERS: u64 = 4;
/// How long everything may take to come to its end after the last kill.
const SETTLE_MAX: Duration = Duration::from_secs(180);
const KILLS_MAX: u32 = 10_000;
/// Those of the short run, which is a part of `cargo xtask test`, and its seed.
const SHORT: (u32, u64) = (10, 20_261_122);

/// Kill a busy host at random moments, restart it, and check that nothing was lost, doubled or made up.
///
/// The host is the development build, with the mock upstream behind it as three providers: one that calls back, one that is polled,
/// and one that takes an idempotency key. Clients stream, submit jobs, cancel, and repeat requests under the same idempotency
/// keys until they have an answer. Only processes that this command started are ended.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How often to kill the host
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=i64::from(KILLS_MAX)))]
    kills: u32,
    /// Repeat a run's choices [default: a new one, which is printed]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Use the binaries of this folder instead of building them
    #[arg(long, value_name = "DIR")]
    binaries: Option<PathBuf>,
}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<ExitCode> {
    let binaries = match &options.binaries {
        Some(dir) => dir.clone(),
        None => {
            let only = setup::PLUGINS.map(str::to_owned).into();
            plugins::build(workspace, cache, &plugins::Options { only, ..plugins::Options::default() })?;
            host::build_with_tests(workspace)?
        }
    };
    let seed = match options.seed {
        Some(seed) => seed,
        None => SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64,
    };
    torture(&Site::new(workspace, cache, &binaries)?, options.kills, seed)?;
    Ok(ExitCode::SUCCESS)
}

/// The short run, with binaries and plugins that are built already.
pub fn short(workspace: &Workspace, cache: &Cache) -> Result<()> {
    let binaries = host::build_with_tests(workspace)?;
    torture(&Site::new(workspace, cache, &binaries)?, SHORT.0, SHORT.1)
}

fn torture(site: &Site, kills: u32, seed: u64) -> Result<()> {
    say(format_args!("torture: {kills} kills with --seed {seed}; logs are in {}", site.scratch().display()));
    let began = Instant::now();
    let interrupted = host::interruption()?;
    let mut host = site.start(0, &interrupted)?;
    let users = site.users()?;
    let book = Arc::new(Book::default());
    let stop = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..SENDERS)
        .map(|number| {
            let random = Random::new(seed.wrapping_add(number).wrapping_add(1));
            let load = Load::new(site.address(), users.clone(), Arc::clone(&book), random);
            let stop = Arc::clone(&stop);
            thread::spawn(move || load.run(&stop))
        })
        .collect();
    let mut random = Random::new(seed);
    let mut killed = Vec::new();
    let mut down = Duration::ZERO;
    for kill in 1..=kills {
        thread::sleep(Duration::from_millis(random.between(LIFE_MS.0, LIFE_MS.1)));
        ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
        killed.push(unix_ms()?);
        host.kill()?;
        let since = Instant::now();
        host =
            site.start(kill, &interrupted).with_context(|| format!("after kill {kill} of --seed {seed}"))?;
        down += since.elapsed();
        if kill.is_multiple_of(10) {
            say(format_args!("torture: {kill} kills, {} requests so far", book.count()));
        }
    }
    stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().map_err(|_| anyhow::anyhow!("a sender panicked"))?;
    }
    let deadline = Instant::now() + SETTLE_MAX;
    let settle = Load::new(site.address(), users.clone(), Arc::clone(&book), Random::new(seed));
    settle.settle(deadline)?;
    let seen = invariants::Seen::collect(site, &users, deadline, killed)?;
    say(format_args!(
        "torture: {kills} kills in {:.1} s; {:.2} s from a kill to ready",
        began.elapsed().as_secs_f64(),
        down.as_secs_f64() / f64::from(kills),
    ));
    let verdict = seen.check(&book);
    verdict.with_context(|| format!("repeat it with `cargo xtask torture --kills {kills} --seed {seed}`"))?;
    host.stop()
}

fn unix_ms() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64)
}
