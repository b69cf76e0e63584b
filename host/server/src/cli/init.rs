//! `atelier init DIR`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use atelier_domain::account::{Role, Scope};

use super::office::Office;
use crate::config::{Config, template};

/// Writes DIR/atelier.toml and the data folder, creates the first administrator, and prints their key once, alone on a
/// line: `key: atl_…`. Nothing that exists is overwritten.
#[derive(Debug, clap::Args)]
pub(super) struct Init {
    /// The folder; made if it does not exist
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Name of the first administrator
    #[arg(long, default_value = "admin")]
    name: String,
}

impl Init {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let path = self.dir.join("atelier.toml");
        std::fs::create_dir_all(&self.dir)
            .with_context(|| format!("cannot make the folder {}", self.dir.display()))?;
        let data = self.dir.join("data");
        if data.exists() {
            bail!("{} already exists; choose another folder, or remove it", data.display());
        }
        let mut file = match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
                bail!(
                    "{} already exists and is left as it is; choose another folder, or remove it",
                    path.display()
                )
            }
            Err(error) => return Err(error).with_context(|| format!("cannot write {}", path.display())),
        };
        file.write_all(template::TEXT.as_bytes())?;
        file.sync_all()?;
        let config = Config::load(&path)?;
        let (office, _) = Office::open(&config).await?;
        let administrator = office.create_user(&self.name, Role::Administrator).await?;
        let key = office.create_key(administrator.id, "first key", Scope::ALL.to_vec(), None).await?;
        println!("Wrote {} and {}.", path.display(), config.storage.path.display());
        println!("The key of the administrator {:?}, shown only now:\n", self.name);
        println!("key: {}", key.secret.reveal());
        println!("\nNext: atelier serve --config {}", path.display());
        println!("To be reached from other machines it wants TLS: [server.tls] in that file says how.");
        Ok(ExitCode::SUCCESS)
    }
}
