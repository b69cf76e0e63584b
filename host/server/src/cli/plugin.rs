//! `atelier plugin …`.

mod desk;

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::Configured;
use super::author::Author;
use desk::{File, PluginDesk, Row, Seen, Verb};

/// Plugins, by their id `publisher/name`: through the running server if ATELIER_KEY has an administrator's key, else in its store.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Plugin {
    /// Install a plugin, or upgrade it; its signature is looked for beside it, as FILE.minisig
    ///
    /// Shows who signed it and what it would be given, and asks before it installs.
    Install {
        /// The plugin: one .wasm file
        file: PathBuf,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// List what is installed
    List {
        #[command(flatten)]
        configured: Configured,
    },
    /// Show what a file is and what it would be given; nothing of it is run
    Inspect {
        file: PathBuf,
        #[command(flatten)]
        configured: Configured,
    },
    /// Let a plugin's instances be called
    Enable(Named),
    /// Stop a plugin's instances from being called
    Disable(Named),
    /// Go back to the version before the last upgrade
    Rollback(Named),
    /// Forget a plugin and its files
    Remove(Named),
    /// List configured instances and the plugins that they need
    Instances {
        #[command(flatten)]
        configured: Configured,
    },
    #[command(flatten)]
    Author(Author),
}

/// A plugin and where it is installed.
#[derive(Debug, clap::Args)]
pub(super) struct Named {
    /// `publisher/name`
    id: String,
    #[command(flatten)]
    configured: Configured,
}

impl Named {
    async fn change(&self, verb: Verb) -> anyhow::Result<()> {
        print_row(&PluginDesk::open(&self.configured).await?.change(&self.id, verb).await?);
        Ok(())
    }
}

impl Plugin {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Install { file, yes, configured } => install(&file, yes, &configured).await?,
            Self::List { configured } => {
                PluginDesk::open(&configured).await?.list().await?.iter().for_each(print_row);
            }
            Self::Inspect { file, configured } => {
                let file = read(&file)?;
                print_seen(&PluginDesk::open(&configured).await?.inspect(&file).await?);
            }
            Self::Enable(named) => named.change(Verb::Enable).await?,
            Self::Disable(named) => named.change(Verb::Disable).await?,
            Self::Rollback(named) => named.change(Verb::Rollback).await?,
            Self::Remove(named) => {
                PluginDesk::open(&named.configured).await?.remove(&named.id).await?;
                println!("Removed {}.", named.id);
            }
            Self::Author(author) => return author.run().await,
            Self::Instances { configured } => {
                for instance in configured.load()?.instances {
                    println!("{}  {}  {}", instance.name, instance.plugin, instance.base_url);
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

async fn install(file: &Path, yes: bool, configured: &Configured) -> anyhow::Result<()> {
    let file = read(file)?;
    let desk = PluginDesk::open(configured).await?;
    let seen = desk.inspect(&file).await?;
    print_seen(&seen);
    if desk.list().await?.iter().any(|row| row.id == seen.id && row.current.digest == seen.digest) {
        println!("{} {} is installed already.", seen.id, seen.version);
        return Ok(());
    }
    if !yes && !asked()? {
        bail!("nothing was installed");
    }
    print_row(&desk.install(file, seen.consent).await?);
    Ok(())
}

/// A plugin's file and, if it is there, its signature's.
fn read(file: &Path) -> anyhow::Result<File> {
    let shown = file.display();
    let component = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?.into();
    let mut beside = file.as_os_str().to_owned();
    beside.push(".minisig");
    let signature = match std::fs::read_to_string(&beside) {
        Ok(signature) => Some(signature),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}.minisig")),
    };
    Ok(File { component, signature })
}

fn asked() -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() {
        bail!("this needs your consent: run it at a terminal, or add --yes");
    }
    print!("Install it with these permissions? [y/N] ");
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn print_seen(seen: &Seen) {
    println!("{} {}", seen.id, seen.version);
    println!("  digest       {}", seen.digest);
    match &seen.signed_by {
        Some(key) => println!("  signed by    key {key}"),
        None => println!("  NOT SIGNED   by a trusted key"),
    }
    println!("  capabilities {}", seen.capabilities.join(", "));
    println!("  It may:");
    for line in &seen.permissions {
        println!("    {line}");
    }
    let Some(installed) = &seen.replaces else { return };
    println!("  It replaces {installed}:");
    if seen.added.is_empty() && seen.dropped.is_empty() {
        println!("    the permissions stay the same");
    }
    for line in &seen.added {
        println!("    new:  {line}");
    }
    for line in &seen.dropped {
        println!("    gone: {line}");
    }
}

fn print_row(row: &Row) {
    let state = if row.enabled { "enabled" } else { "disabled" };
    let previous = row.previous.as_ref().map(|version| format!(", before it {}", version.version));
    println!("{} {} {state}{}", row.id, row.current.version, previous.unwrap_or_default());
}
