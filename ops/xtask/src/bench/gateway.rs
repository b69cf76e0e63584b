//! `cargo xtask bench gateway`: what the gateway adds to a provider's answer, beside two peers.

use std::{net::SocketAddr, path::Path, sync::Arc};

use anyhow::{Result, ensure};

use super::{
    atelier::Atelier,
    report::{Budgets, median, percentile},
    servers, sse,
    subject::Subject,
    tools::Tools,
    wrk::{self, Report},
};
use crate::{
    cache::Cache,
    demo::config::{Instance, Secret},
    plugins,
    workspace::Workspace,
};

/// The mock's model, through an instance whose provider answers at once, and through one that takes its time.
const MODEL: &str = "mock/mock-chat";
const SLOW_MODEL: &str = "slow/mock-chat";
const CONNECTIONS: [u32; 2] = [1, 32];
const WARM_UP_S: u32 = 1;
/// Streams one after another in each pass.
const STREAMS: usize = 1_000;
const STREAMS_AT_ONCE: usize = 512;
/// Long enough that all streams are open before the first one ends.
const EVENT_INTERVAL_MS: &str = "150";

/// nginx (plain proxy), sglang-router and Atelier against the same instant mock upstream, in turn.
///
/// Atelier runs as operators run it: authentication, rate limits, metrics, request log and sandbox on. Prints p50 and p99
/// latency, requests per second and resident memory for one and for 32 connections (wrk), the time to the first token of
/// a stream, and whether 512 streams at once come whole. Latency that a server adds is its own less the mock's in the
/// same pass; figures are medians over the passes.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How often each server has its turn
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    passes: u32,
    /// How long each turn lasts
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
}

/// One server's turn.
#[derive(Debug)]
struct Turn {
    server: usize,
    connections: u32,
    report: Report,
}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, binaries: &Path, options: &Options) -> Result<Budgets> {
    let build = plugins::Options { only: vec!["openai".to_owned()], ..plugins::Options::default() };
    plugins::build(workspace, cache, &build)?;
    let tools = Tools::open(cache)?;
    let scratch = servers::scratch(workspace.target(), "gateway")?;

    let (mock, upstream) = servers::mock(binaries, &scratch, "mock", &["--mode", "instant"])?;
    let (_nginx, nginx) = servers::nginx(&tools, &scratch, upstream)?;
    let (_router, router) = servers::sglang_router(&tools, &scratch, upstream)?;
    let dripping = ["--event-interval-ms", EVENT_INTERVAL_MS];
    let (slow_mock, slow_upstream) = servers::mock(binaries, &scratch, "slow-mock", &dripping)?;
    let instances = vec![instance("mock", upstream), instance("slow", slow_upstream)];
    let atelier = Atelier::new(
        cache,
        binaries,
        &scratch,
        instances,
        &[plugins::file(workspace, "openai")?],
        Vec::new(),
    )?;
    let host = atelier.start()?;
    let own = atelier.subject(MODEL, host.process());
    servers::until_answered(&own, servers::POLL)?;
    let subjects = [servers::direct(upstream, mock.process()), nginx, router, own];

    println!(
        "{:<6}{:<16}{:>12}{:>10}{:>10}{:>12}{:>10}",
        "pass", "server", "connections", "p50 µs", "p99 µs", "requests/s", "MB"
    );
    let mut turns = Vec::new();
    let mut first_tokens = Vec::new();
    for pass in 1..=options.passes {
        for (server, subject) in subjects.iter().enumerate() {
            for connections in CONNECTIONS {
                wrk::load(tools.wrk(), &scratch, subject, connections, WARM_UP_S)?;
                let report = wrk::load(tools.wrk(), &scratch, subject, connections, options.seconds)?;
                println!(
                    "{pass:<6}{:<16}{connections:>12}{:>10.0}{:>10.0}{:>12.0}{:>10.1}",
                    subject.name,
                    report.p50_us,
                    report.p99_us,
                    report.rate(),
                    subject.resident_mb()?
                );
                turns.push(Turn { server, connections, report });
            }
        }
        let times = [&subjects[0], &subjects[3]].map(|subject| sse::first_tokens(subject, STREAMS));
        let [direct, through] = times;
        let (direct, through) = (direct?, through?);
        println!(
            "{pass:<6}first token of {STREAMS} streams in turn, µs: direct p50 {:.0} p99 {:.0}, atelier p50 {:.0} p99 {:.0}",
            percentile(&direct, 0.5),
            percentile(&direct, 0.99),
            percentile(&through, 0.5),
            percentile(&through, 0.99)
        );
        first_tokens.push(percentile(&through, 0.99) - percentile(&direct, 0.99));
    }
    let through = atelier.subject(SLOW_MODEL, host.process());
    let whole = streams_at_once(through, &servers::direct(slow_upstream, slow_mock.process()))?;
    let memory = subjects[3].resident_mb()?;
    host.stop()?;

    let of = |server: usize, connections: u32, figure: fn(&Report) -> f64| {
        let turns = turns.iter().filter(move |turn| turn.server == server && turn.connections == connections);
        turns.map(move |turn| figure(&turn.report)).collect::<Vec<f64>>()
    };
    let added = |figure: fn(&Report) -> f64| {
        median(of(3, 1, figure).into_iter().zip(of(0, 1, figure)).map(|(through, direct)| through - direct))
    };
    let rate = median(of(3, 32, Report::rate));
    println!("atelier's memory after all streams: {memory:.1} MB");
    let mut budgets = Budgets::default();
    budgets.at_most("latency added, one connection, p50", added(|report| report.p50_us), 120.0, "µs");
    budgets.at_most("latency added, one connection, p99", added(|report| report.p99_us), 250.0, "µs");
    budgets.at_least("chat completions, 32 connections", rate, 12_000.0, "/s");
    budgets.at_least("the same, against sglang-router", rate, median(of(2, 32, Report::rate)), "/s");
    budgets.at_most("first token added to a stream, p99", median(first_tokens), 500.0, "µs");
    budgets.at_least("streams at once that came whole", whole as f64, STREAMS_AT_ONCE as f64, "");
    Ok(budgets)
}

/// Every stream is open at once, since each lasts longer than opening all of them takes.
fn streams_at_once(through: Subject, direct: &Subject) -> Result<usize> {
    let expected = sse::frames(direct)?;
    ensure!(expected.len() > 1, "the mock upstream's stream has one frame only");
    sse::at_once(&Arc::new(through), STREAMS_AT_ONCE, &expected)
}

fn instance(name: &'static str, upstream: SocketAddr) -> Instance {
    let secret = ("api-key", Secret::Value("sk-bench"));
    Instance { name, plugin: "openai", address: upstream, path: "/v1", secret, webhook_secret: None }
}
