//! `cargo xtask test`: the whole test command.

mod clients;
mod espeak;
mod guests;

use std::{
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use crate::{
    cache::Cache, dev_key, plugins, process, progress::say, promises, secrets, torture, workspace::Workspace,
};

/// Check everything that a change can break; stops at the first step that fails.
///
/// Steps: formatting, plugins, the unit suites of plugins in other languages, clippy, tests (cargo nextest if it is installed, else
/// cargo test; every plugin's conformance suite is among them), secrets in the tree and its history, examples in documentation, a host that is killed ten times under
/// load, the client suites of ops/clients against a running host, and whether every promise of ops/requirements.md was proven by all
/// this (without ARGS). Tests find the built plugins
/// through ATELIER_PLUGINS (a folder), the development public key through ATELIER_DEV_KEY (a file), and eSpeak NG through ATELIER_ESPEAK
/// (a program).
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Leave out clippy, the look for secrets, the documentation's examples, the killed host and the client suites
    #[arg(long)]
    quick: bool,
    /// Passed to cargo nextest or cargo test, a test's name for instance
    #[arg(last = true)]
    args: Vec<String>,
}

type Step<'a> = (&'static str, Box<dyn Fn() -> Result<()> + 'a>);

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, options: &Options) -> Result<ExitCode> {
    let steps = steps(workspace, cache, options);
    promises::Reports::of(workspace).remove()?;
    let began = Instant::now();
    for (index, (name, step)) in steps.iter().enumerate() {
        say(format_args!("test: {}/{} {name}", index + 1, steps.len()));
        let started = Instant::now();
        let result = step();
        let seconds = started.elapsed().as_secs_f64();
        if let Err(error) = result {
            say(format_args!("test: {name}: {error:#}"));
            say(format_args!("test: FAILED at {name} after {:.1} s", began.elapsed().as_secs_f64()));
            return Ok(ExitCode::FAILURE);
        }
        say(format_args!("test: {name} passed in {seconds:.1} s"));
    }
    say(format_args!("test: all {} steps passed in {:.1} s", steps.len(), began.elapsed().as_secs_f64()));
    Ok(ExitCode::SUCCESS)
}

fn steps<'a>(workspace: &'a Workspace, cache: &'a Cache, options: &'a Options) -> Vec<Step<'a>> {
    let cargo = |args: &'static [&'static str]| -> Box<dyn Fn() -> Result<()>> {
        Box::new(move || process::run(in_workspace(workspace).args(args)))
    };
    let mut steps: Vec<Step<'a>> = vec![
        ("format", cargo(&["fmt", "--all", "--", "--check"])),
        ("plugins", Box::new(|| plugins::build(workspace, cache, &plugins::Options::default()).map(drop))),
    ];
    steps.push(("plugins' own suites", Box::new(|| guests::run(workspace))));
    if !options.quick {
        steps
            .push(("clippy", cargo(&["clippy", "--workspace", "--all-targets", "--", "--deny", "warnings"])));
    }
    // Building the tests builds the binaries too, and with the same features: a step of their own would compile much twice.
    steps.push(("tests", Box::new(|| tests(workspace, cache, &options.args))));
    if !options.quick {
        steps.push(("secrets", Box::new(|| secrets::look_through(workspace, cache))));
        steps.push(("documentation", Box::new(|| documentation(workspace, cache))));
        steps.push(("torture", Box::new(|| torture::short(workspace, cache))));
        steps.push(("clients", Box::new(|| clients::run(workspace, cache))));
        // Of some of the tests no report tells of all promises, and cargo test leaves none.
        if options.args.is_empty() && has_nextest(workspace) {
            steps.push(("promises", Box::new(|| promises::check(workspace))));
        }
    }
    steps
}

fn tests(workspace: &Workspace, cache: &Cache, args: &[String]) -> Result<()> {
    let mut command = with_products(in_workspace(workspace), workspace, cache)?;
    if has_nextest(workspace) {
        command.args(["nextest", "run", "--workspace", "--no-fail-fast"]).args(args);
    } else {
        say("test: cargo-nextest is not installed: using cargo test, and the promises are not checked");
        command.args([
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--examples",
            "--no-fail-fast",
            "--",
        ]);
        command.args(args);
    }
    process::run(&mut command)
}

fn has_nextest(workspace: &Workspace) -> bool {
    process::works(in_workspace(workspace).args(["nextest", "--version"]))
}

fn documentation(workspace: &Workspace, cache: &Cache) -> Result<()> {
    let mut command = with_products(in_workspace(workspace), workspace, cache)?;
    process::run(command.args(["test", "--workspace", "--doc"]))
}

fn in_workspace(workspace: &Workspace) -> Command {
    let mut cargo = process::cargo();
    cargo.current_dir(workspace.root());
    cargo
}

/// What tests need beside their own crate.
fn with_products(mut command: Command, workspace: &Workspace, cache: &Cache) -> Result<Command> {
    let files = workspace.plugin_files();
    std::fs::create_dir_all(&files).with_context(|| format!("cannot create {}", files.display()))?;
    let key = dev_key::open(cache)?.public_path;
    ensure!(key.is_file(), "{} is gone", key.display());
    command
        .env("ATELIER_PLUGINS", files)
        .env("ATELIER_DEV_KEY", key)
        .env("ATELIER_ESPEAK", espeak::open(cache)?);
    Ok(command)
}
