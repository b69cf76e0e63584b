//! `atelier migrate`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use atelier_storage::{SCHEMA_VERSION, Store};

use super::{Configured, backup};

/// Shows of which schema the store is and, if it is older than this program's, brings it to that. Stop the server first.
///
/// Each step is written as a whole: one that is interrupted goes on when this runs again, or when the server starts, which migrates by
/// itself. There is no way back but a backup: let this make one first with --backup, or say with --yes that you have one.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// Write a backup to this file first
    #[arg(long, value_name = "FILE")]
    backup: Option<PathBuf>,
    /// There is a backup already
    #[arg(long, conflicts_with = "backup")]
    yes: bool,
    #[command(flatten)]
    configured: Configured,
}

impl Migrate {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.configured.load()?;
        let folder = config.storage.database();
        if !folder.exists() {
            bail!("there is no store in {}: make one with `atelier init DIR`", config.storage.path.display());
        }
        let shown = format!("the store in {}; if the server runs, stop it first", folder.display());
        let look = folder.clone();
        let found = tokio::task::spawn_blocking(move || Store::open_as_it_is(look)?.schema_version()).await?;
        let found = found.with_context(|| shown.clone())?;
        if found == SCHEMA_VERSION {
            println!("The store has schema {found}, which is this program's: nothing to do.");
            return Ok(ExitCode::SUCCESS);
        }
        println!("The store has schema {found}; this program's is {SCHEMA_VERSION}.");
        match (&self.backup, self.yes) {
            (Some(file), _) => backup::make(&config, file, false).await?,
            (None, true) => {}
            (None, false) => {
                bail!(
                    "make a backup first: `atelier migrate --backup FILE` does both; --yes says that you have one"
                )
            }
        }
        let rows = tokio::task::spawn_blocking(move || Store::open(folder)?.verify()).await?;
        println!("Migrated to schema {SCHEMA_VERSION}: {} rows, all of them read.", rows.context(shown)?);
        Ok(ExitCode::SUCCESS)
    }
}
