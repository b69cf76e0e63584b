//! `atelier user …`.

use std::io::BufRead;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;

use atelier_domain::account::Role;

use super::Configured;
use super::desk::{Desk, Removal};

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
    /// Set a user's password, read as one line from standard input; all of their sessions end
    Password {
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// End all sessions of a user; their keys go on
    SignOut {
        name: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Write all that a user has into a ZIP archive: documents and the content of files and results, without secrets
    Export {
        name: String,
        /// The file; it must not exist
        #[arg(value_name = "FILE")]
        file: PathBuf,
        #[command(flatten)]
        configured: Configured,
    },
    /// Delete a user with all that they stored; it cannot be undone
    Delete {
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
                    let state = match (user.name.is_empty(), user.disabled) {
                        (true, _) => "deleted",
                        (false, true) => "disabled",
                        (false, false) => "active",
                    };
                    println!("{}  {:<13}  {state:<8}  {}", user.id, user.role, user.name);
                }
            }
            Self::Disable { name, configured } => {
                Desk::open(&configured).await?.set_disabled(&name, true).await?;
                println!("{name} is disabled");
            }
            Self::Password { name, configured } => {
                let password = line(std::io::stdin().lock())?;
                Desk::open(&configured).await?.set_password(&name, &password).await?;
                println!("{name} can sign in with it");
            }
            Self::SignOut { name, configured } => {
                Desk::open(&configured).await?.sign_out(&name).await?;
                println!("all sessions of {name} are over");
            }
            Self::Export { name, file, configured } => {
                let bytes = Desk::open(&configured).await?.export_user(&name, &file).await?;
                println!("Wrote {}: {bytes} bytes.", file.display());
            }
            Self::Delete { name, configured } => {
                match Desk::open(&configured).await?.delete_user(&name).await? {
                    Removal::Begun => println!("{name} is deleted; what they stored is being removed"),
                    Removal::AtNextStart => {
                        println!("{name} is deleted; what they stored is removed once the server runs");
                    }
                }
            }
            Self::Enable { name, configured } => {
                Desk::open(&configured).await?.set_disabled(&name, false).await?;
                println!("{name} is active");
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The most that is read of a line.
const LINE_BYTES_MAX: u64 = 4096;

/// One line, without its end.
fn line(input: impl BufRead) -> anyhow::Result<String> {
    let mut line = String::new();
    input.take(LINE_BYTES_MAX).read_line(&mut line).context("a password is one line of text")?;
    Ok(line.trim_end_matches(['\n', '\r']).to_owned())
}
