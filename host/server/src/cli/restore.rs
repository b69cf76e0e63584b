//! `atelier restore`.

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use atelier_storage::backup::{self, About, Manifest};

use super::backup::Shown;
use crate::backup::{CONFIGURATION, DATA};

/// Makes DIR/atelier.toml and DIR/data of a backup. DIR must be new or empty: a server that has something is never written over.
///
/// Everything is written beside DIR, compared with the backup's manifest, and takes DIR's name only when all of it is there; if the
/// backup is damaged, it says what is, and nothing is left. With --check nothing is written at all.
///
/// Next: set the environment variables that DIR/atelier.toml names for secrets, then atelier serve --config DIR/atelier.toml
#[derive(Debug, clap::Args)]
pub(super) struct Restore {
    /// What `atelier backup` wrote
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The folder to make
    #[arg(long, value_name = "DIR", required_unless_present = "check")]
    into: Option<PathBuf>,
    /// Only read the backup to its end, and say whether it is whole
    #[arg(long, conflicts_with = "into")]
    check: bool,
}

impl Restore {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let file = File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let (mut file, mut shown) = (BufReader::new(file), Shown::new());
        let mut told = |progress| shown.all(progress);
        let Some(into) = self.into else {
            let (about, manifest) = backup::check(&mut file, &mut told)?;
            println!("{} is whole.", self.file.display());
            tell(&about, &manifest);
            return Ok(ExitCode::SUCCESS);
        };
        let (about, manifest) = backup::restore(&mut file, &into, DATA, &mut told)?;
        println!("Restored {} into {}.", self.file.display(), into.display());
        tell(&about, &manifest);
        let config = into.join(CONFIGURATION);
        if config.exists() {
            if !about.with_secrets {
                println!("Set the environment variables that {} names for secrets.", config.display());
                println!(
                    "Secrets in the store are sealed: unless [secrets] names their key, copy sealing.key from the old data folder \
                     into {}.",
                    into.join(DATA).display()
                );
            }
            println!("Next: atelier serve --config {}", config.display());
        } else {
            println!(
                "It held no configuration: write one whose [storage] path is {}.",
                into.join(DATA).display()
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(about: &About, manifest: &Manifest) {
    println!(
        "Made by atelier {} (schema {}): {} rows, {} blobs of {} bytes.",
        about.program, about.schema, manifest.rows, manifest.blobs.count, manifest.blobs.bytes
    );
    for id in &manifest.blobs.missing {
        println!("NOT in it, because it was gone or damaged already: the blob {id}");
    }
}
