//! `atelier model …`.

mod download;
mod weights;

use std::process::ExitCode;

use anyhow::{Context as _, bail};

use super::Configured;
use crate::app::cache_dir;
use crate::local::PUBLISHED;
pub(super) use weights::Weights;

/// In-house models are listed as local/NAME. Some are published and fetched on first use; more are named in the configuration:
///
///   [[local.model]]
///   name = "smollm2-360m"
///   hub = "HuggingFaceTB/SmolLM2-360M-Instruct-GGUF"   # or url = "https://…", or path = "/srv/models/a.gguf"
///   file = "smollm2-360m-instruct-q8_0.gguf"
///   sha256 = "…"
#[derive(Debug, clap::Subcommand)]
#[command(verbatim_doc_comment)]
pub(super) enum Model {
    /// List the models, with what is on this machine and what they take
    List {
        #[command(flatten)]
        configured: Configured,
    },
    /// Fetch a model's weights and check them; what an earlier attempt has fetched is not fetched again
    Pull {
        /// The model, with or without `local/`
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Read a model's weights through and check their hashes
    Verify {
        /// The model, with or without `local/`
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Remove a model's fetched weights from this machine
    Remove {
        /// The model, with or without `local/`
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
}

impl Model {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { configured } => list(&configured),
            Self::Pull { name, configured } => {
                let (weights, local) = found(&configured, &name)?;
                weights.pull(local.hub_token.as_ref()).await
            }
            Self::Verify { name, configured } => {
                let (weights, _) = found(&configured, &name)?;
                weights.verify()?;
                println!("The weights of local/{} are what they should be.", weights.name);
                Ok(())
            }
            Self::Remove { name, configured } => {
                let (weights, _) = found(&configured, &name)?;
                let name = &weights.name;
                if !weights.remove()? {
                    bail!("there are no weights of local/{name} on this machine");
                }
                println!(
                    "Removed the weights of local/{name}. A server that has them loaded goes on with them."
                );
                Ok(())
            }
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn found(configured: &Configured, name: &str) -> anyhow::Result<(Weights, crate::config::Local)> {
    let local = configured.load()?.local;
    let name = name.strip_prefix("local/").unwrap_or(name);
    let weights = Weights::of(&local, &cache_dir(&local)?, name)?;
    Ok((weights, local))
}

fn list(configured: &Configured) -> anyhow::Result<()> {
    let local = configured.load()?.local;
    let folder = cache_dir(&local)?;
    if !local.enabled {
        println!("[local] enabled = false: the server serves none of them.");
    }
    let names = PUBLISHED.iter().map(|model| model.id).chain(local.models.iter().map(|model| &*model.name));
    for name in names {
        let weights = Weights::of(&local, &folder, name).with_context(|| format!("local/{name}"))?;
        let told = match weights.describe() {
            Ok(Some(told)) => told,
            Ok(None) => format!("not on this machine: `atelier model pull {name}`"),
            Err(error) => format!("cannot be used: {error:#}"),
        };
        println!("local/{name}  {}  {told}", weights.task());
    }
    Ok(())
}
