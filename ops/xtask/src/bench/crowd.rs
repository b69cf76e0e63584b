//! `cargo xtask bench crowd`: what ordinary chat is like beside idle feeds and a hostile plugin.

mod attack;
mod feeds;
mod load;

use std::{path::Path, time::Duration};

use anyhow::{Result, ensure};

use self::{attack::Attack, feeds::Feeds, load::Load};
use super::{
    atelier::Atelier,
    report::{Budgets, percentile},
    servers,
};
use crate::{
    cache::Cache,
    demo::config::{Instance, Secret},
    plugins,
    progress::say,
    workspace::Workspace,
};

const CHAT: &str = "mock/mock-chat";
/// Chat while all is quiet may take so much less, at the slowest hundredth.
const RATIO_MAX: f64 = 2.0;
/// As many as the host has threads on two cores, and once more.
const ATTACKERS: usize = 4;
/// Feeds, attackers and chat come from one address.
const CONNECTIONS: i64 = 10_000;
/// Before each measurement: connections are made, and what is new is compiled and loaded.
const WARM_UP: Duration = Duration::from_secs(3);

/// The slowest hundredth of ordinary chat beside 1,000 idle feeds and a hostile plugin, against the same when all is quiet.
///
/// Chat is offered at a fixed rate, each request at its moment whatever became of those before, and is timed from that moment. The
/// feeds are open connections of server-sent events, each user's as many as they may have. The plugin computes without end and calls
/// the host without end, for as many callers as the host has threads and once more; its limits and breaker are the default ones.
/// Quiet and crowded are measured in turn, several times; a ratio is of the medians.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Chats a second
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Seconds of one measurement
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// How often both are measured
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=20))]
    passes: u32,
    /// Open feeds
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=4_096))]
    feeds: u32,
}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, binaries: &Path, options: &Options) -> Result<Budgets> {
    let names = ["openai".to_owned(), "hostile".to_owned()];
    plugins::build(workspace, cache, &plugins::Options { only: names.clone().into(), ..Default::default() })?;
    let scratch = servers::scratch(workspace.target(), "crowd")?;
    let (_mock, upstream) = servers::mock(binaries, &scratch, "mock", &["--mode", "instant"])?;
    let instances = [("mock", "openai"), (attack::INSTANCE, "dev/hostile")].map(|(name, plugin)| Instance {
        name,
        plugin,
        address: upstream,
        path: "/v1",
        secret: ("api-key", Secret::Value("sk-bench")),
        webhook_secret: None,
    });
    let files = names.iter().map(|name| plugins::file(workspace, name)).collect::<Result<Vec<_>>>()?;
    let others = vec![("server", "connections_per_address", CONNECTIONS.into())];
    let atelier = Atelier::new(cache, binaries, &scratch, instances.into(), &files, others)?;
    let load = Load { rate: options.rate, seconds: options.seconds };
    let (mut quiet, mut crowded) = (Vec::new(), Vec::new());
    println!("{:<10} {:>10} {:>10} {:>10}  chats", "", "p50", "p99", "worst");
    for pass in 1..=options.passes {
        say(format_args!("bench: pass {pass} of {}", options.passes));
        // Anew each time: the plugin's breaker is closed then.
        let host = atelier.start()?;
        let subject = atelier.subject(CHAT, host.process());
        servers::until_answered(&subject, servers::POLL)?;
        load::warm_up(&subject, options.rate, WARM_UP)?;
        quiet.push(told("quiet", load.offer(&subject)?));
        let feeds = Feeds::open(&subject, options.feeds as usize)?;
        let attack = Attack::begin(&subject, ATTACKERS);
        load::warm_up(&subject, options.rate, WARM_UP)?;
        crowded.push(told("crowded", load.offer(&subject)?));
        let attacks = attack.end();
        let open = feeds.close();
        println!("{:<10} {open} of {} feeds were still open; {attacks}", "", options.feeds);
        ensure!(
            open == options.feeds as usize,
            "feeds were closed: the host's log is in {}",
            scratch.display()
        );
        host.stop()?;
        ensure!(attacks.ended > 0 && attacks.lost == 0, "the hostile plugin was not called: {attacks:?}");
    }
    let ratio = super::report::median(crowded) / super::report::median(quiet);
    let mut budgets = Budgets::default();
    budgets.at_most("p99 of chat in the crowd, against quiet", ratio, RATIO_MAX, "×");
    Ok(budgets)
}

/// Prints what a load's chats took, in microseconds; returns the slowest hundredth.
fn told(what: &str, sorted: Vec<f64>) -> f64 {
    let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| percentile(&sorted, share));
    println!("{what:<10} {p50:>7.0} µs {p99:>7.0} µs {worst:>7.0} µs  {}", sorted.len());
    p99
}
