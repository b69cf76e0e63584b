//! `atelier plugin …`.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use atelier_domain::plugin::{InstalledPlugin, Trust};
use atelier_service::plugins::{Change, Consent, Inspection, Plugins, PluginsError};
use bytes::Bytes;

use super::Configured;
use super::office::Office;

/// Plugins, by their id `publisher/name`. While the server runs it owns the store: use its API (`/api/v1/plugins`) then.
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
    async fn plugins(&self) -> anyhow::Result<std::sync::Arc<Plugins>> {
        Office::plugins(&self.configured.load()?).await
    }
}

impl Plugin {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Install { file, yes, configured } => install(&file, yes, &configured).await?,
            Self::List { configured } => {
                for plugin in Office::plugins(&configured.load()?).await?.list().await? {
                    print_installed(&plugin);
                }
            }
            Self::Inspect { file, configured } => {
                let (bytes, signature) = read(&file)?;
                let plugins = Office::plugins(&configured.load()?).await?;
                print_inspection(&plugins.inspect(&bytes, signature.as_deref()).await?);
            }
            Self::Enable(named) => {
                print_installed(&named.plugins().await?.set_enabled(&named.id, true).await?)
            }
            Self::Disable(named) => {
                print_installed(&named.plugins().await?.set_enabled(&named.id, false).await?)
            }
            Self::Rollback(named) => print_installed(&named.plugins().await?.roll_back(&named.id).await?),
            Self::Remove(named) => {
                named.plugins().await?.remove(&named.id).await?;
                println!("Removed {}.", named.id);
            }
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
    let (bytes, signature) = read(file)?;
    let plugins = Office::plugins(&configured.load()?).await?;
    let inspection = plugins.inspect(&bytes, signature.as_deref()).await?;
    print_inspection(&inspection);
    if !yes && !asked()? {
        bail!("nothing was installed");
    }
    match plugins.install(bytes, signature.as_deref(), &Consent::Token(inspection.consent)).await {
        Ok(plugin) => print_installed(&plugin),
        Err(PluginsError::AlreadyInstalled { id, version }) => {
            println!("{id} {version} is installed already.")
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

/// A plugin's file and, if it is there, its signature's.
fn read(file: &Path) -> anyhow::Result<(Bytes, Option<String>)> {
    let shown = file.display();
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".minisig");
    let signature = match std::fs::read_to_string(&beside) {
        Ok(signature) => Some(signature),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(error).with_context(|| format!("cannot read {shown}.minisig")),
    };
    Ok((bytes.into(), signature))
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

fn print_inspection(inspection: &Inspection) {
    let manifest = &inspection.examined.manifest;
    println!("{} {}: {}", manifest.id, manifest.version, manifest.name);
    println!("  digest       {}", inspection.examined.digest);
    println!("  {}", trust_line(&inspection.trust));
    println!("  capabilities {}", inspection.examined.capabilities.join(", "));
    println!("  It may:");
    for line in inspection.permissions.lines() {
        println!("    {line}");
    }
    let Some(installed) = &inspection.replaces else { return };
    println!("  It replaces {installed}:");
    if inspection.changes.is_empty() {
        println!("    the permissions stay the same");
    }
    for change in &inspection.changes {
        match change {
            Change::Added(line) => println!("    new:  {line}"),
            Change::Dropped(line) => println!("    gone: {line}"),
        }
    }
}

fn trust_line(trust: &Trust) -> String {
    match trust {
        Trust::Signed { key_id } => format!("signed by    key {key_id}"),
        Trust::Unsigned { reason } => format!("NOT SIGNED   {reason}"),
    }
}

fn print_installed(plugin: &InstalledPlugin) {
    let state = if plugin.enabled { "enabled" } else { "disabled" };
    let previous =
        plugin.previous.as_ref().map(|version| format!(", before it {}", version.manifest.version));
    println!("{} {} {state}{}", plugin.id(), plugin.current.manifest.version, previous.unwrap_or_default());
}
