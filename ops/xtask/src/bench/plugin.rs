//! `cargo xtask bench plugin`: what a fresh instance costs.

use std::process::ExitCode;

use anyhow::Result;

use crate::{cache::Cache, dev_key, plugins, process, progress::say, workspace::Workspace};

/// One fresh instance: create, call, drop, against a bare wasmtime engine in the same run (criterion).
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Arguments for criterion
    #[arg(last = true, value_name = "ARGUMENTS")]
    criterion: Vec<String>,
}

/// Run the verb; the bench itself compares with its budget and fails where it is missed.
pub fn run(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<ExitCode> {
    let build = plugins::Options { only: vec!["hostile".to_owned()], ..plugins::Options::default() };
    plugins::build(workspace, cache, &build)?;
    say("bench: cargo bench --profile dist, host/runtime/benches/plugin.rs");
    let mut cargo = process::cargo();
    cargo
        .args(["bench", "--profile", "dist", "--workspace", "--bench", "plugin", "--"])
        .args(&options.criterion)
        .env("ATELIER_PLUGINS", workspace.plugin_files())
        .env("ATELIER_DEV_KEY", dev_key::open(cache)?.public_path)
        .current_dir(workspace.root());
    process::run(&mut cargo)?;
    Ok(ExitCode::SUCCESS)
}
