//! `atelier credit …`.

use std::process::ExitCode;

use atelier_domain::money::MicroCredits;

use super::Configured;
use super::desk::Desk;
use super::office::Office;

/// While the server runs, set ATELIER_KEY to an administrator's key. Amounts are micro-credits: a million of them is one credit.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Credit {
    /// Make credits for a user
    Grant {
        /// The user's name
        #[arg(long)]
        user: String,
        /// Whole micro-credits
        #[arg(long, value_name = "MICRO-CREDITS", value_parser = amount)]
        amount: MicroCredits,
        /// Kept with the grant
        #[arg(long, default_value = "granted on the command line")]
        reason: String,
        #[command(flatten)]
        configured: Configured,
    },
    /// Add all books up, with the server stopped; ends with 1 if anything does not agree
    Audit {
        #[command(flatten)]
        configured: Configured,
    },
    /// Show what a user has
    Show {
        #[arg(long)]
        user: String,
        #[command(flatten)]
        configured: Configured,
    },
}

impl Credit {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let (user, balance) = match self {
            Self::Grant { user, amount, reason, configured } => {
                let balance = Desk::open(&configured).await?.grant(&user, amount, &reason).await?;
                (user, balance)
            }
            Self::Audit { configured } => return audit(&configured).await,
            Self::Show { user, configured } => {
                let balance = Desk::open(&configured).await?.balance(&user).await?;
                (user, balance)
            }
        };
        println!(
            "{user}: {} available, {} held, {} in allowances",
            balance.available, balance.held, balance.allowance
        );
        Ok(ExitCode::SUCCESS)
    }
}

async fn audit(configured: &Configured) -> anyhow::Result<ExitCode> {
    let (_, ledger) = Office::open(&configured.load()?).await?;
    let audit = ledger.audit().await?;
    println!("sum over {} accounts: {}", audit.accounts, audit.sum);
    println!("sum over the postings of {} entries: {}", audit.entries, audit.postings_sum);
    println!("accounts that differ from their postings: {}", audit.differing);
    println!("accounts below zero: {}", audit.negative);
    println!("open holds: {}; of jobs that have ended, or missing: {}", audit.holds, audit.stray_holds);
    Ok(if audit.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whole micro-credits.
pub(super) fn amount(text: &str) -> Result<MicroCredits, String> {
    let number: u64 = text.parse().map_err(|_| "must be a whole number of micro-credits".to_owned())?;
    MicroCredits::new(number).map_err(|error| error.to_string())
}
