//! The repository's own commands. `cargo xtask help` lists them.

mod bench;
mod contract;
mod demo;
mod dev_key;
mod fuzz;
mod host;
mod mock;
mod node_packages;
mod plugins;
mod promises;
mod python_venv;
mod secrets;
mod test;
mod torture;
mod workspace;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use plugin_build::{apt, cache, process, progress};

use crate::{cache::Cache, workspace::Workspace};

/// Build, test and show Atelier.
///
/// Downloads and tools are kept in the cache folder ($ATELIER_CACHE, else $XDG_CACHE_HOME/atelier, else
/// ~/.cache/atelier); products in target/. Any command may be interrupted and started again: it goes on with what
/// is missing.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    /// The workspace to work on [default: the one this command was compiled in]
    #[arg(long, global = true, value_name = "DIR")]
    root: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Plugins(plugins::Options),
    Test(test::Options),
    Demo(demo::Options),
    Bench(bench::Options),
    DevKey(dev_key::Options),
    Contract(contract::Options),
    Secrets(secrets::Options),
    Torture(torture::Options),
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    progress::start();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            progress::say(format_args!("failed: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::open(cli.root)?;
    let cache = Cache::open()?;
    match cli.verb {
        Verb::Plugins(options) => plugins::run(&workspace, &cache, &options),
        Verb::Test(options) => test::run(&workspace, &cache, &options),
        Verb::Demo(options) => demo::run(&workspace, &cache, &options),
        Verb::Bench(options) => bench::run(&workspace, &cache, &options),
        Verb::DevKey(options) => dev_key::run(&cache, &options),
        Verb::Contract(options) => contract::run(&workspace, &options),
        Verb::Secrets(options) => secrets::run(&workspace, &cache, &options),
        Verb::Torture(options) => torture::run(&workspace, &cache, &options),
        Verb::Fuzz(options) => fuzz::run(&workspace, &options),
    }
}
