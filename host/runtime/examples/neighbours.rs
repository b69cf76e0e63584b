//! What attackers cost their neighbours: well-behaved calls at a fixed rate, first alone, then beside endless loops and endless
//! host calls. Prints both latency distributions; ends with failure if the p99 more than doubles or calls fail.
//!
//! `cargo run -p atelier-runtime --example neighbours [CALLS_PER_SECOND [SECONDS]]`

#[path = "../tests/sandbox/support.rs"]
mod support;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_runtime::{Profile, SandboxedProvider};
use support::{Host, chat, profile};
use tokio::task::{AbortHandle, JoinSet};

/// How much worse the slowest hundredth may fare beside attackers.
const RATIO_MAX: f64 = 2.0;

#[derive(Clone, Copy)]
struct Load {
    calls_per_second: u32,
    seconds: u32,
}

/// How the calls of one load went.
struct Run {
    /// Of the good answers, in order.
    latencies: Vec<Duration>,
    /// Calls without a good answer.
    failed: usize,
    first_failure: Option<String>,
}

impl Run {
    fn quantile(&self, q: f64) -> Duration {
        let last = self.latencies.len().saturating_sub(1);
        self.latencies.get(((last as f64) * q).round() as usize).copied().unwrap_or(Duration::MAX)
    }

    fn print(&self, what: &str) {
        let (p50, p99, worst) = (self.quantile(0.5), self.quantile(0.99), self.quantile(1.0));
        println!(
            "{what:<24} p50 {p50:>10.1?}   p99 {p99:>10.1?}   worst {worst:>10.1?}   failed {}",
            self.failed
        );
        if let Some(failure) = &self.first_failure {
            println!("    {failure}");
        }
    }
}

/// Offers calls at fixed moments whatever happened to those before: each is timed from when it was due, so that a stall is not
/// hidden by the calls that it kept from being made.
async fn offer(load: Load, provider: &Arc<SandboxedProvider>) -> Run {
    let mut calls = JoinSet::new();
    let interval = Duration::from_secs(1) / load.calls_per_second;
    let start = Instant::now();
    for n in 0..load.calls_per_second * load.seconds {
        let due = start + interval * n;
        tokio::time::sleep_until(due.into()).await;
        let provider = Arc::clone(provider);
        calls.spawn(async move {
            let outcome = chat(&provider, "good", "").await;
            match outcome.error {
                None if outcome.finished() => Ok(due.elapsed()),
                None => Err("the answer has no end".to_owned()),
                Some(error) => Err(error.to_string()),
            }
        });
    }
    let mut run = Run { latencies: Vec::new(), failed: 0, first_failure: None };
    for outcome in calls.join_all().await {
        match outcome {
            Ok(latency) => run.latencies.push(latency),
            Err(error) => {
                run.failed += 1;
                run.first_failure.get_or_insert(error);
            }
        }
    }
    run.latencies.sort_unstable();
    run
}

/// Callers of a hostile plugin, each calling again as soon as its call was ended.
fn attack(host: &Arc<Host>, callers: usize) -> Vec<AbortHandle> {
    (0..callers)
        .map(|n| {
            let host = Arc::clone(host);
            let model = if n % 2 == 0 { "endless-loop" } else { "endless-host-calls" };
            tokio::spawn(async move {
                loop {
                    // A new instance each time: a breaker would end the attack.
                    let provider = host.instance("127.0.0.1:9");
                    chat(&provider, model, "").await.expect_error();
                }
            })
            .abort_handle()
        })
        .collect()
}

async fn measure(load: Load, workers: usize) -> ExitCode {
    let profile = Profile { concurrent_calls: 256, cpu: Duration::from_secs(1), ..profile() };
    let host = Arc::new(Host::new(profile));
    let provider = host.instance("127.0.0.1:9");
    // The first call compiles.
    chat(&provider, "good", "").await.expect_text();
    let quiet = offer(load, &provider).await;
    println!("{} calls/s for {} s on {workers} workers", load.calls_per_second, load.seconds);
    quiet.print("quiet");
    let mut verdict = ExitCode::SUCCESS;
    for callers in [workers, 2 * workers] {
        let attackers = attack(&host, callers);
        let attacked = offer(load, &provider).await;
        attackers.iter().for_each(AbortHandle::abort);
        attacked.print(&format!("{callers} attackers"));
        let ratio = attacked.quantile(0.99).as_secs_f64() / quiet.quantile(0.99).as_secs_f64();
        if ratio > RATIO_MAX || attacked.failed > quiet.failed {
            println!(
                "p99 is {ratio:.2} times that of quiet, against a bound of {RATIO_MAX}, and {} calls failed",
                attacked.failed
            );
            verdict = ExitCode::FAILURE;
        } else {
            println!("p99 is {ratio:.2} times that of quiet, within the bound of {RATIO_MAX}");
        }
    }
    verdict
}

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).map(|argument| argument.parse());
    let (Ok(calls_per_second), Ok(seconds)) =
        (numbers.next().unwrap_or(Ok(500)), numbers.next().unwrap_or(Ok(10)))
    else {
        eprintln!("usage: neighbours [CALLS_PER_SECOND [SECONDS]]");
        return ExitCode::from(64);
    };
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(measure(Load { calls_per_second, seconds }, workers)),
        Err(error) => {
            eprintln!("no runtime: {error}");
            ExitCode::FAILURE
        }
    }
}
