//! `cargo xtask bench`: programs that measure, and say whether a budget is kept.

mod atelier;
mod build;
mod crowd;
mod footprint;
mod gateway;
mod inference;
mod jobs;
mod plugin;
mod report;
mod servers;
mod sse;
mod stolen;
mod subject;
mod tools;
mod wrk;

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Subcommand;

use crate::{cache::Cache, workspace::Workspace};
use report::Budgets;
use stolen::CoreTime;

/// Measure, print each budget beside its figure, and fail where one is missed.
///
/// Everything talks over loopback, on this machine alone; let nothing else run on it meanwhile. The host is built in the
/// `dist` profile, as a release is.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Measure the binaries of this folder instead of building them
    #[arg(long, global = true, value_name = "DIR")]
    binaries: Option<PathBuf>,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    Gateway(gateway::Options),
    Plugin(plugin::Options),
    Footprint(footprint::Options),
    Jobs(jobs::Options),
    Crowd(crowd::Options),
    Inference(inference::Options),
}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<ExitCode> {
    let binaries = || match &options.binaries {
        Some(dir) => Ok(dir.clone()),
        None => build::dist(workspace),
    };
    let budgets = match &options.what {
        What::Plugin(options) => return plugin::run(workspace, cache, options),
        What::Gateway(options) => {
            let binaries = binaries()?;
            watched(|| gateway::run(workspace, cache, &binaries, options))?
        }
        What::Footprint(options) => {
            let binaries = binaries()?;
            watched(|| footprint::run(workspace, cache, &binaries, options))?
        }
        What::Crowd(options) => {
            let binaries = binaries()?;
            watched(|| crowd::run(workspace, cache, &binaries, options))?
        }
        What::Inference(options) => watched(|| inference::run(workspace, cache, options))?,
        What::Jobs(of_jobs) => {
            let binaries = options.binaries.clone().map_or_else(|| jobs::build(workspace), Ok)?;
            watched(|| jobs::run(&binaries, of_jobs))?
        }
    };
    budgets.print()
}

/// Measures, and tells how much of the cores' time the machine's host gave to others meanwhile.
fn watched(measure: impl FnOnce() -> Result<Budgets>) -> Result<Budgets> {
    let began = CoreTime::now();
    let budgets = measure()?;
    if let (Some(began), Some(now)) = (began, CoreTime::now()) {
        let share = now.stolen_since(began);
        println!(
            "\n{share:.1} % of the cores' time was taken by the host of this machine (steal, /proc/stat)"
        );
    }
    Ok(budgets)
}
