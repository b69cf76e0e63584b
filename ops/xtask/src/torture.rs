//! `cargo xtask torture`: a host under load that is killed again and again, and what must still be true afterwards.

mod account;
mod book;
mod client;
mod crowd;
mod evidence;
mod feeds;
mod invariants;
mod load;
mod prices;
mod random;
mod receiver;
mod settings;
mod setup;
mod verdict;
mod wanted;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, ensure};

use crate::{
    cache::Cache,
    host::{self, Host},
    plugins,
    progress::say,
    workspace::Workspace,
};
use crowd::Crowd;
use invariants::Seen;
use load::Load;
use random::Random;
use receiver::Receiver;
use setup::Site;

/// How long the host lives between two kills, once it is ready.
const LIFE_MS: (u64, u64) = (200, 1_500);
/// How long everything may take to come to its end after the last kill.
const SETTLE_MAX: Duration = Duration::from_secs(180);
const KILLS_MAX: u32 = 10_000;
/// Those of the short run, which is a part of `cargo xtask test`, and its seed.
const SHORT: (u32, u64) = (10, 20_261_122);

/// Kill a busy host at random moments, restart it, and check that nothing was lost, doubled or made up.
///
/// The host is the development build, with the mock upstream behind it as three providers: one that calls back, one that is polled,
/// and one that takes an idempotency key; some of their answers are 429, 500, slow, cut or none. Everything is paid for from
/// credits. Clients stream, submit jobs, cancel, leave, and repeat requests under the same idempotency keys until they have an
/// answer; readers follow the events; webhooks go to this process, which refuses some. Only processes that this command started are
/// ended.
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
    torture(workspace, cache, &binaries, options.kills, seed)?;
    Ok(ExitCode::SUCCESS)
}

/// The short run, with binaries and plugins that are built already.
pub fn short(workspace: &Workspace, cache: &Cache) -> Result<()> {
    let binaries = host::build_with_tests(workspace)?;
    torture(workspace, cache, &binaries, SHORT.0, SHORT.1)
}

fn torture(workspace: &Workspace, cache: &Cache, binaries: &Path, kills: u32, seed: u64) -> Result<()> {
    let began = Instant::now();
    let interrupted = host::interruption()?;
    let receiver = Receiver::start(seed)?;
    let site = Site::new(workspace, cache, binaries, seed, receiver.address())?;
    say(format_args!("torture: {kills} kills with --seed {seed}; logs are in {}", site.scratch().display()));
    let host = site.start(0, &interrupted)?;
    let users = site.users(&receiver)?;
    let mut crowd = Crowd::start(&site, &users, seed);
    let (host, killed) = kill(&site, host, kills, seed, &crowd, &interrupted)?;
    site.calm()?;
    // Whatever waits for credits gets them.
    users.iter().try_for_each(|user| site.grant(user))?;
    let deadline = Instant::now() + SETTLE_MAX;
    let book = crowd.book();
    crowd.rest()?;
    Load::new(site.client(), users.clone(), Arc::clone(&book), Random::new(seed)).settle(deadline)?;
    let mut seen = Seen::collect(&site, &users, &book, &receiver, deadline)?;
    (seen.readings, seen.job_readings) = crowd.leave(seen.newest())?;
    seen.killed = killed;
    host.stop()?;
    seen.audit = site.audit()?;
    say(format_args!("torture: {kills} kills in {:.1} s", began.elapsed().as_secs_f64()));
    seen.check()
        .with_context(|| format!("repeat it with `cargo xtask torture --kills {kills} --seed {seed}`"))
}

/// Kill the host at random moments and start it again; gives the last one, and when the others died.
fn kill(
    site: &Site,
    host: Host,
    kills: u32,
    seed: u64,
    crowd: &Crowd,
    interrupted: &AtomicBool,
) -> Result<(Host, Vec<u64>)> {
    let (mut host, mut random) = (host, Random::new(seed));
    let (mut killed, mut down) = (Vec::new(), Duration::ZERO);
    for kill in 1..=kills {
        thread::sleep(Duration::from_millis(random.between(LIFE_MS.0, LIFE_MS.1)));
        ensure!(!interrupted.load(Ordering::Relaxed), "interrupted");
        killed.push(unix_ms()?);
        host.kill()?;
        let since = Instant::now();
        host =
            site.start(kill, interrupted).with_context(|| format!("after kill {kill} of --seed {seed}"))?;
        down += since.elapsed();
        if kill.is_multiple_of(10) {
            say(format_args!("torture: {kill} kills, {} requests so far", crowd.book().count()));
        }
    }
    say(format_args!("torture: {:.2} s from a kill to ready", down.as_secs_f64() / f64::from(kills)));
    Ok((host, killed))
}

fn unix_ms() -> Result<u64> {
    Ok(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() as u64)
}
