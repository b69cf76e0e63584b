//! `cargo xtask bench jobs`: how fast jobs are stored, and that reading them takes no longer the more there are.

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::report::Budgets;
use crate::{process, progress::say, workspace::Workspace};

/// The program that measures, an example of the storage crate.
const PROGRAM: &str = "stored_jobs";
/// By which times may differ that do not grow with the table: trees get deeper, and less of them is in memory.
const RATIO_MAX: f64 = 3.0;

/// Durable submissions a second, and the time of pages, analytics and recovery with few and with many stored jobs.
///
/// A submission is what the service stores: a job, the hold of its credits and the claim of its idempotency key in one transaction,
/// flushed to the disk before it counts; as many threads write as the service lets write at once. Times are measured with 1,000, 10,000 and
/// 100,000 jobs in the store. Opening the store is printed apart from the recovery of open jobs.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How many jobs are in the store, in rising order
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [1_000, 10_000, 100_000])]
    sizes: Vec<u32>,
}

/// What was measured with so many jobs: rates in a second, times in microseconds.
#[derive(Debug, Deserialize)]
struct Measured {
    jobs: u32,
    submissions: f64,
    ends: f64,
    page: f64,
    deep_page: f64,
    month: f64,
    recovery: f64,
    open_clean: f64,
    open_killed: f64,
}

/// Build the program in the `dist` profile; returns the folder of which `examples` has it.
pub fn build(workspace: &Workspace) -> Result<PathBuf> {
    say("bench: cargo build --profile dist --example (the first time takes many minutes)");
    let started = Instant::now();
    let mut cargo = process::cargo();
    cargo.args(["build", "--profile", "dist", "--workspace", "--example", PROGRAM]);
    process::run(cargo.current_dir(workspace.root()))?;
    say(format_args!("bench: built in {:.0} s", started.elapsed().as_secs_f64()));
    Ok(workspace.target().join("dist"))
}

/// Run the verb.
pub fn run(binaries: &Path, options: &Options) -> Result<Budgets> {
    ensure!(options.sizes.len() > 1 && options.sizes.is_sorted(), "name several sizes, in rising order");
    let program = binaries.join("examples").join(PROGRAM);
    let mut child = Command::new(&program)
        .args(options.sizes.iter().map(u32::to_string))
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let lines = child.stdout.take().context("it has no standard output")?;
    println!(
        "{:<10}{:>14}{:>10}{:>12}{:>14}{:>12}{:>14}{:>14}{:>16}",
        "jobs",
        "submissions/s",
        "ends/s",
        "page µs",
        "deep page µs",
        "month µs",
        "recovery µs",
        "open ms",
        "after a kill ms"
    );
    let mut all = Vec::new();
    for line in BufReader::new(lines).lines() {
        let measured: Measured = serde_json::from_str(&line?).context("the program prints JSON")?;
        let Measured { jobs, submissions, ends, page, deep_page, month, recovery, open_clean, open_killed } =
            &measured;
        println!(
            "{jobs:<10}{submissions:>14.0}{ends:>10.0}{page:>12.0}{deep_page:>14.0}{month:>12.0}{recovery:>14.0}{:>14.0}{:>16.0}",
            open_clean / 1e3,
            open_killed / 1e3,
        );
        all.push(measured);
    }
    ensure!(child.wait()?.success(), "{PROGRAM} failed");
    ensure!(
        all.len() == options.sizes.len(),
        "{PROGRAM} measured {} of {} sizes",
        all.len(),
        options.sizes.len()
    );
    let (few, many) = (all.first().context("several sizes")?, all.last().context("several sizes")?);
    let ratio = |of: fn(&Measured) -> f64| of(many) / of(few);
    let mut budgets = Budgets::default();
    budgets.at_least("durable submissions, with the most jobs", many.submissions, 3_000.0, "/s");
    budgets.at_most("a page: most jobs against fewest", ratio(|all| all.page), RATIO_MAX, "×");
    budgets.at_most("a page deep down: most against fewest", ratio(|all| all.deep_page), RATIO_MAX, "×");
    budgets.at_most("a month's analytics: most against fewest", ratio(|all| all.month), RATIO_MAX, "×");
    budgets.at_most("recovery of open jobs: most against fewest", ratio(|all| all.recovery), RATIO_MAX, "×");
    Ok(budgets)
}
