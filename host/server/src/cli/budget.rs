//! `atelier budget …`.

use std::process::ExitCode;

use atelier_domain::id::KeyId;
use atelier_domain::money::{BudgetLimits, MicroCredits};

use super::Configured;
use super::credit::amount;
use super::desk::{BudgetRow, Desk};

/// While the server runs, set ATELIER_KEY to an administrator's key. Amounts are micro-credits; days and months are those of UTC.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Budget {
    /// Set both limits; one that is not named is lifted
    Set {
        /// The user's name
        #[arg(long)]
        user: String,
        /// One of the user's keys; without it, all of the user's spending
        #[arg(long)]
        key: Option<KeyId>,
        #[arg(long, value_name = "MICRO-CREDITS", value_parser = amount)]
        day: Option<MicroCredits>,
        #[arg(long, value_name = "MICRO-CREDITS", value_parser = amount)]
        month: Option<MicroCredits>,
        #[command(flatten)]
        configured: Configured,
    },
    /// Show limits and what was spent
    Show {
        #[arg(long)]
        user: String,
        #[arg(long)]
        key: Option<KeyId>,
        #[command(flatten)]
        configured: Configured,
    },
}

impl Budget {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let row = match self {
            Self::Set { user, key, day, month, configured } => {
                Desk::open(&configured).await?.set_budget(&user, key, BudgetLimits { day, month }).await?
            }
            Self::Show { user, key, configured } => Desk::open(&configured).await?.budget(&user, key).await?,
        };
        let BudgetRow { day, month } = row;
        for (name, period) in [("day", day), ("month", month)] {
            let limit = period.limit.map_or_else(|| "no limit".to_owned(), |limit| format!("limit {limit}"));
            println!("{name:<5}  {limit}, {} spent, {} held", period.spent, period.held);
        }
        Ok(ExitCode::SUCCESS)
    }
}
