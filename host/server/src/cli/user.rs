//! `atelier user …`.

use std::process::ExitCode;

use atelier_domain::account::Role;

use super::Configured;
use super::desk::Desk;

/// While the server runs, set ATELIER_KEY to an administrator's key.
#[derive(Debug, clap::Subcommand)]
pub(super) enum User {
    /// Add a user
    Create {
        /// A unique name
        name: String,
        /// Give the rights of an administrator
        #[arg(long)]
        administrator: bool,
        #[command(flatten)]
        configured: Configured,
    },
    /// List users
    List {
        #[command(flatten)]
        configured: Configured,
    },
    /// Make all of a user's keys open nothing
    Disable {
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Give a disabled user's keys their access back
    Enable {
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
}

impl User {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Create { name, administrator, configured } => {
                let role = if administrator { Role::Administrator } else { Role::User };
                let user = Desk::open(&configured).await?.create_user(&name, role).await?;
                println!("{}  {}", user.id, user.name);
            }
            Self::List { configured } => {
                for user in Desk::open(&configured).await?.users().await? {
                    let state = if user.disabled { "disabled" } else { "active" };
                    println!("{}  {:<13}  {state:<8}  {}", user.id, user.role, user.name);
                }
            }
            Self::Disable { name, configured } => {
                Desk::open(&configured).await?.set_disabled(&name, true).await?;
                println!("{name} is disabled");
            }
            Self::Enable { name, configured } => {
                Desk::open(&configured).await?.set_disabled(&name, false).await?;
                println!("{name} is active");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
