//! What a job costs: set aside when it is let in, charged when it ends.

use serde::{Deserialize, Serialize};

use super::{Costing, MicroCredits, Periods, PriceSnapshot};
use crate::generation::usage::UsageLine;
use crate::id::{EntryId, KeyId, UserId};
use crate::time::Timestamp;

/// Money set aside for a job. It is there exactly as long as the job is not final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Of the entry that sets it aside.
    pub entry: EntryId,
    pub user: UserId,
    /// The key that asked for the job.
    pub key: KeyId,
    /// The most that the job is charged.
    pub amount: MicroCredits,
    /// Whether it is taken from the user's credits; else it counts against budgets alone.
    pub is_debited: bool,
    pub at: Timestamp,
}

impl Hold {
    /// The day and month whose budgets it counts against.
    pub fn periods(&self) -> Periods {
        Periods::at(self.at)
    }
}

/// A job's side of its money.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bill {
    /// The key that asked for it.
    pub key: Option<KeyId>,
    /// The prices when it was let in; absent where its model had none.
    pub price: Option<PriceSnapshot>,
    /// What was set aside.
    #[serde(default)]
    pub held: MicroCredits,
    /// Whether that was taken from its owner's credits.
    #[serde(default)]
    pub is_debited: bool,
    /// What it was expected to use at most when it was let in.
    #[serde(default)]
    pub estimate: Vec<UsageLine>,
    /// Its usage is that estimate, as its provider reported none.
    #[serde(default)]
    pub is_estimated: bool,
    /// Its provider is paid by its owner, with a key of their own: it costs nothing here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_own_key: bool,
    /// Set when it ends.
    #[serde(default)]
    pub cost: Option<Cost>,
    /// Who may step in as long as nothing that costs was taken, the next one first: what is held is enough for each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fallbacks: Vec<Fallback>,
}

/// A model that may do a job in place of another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// `instance/model`.
    pub model: String,
    /// Its prices when the job was let in.
    pub price: Option<PriceSnapshot>,
}

impl Bill {
    /// What a job costs that has delivered, by what it used and what was set aside for it; absent where its model had no price. Of a job whose usage is
    /// an estimate that says nothing of what is to be paid, the price is what was set aside: the operator's own for such jobs.
    pub fn cost_of(&self, used: &[UsageLine], held: MicroCredits) -> Option<Cost> {
        let price = self.price.as_ref()?;
        if self.is_estimated && !price.is_free() && !price.measures(used) {
            return Some(Cost::within(held, held, false));
        }
        // More than there is money is more than was set aside.
        let costing = price.cost(used).unwrap_or(Costing { total: MicroCredits::MAX, is_unpriced: false });
        Some(Cost::within(costing.total, held, costing.is_unpriced))
    }
}

/// What a job cost in the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// What was charged: never more than was set aside.
    pub charged: MicroCredits,
    /// What its usage would have cost beyond that: the operator's loss, by too low an estimate.
    pub uncollected: MicroCredits,
    /// What was given back of the charge since.
    #[serde(default)]
    pub refunded: MicroCredits,
    /// A part of its usage has no price, and cost nothing.
    #[serde(default)]
    pub is_unpriced: bool,
}

impl Cost {
    /// The cost of a job whose usage is priced at `metered`, with `held` set aside for it.
    pub fn within(metered: MicroCredits, held: MicroCredits, is_unpriced: bool) -> Self {
        let charged = metered.min(held);
        Self { charged, uncollected: metered.beyond(charged), refunded: MicroCredits::ZERO, is_unpriced }
    }
}
