//! Live calls: paid from an allowance, which is set aside durably for many of them at once, so that none waits for a disk.

use serde::{Deserialize, Serialize};

use super::{MicroCredits, Periods, UsageRecord};
use crate::id::{EntryId, KeyId, UserId};
use crate::time::Timestamp;

/// Money to be set aside for a key's live calls: `most` of it if that is there, `least` at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AllowanceWanted {
    /// The allowance's id, and that of the entry that sets it aside.
    pub id: EntryId,
    pub user: UserId,
    pub key: KeyId,
    pub least: MicroCredits,
    pub most: MicroCredits,
    /// Whether it is taken from the user's credits; else it counts against budgets alone.
    pub is_debited: bool,
    pub at: Timestamp,
}

/// What is left of money that was set aside for a key's live calls, as far as calls were folded into the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Allowance {
    pub user: UserId,
    pub key: KeyId,
    pub rest: MicroCredits,
    pub is_debited: bool,
    pub at: Timestamp,
}

impl Allowance {
    /// The day and month whose budgets it counts against.
    pub fn periods(&self) -> Periods {
        Periods::at(self.at)
    }
}

/// A live call, ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LiveUse {
    /// Its cost is what is taken from the allowance.
    pub record: UsageRecord,
    /// Absent where nothing was set aside, as nothing costs.
    pub allowance: Option<EntryId>,
}

/// What a folding did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    pub calls: usize,
    /// What calls cost beyond their allowances: zero, or a bug.
    pub uncharged: MicroCredits,
}
