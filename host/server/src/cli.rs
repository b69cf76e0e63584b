//! The command line.

mod author;
mod backup;
mod budget;
mod compile;
mod credit;
mod desk;
mod doctor;
mod init;
mod key;
mod migrate;
mod model;
mod office;
mod plugin;
mod reach;
mod restore;
mod secrets;
mod serve;
mod user;
mod whole_file;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{BadConfiguration, Config, EXIT_BAD_CONFIGURATION};

/// One self-hosted server for text, images, speech and more, from any provider.
///
/// Begin with `atelier init DIR`: it writes a configuration and prints your API key. Then
/// `atelier serve --config DIR/atelier.toml`, and point any OpenAI client at http://127.0.0.1:8484/v1.
#[derive(Debug, Parser)]
#[command(name = "atelier", version, propagate_version = true)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Write a configuration and the data folder; create the first administrator and print their key once
    Init(init::Init),
    /// Run the server
    Serve(Configured),
    /// Check configuration, storage, plugins, secrets and local models, and say what to fix
    Doctor(Configured),
    /// Copy everything that is stored into one file, while the server runs or without it
    Backup(backup::Backup),
    /// Make a server's folder of a backup, or see whether a backup is whole
    Restore(restore::Restore),
    /// Bring what an older version stored to the form of this one
    Migrate(migrate::Migrate),
    /// Create, list and revoke API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Create, list and disable users
    #[command(subcommand)]
    User(user::User),
    /// Grant credits, and see what a user has
    #[command(subcommand)]
    Credit(credit::Credit),
    /// Set what a user or key may spend in a day or month, and see what was spent
    #[command(subcommand)]
    Budget(budget::Budget),
    /// Install and manage plugins, or write one
    #[command(subcommand)]
    Plugin(plugin::Plugin),
    /// See in-house models, and fetch, check and remove their weights
    #[command(subcommand)]
    Model(model::Model),
    /// Make a key that seals secrets in the store, or remove those whose key is lost
    #[command(subcommand)]
    Secrets(secrets::Secrets),
    /// Print the description of the HTTP API (OpenAPI 3.1), as the server serves it under /api/v1/openapi.json
    Openapi,
    /// Compile one component within limits: what the server runs in a child of its own
    #[command(name = crate::plugin_host::COMPILE_VERB, hide = true)]
    Compile(compile::Compile),
}

/// Where the configuration is.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Configured {
    /// The configuration file, as `atelier init` writes it
    #[arg(long, value_name = "FILE", default_value = "atelier.toml", env = "ATELIER_CONFIG")]
    config: PathBuf,
}

impl Configured {
    fn load(&self) -> Result<Config, BadConfiguration> {
        Config::load(&self.config)
    }
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let line = Line::parse();
    let outcome = match line.verb {
        Verb::Init(init) => in_runtime(init.run()),
        Verb::Serve(configured) => serve::run(&configured),
        Verb::Doctor(configured) => in_runtime(doctor::run(configured)),
        Verb::Backup(backup) => in_runtime(backup.run()),
        Verb::Restore(restore) => restore.run(),
        Verb::Migrate(migrate) => in_runtime(migrate.run()),
        Verb::Key(key) => in_runtime(key.run()),
        Verb::User(user) => in_runtime(user.run()),
        Verb::Credit(credit) => in_runtime(credit.run()),
        Verb::Budget(budget) => in_runtime(budget.run()),
        Verb::Plugin(plugin) => in_runtime(plugin.run()),
        Verb::Model(model) => in_runtime(model.run()),
        Verb::Secrets(secrets) => in_runtime(secrets.run()),
        Verb::Openapi => openapi(),
        Verb::Compile(compile) => compile.run(),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("atelier: {error:#}");
            let is_configuration = error.downcast_ref::<BadConfiguration>().is_some();
            ExitCode::from(if is_configuration { EXIT_BAD_CONFIGURATION } else { 1 })
        }
    }
}

fn openapi() -> anyhow::Result<ExitCode> {
    let text = crate::http::openapi::json()?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn in_runtime(work: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(work)
}
