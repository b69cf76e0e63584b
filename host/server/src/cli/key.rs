//! `atelier key …`.

use std::process::ExitCode;

use atelier_domain::account::Scope;
use atelier_domain::id::KeyId;

use super::Configured;
use super::desk::Desk;

/// While the server runs, set ATELIER_KEY to an administrator's key.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Key {
    /// Make a key for a user and print it once, alone on a line: `key: atl_…`
    Create {
        /// The user's name
        #[arg(long)]
        user: String,
        /// What the key is for
        #[arg(long, default_value = "key")]
        name: String,
        /// What it may do; may be repeated: read, generate, admin, plugin-admin
        #[arg(long = "scope", value_name = "SCOPE", default_values = ["read", "generate"])]
        scopes: Vec<Scope>,
        /// Days until it opens nothing; without it, never
        #[arg(long, value_name = "DAYS")]
        expires_in: Option<u64>,
        #[command(flatten)]
        configured: Configured,
    },
    /// List a user's keys
    List {
        #[arg(long)]
        user: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Make a key open nothing, at once
    Revoke {
        #[arg(long)]
        user: String,
        /// The key's id, as `atelier key list` shows it
        id: KeyId,
        #[command(flatten)]
        configured: Configured,
    },
}

impl Key {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create { user, name, scopes, expires_in, configured } => {
                let desk = Desk::open(&configured).await?;
                let (id, secret) = desk.create_key(&user, &name, scopes, expires_in).await?;
                println!("id: {id}\nShown only now:\n\nkey: {secret}");
            }
            Self::List { user, configured } => {
                for key in Desk::open(&configured).await?.keys(&user).await? {
                    println!(
                        "{}  {}…  {:<7}  {}  {}",
                        key.id,
                        key.hint,
                        key.state(),
                        key.scopes.join(","),
                        key.name
                    );
                }
            }
            Self::Revoke { user, id, configured } => {
                Desk::open(&configured).await?.revoke_key(&user, id).await?;
                println!("{id} is revoked");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
