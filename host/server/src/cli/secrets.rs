//! `atelier secrets …`.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use atelier_domain::store::DataKey;
use atelier_storage::Store;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Configured;

/// The store keeps secrets of webhooks and users' own keys of providers. They are sealed with the key in [secrets], or with sealing.key
/// in the data folder. To change it, give the new key as `key` and the old one as `retired_key`, and start the server once.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Secrets {
    /// Print a new random key for [secrets]
    Key,
    /// Remove every secret from the store, when the key that sealed them is lost. Stop the server first
    ///
    /// Webhook endpoints go with their secrets, and users' own keys of providers; everything else stays.
    Forget {
        /// There is no way back
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        configured: Configured,
    },
}

impl Secrets {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Key => println!("{}", STANDARD.encode(DataKey::generate()?.bytes())),
            Self::Forget { yes: false, .. } => {
                bail!(
                    "webhook endpoints and users' own keys of providers will be gone: --yes says that you know"
                )
            }
            Self::Forget { yes: true, configured } => {
                let folder = configured.load()?.storage.database();
                let shown = format!("the store in {}; if the server runs, stop it first", folder.display());
                let forget = move || Store::open(folder)?.forget_secrets();
                let rows = tokio::task::spawn_blocking(forget).await?.context(shown)?;
                println!("Forgot the secrets of {rows} rows. The next start makes or takes a new key.");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
