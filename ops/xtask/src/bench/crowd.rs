//! `cargo xtask bench crowd`: what ordinary chat is like beside idle feeds and a hostile plugin, and in storms.

mod attack;
mod feeds;
mod load;
mod storm;

use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::{Result, ensure};

use self::{attack::Attack, feeds::Feeds, load::Load};
use super::{
    atelier::Atelier,
    report::{Budgets, median, percentile},
    servers,
    subject::Subject,
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
/// Feeds, attackers, storms and chat come from one address.
const CONNECTIONS: i64 = 10_000;
/// Before each measurement: connections are made, and what is new is compiled and loaded.
const WARM_UP: Duration = Duration::from_secs(3);
/// Callbacks of one storm.
const CALLBACKS: u32 = 10_000;

/// What chat is beside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Beside {
    /// Open feeds, and callers of a hostile plugin
    Crowd,
    /// Status polls of jobs that go on
    Polls,
    /// 10,000 callbacks about them, spread over the measurement
    Callbacks,
}

impl Beside {
    fn promise(self) -> &'static str {
        match self {
            Self::Crowd => "p99 of chat in the crowd, against quiet",
            Self::Polls => "p99 of chat in a storm of polls, against quiet",
            Self::Callbacks => "p99 of chat in a storm of callbacks, against quiet",
        }
    }
}

/// The slowest hundredth of ordinary chat beside a crowd or in a storm, against the same when all is quiet.
///
/// Chat is offered at a fixed rate, each request at its moment whatever became of those before, and is timed from that moment. The
/// crowd: 1,000 open connections of server-sent events, each user's as many as they may have, and a plugin that computes without end and
/// calls the host without end, for as many callers as the host has threads and once more; its limits and breaker are the default ones.
/// Storms: status polls at a fixed rate, or callbacks that their provider signed, each with something new to say. Quiet and crowded are
/// measured in turn, several times; a ratio is of the medians.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// What chat is beside, one after the other
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["crowd", "polls", "callbacks"])]
    beside: Vec<Beside>,
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
    /// Status polls a second
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    polls: u32,
}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, binaries: &Path, options: &Options) -> Result<Budgets> {
    let names = ["openai", "hostile", "replicate"].map(str::to_owned);
    plugins::build(workspace, cache, &plugins::Options { only: names.clone().into(), ..Default::default() })?;
    let scratch = servers::scratch(workspace.target(), "crowd")?;
    let (_mock, upstream) = servers::mock(binaries, &scratch, "mock", &["--mode", "instant"])?;
    let files = names.iter().map(|name| plugins::file(workspace, name)).collect::<Result<Vec<_>>>()?;
    let mut budgets = Budgets::default();
    println!("{:<10} {:>10} {:>10} {:>10}  chats", "", "p50", "p99", "worst");
    for beside in &options.beside {
        let name = format!("{beside:?}").to_lowercase();
        let (mut quiet, mut crowded) = (Vec::new(), Vec::new());
        for pass in 1..=options.passes {
            say(format_args!("bench: {name}, pass {pass} of {}", options.passes));
            // All anew each time: breakers are closed then, and the provider has no jobs.
            let scratch = scratch.join(format!("{name}-{pass}"));
            std::fs::create_dir_all(&scratch)?;
            let (_calling, calling) = servers::mock(binaries, &scratch, "calling", &storm::ENDLESS)?;
            let others = vec![
                ("server", "connections_per_address", CONNECTIONS.into()),
                // Its path alone is used.
                ("server", "public_url", "http://127.0.0.1:8484".into()),
            ];
            let atelier =
                Atelier::new(cache, binaries, &scratch, instances(upstream, calling), &files, others)?;
            let host = atelier.start()?;
            let subject = atelier.subject(CHAT, host.process());
            servers::until_answered(&subject, servers::POLL)?;
            load::warm_up(&subject, options.rate, WARM_UP)?;
            let load = Load { rate: options.rate, seconds: options.seconds };
            quiet.push(told("quiet", &load.chats(&subject)?));
            crowded.push(match beside {
                Beside::Crowd => crowd(&subject, options)?,
                Beside::Polls => {
                    let jobs = storm::Jobs::begin(&subject, calling)?;
                    let polls = jobs.polls(Load { rate: options.polls, ..load });
                    let chats = load.chats(&subject)?;
                    told("  polls", &polls.end()?.0);
                    told(&name, &chats)
                }
                Beside::Callbacks => {
                    let jobs = storm::Jobs::begin(&subject, calling)?;
                    let callbacks = jobs.callbacks(Load { rate: CALLBACKS.div_ceil(load.seconds), ..load });
                    let chats = load.chats(&subject)?;
                    let (times, refused) = callbacks.end()?;
                    told("  callbacks", &times);
                    println!("{:<10} {refused} of them are to be sent again", "");
                    told(&name, &chats)
                }
            });
            host.stop()?;
        }
        let ratio = median(crowded) / median(quiet);
        budgets.at_most(beside.promise(), ratio, RATIO_MAX, "×");
    }
    Ok(budgets)
}

fn instances(upstream: SocketAddr, calling: SocketAddr) -> Vec<Instance> {
    let instance = |name, plugin, address, path, secret, webhook_secret| Instance {
        name,
        plugin,
        address,
        path,
        secret: (secret, Secret::Value("sk-bench")),
        webhook_secret,
    };
    vec![
        instance("mock", "openai", upstream, "/v1", "api-key", None),
        instance(attack::INSTANCE, "dev/hostile", upstream, "/v1", "api-key", None),
        instance(storm::INSTANCE, "replicate", calling, "/replicate/v1", "api-token", Some(storm::SECRET)),
    ]
}

/// The slowest hundredth of chat beside feeds and an attack.
fn crowd(subject: &Subject, options: &Options) -> Result<f64> {
    let feeds = Feeds::open(subject, options.feeds as usize)?;
    let attack = Attack::begin(subject, ATTACKERS);
    load::warm_up(subject, options.rate, WARM_UP)?;
    let p99 = told("crowd", &Load { rate: options.rate, seconds: options.seconds }.chats(subject)?);
    let attacks = attack.end();
    let open = feeds.close();
    println!("{:<10} {open} of {} feeds were still open; {attacks}", "", options.feeds);
    ensure!(open == options.feeds as usize, "feeds were closed: the host's log says why");
    ensure!(attacks.ended > 0 && attacks.lost == 0, "the hostile plugin was not called: {attacks:?}");
    Ok(p99)
}

/// Prints what requests took, in microseconds; returns the slowest hundredth.
fn told(what: &str, sorted: &[f64]) -> f64 {
    let [p50, p99, worst] = [0.5, 0.99, 1.0].map(|share| percentile(sorted, share));
    println!("{what:<10} {p50:>7.0} µs {p99:>7.0} µs {worst:>7.0} µs  {}", sorted.len());
    p99
}
