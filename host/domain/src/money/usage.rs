//! What was used, by whom, of which model: one record for each call or job, and sums by day.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MicroCredits;
use crate::generation::usage::UsageLine;
use crate::id::{JobId, KeyId, UsageId, UserId};
use crate::time::Timestamp;

/// Meters of one sum, and bytes of a meter's name: what is beyond is left out of sums.
const METERS_MAX: usize = 32;
const METER_BYTES_MAX: usize = 64;

/// One call or job, ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageRecord {
    pub id: UsageId,
    pub at: Timestamp,
    pub user: UserId,
    pub key: Option<KeyId>,
    /// `instance/model`.
    pub model: String,
    pub task: String,
    /// The job, where it was one.
    pub job: Option<JobId>,
    /// The id of the caller's request, where it was a live call.
    pub request_id: Option<String>,
    /// `ok`, or why not.
    pub outcome: String,
    pub usage: Vec<UsageLine>,
    /// The usage is the host's estimate, as the provider reported none.
    pub is_estimated: bool,
    /// What was charged; absent where the model had no price.
    pub cost: Option<MicroCredits>,
    /// What the usage would have cost beyond what was set aside: the operator's loss.
    #[serde(default)]
    pub uncollected: MicroCredits,
    /// A part of the usage has no price, and cost nothing.
    pub is_unpriced: bool,
    /// Whether the cost of a live call was taken from the user's credits. A job's bill tells it of a job.
    #[serde(default)]
    pub is_debited: bool,
    /// What was given back of a live call's cost since. A job's bill tells it of a job.
    #[serde(default)]
    pub refunded: MicroCredits,
}

impl UsageRecord {
    /// The instance that served it.
    pub fn provider(&self) -> &str {
        self.model.split('/').next().unwrap_or_default()
    }
}

/// What sums are kept by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dimension {
    /// Everything of a day.
    Day,
    Model,
    Provider,
    /// A user's keys. Not kept over all users.
    Key,
    /// Kept over all users alone.
    User,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Day, Self::Model, Self::Provider, Self::Key, Self::User];

    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Key => "key",
            Self::User => "user",
        }
    }

    /// The value of a record in this dimension.
    pub fn of(self, record: &UsageRecord) -> String {
        match self {
            Self::Day => String::new(),
            Self::Model => record.model.clone(),
            Self::Provider => record.provider().to_owned(),
            Self::Key => record.key.map(|key| key.to_string()).unwrap_or_default(),
            Self::User => record.user.to_string(),
        }
    }
}

/// Sums of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Calls and jobs that ended.
    pub calls: u64,
    /// Those that gave no result.
    pub failed: u64,
    /// Those whose usage the host estimated.
    pub estimated: u64,
    /// Those with usage that has no price.
    pub unpriced: u64,
    /// What was charged.
    pub cost: MicroCredits,
    /// What their usage would have cost beyond what was set aside: the operator's loss.
    #[serde(default)]
    pub uncollected: MicroCredits,
    /// Quantities by meter, in its unit.
    pub meters: BTreeMap<String, u64>,
}

impl Totals {
    /// Adds a record. A sum that would be too large stays at the largest.
    pub fn add(&mut self, record: &UsageRecord) {
        self.calls = self.calls.saturating_add(1);
        self.failed = self.failed.saturating_add(u64::from(record.outcome != "ok"));
        self.estimated = self.estimated.saturating_add(u64::from(record.is_estimated));
        self.unpriced = self.unpriced.saturating_add(u64::from(record.is_unpriced));
        self.cost = self.cost.plus(record.cost.unwrap_or_default()).unwrap_or(MicroCredits::MAX);
        self.uncollected = self.uncollected.plus(record.uncollected).unwrap_or(MicroCredits::MAX);
        for line in &record.usage {
            self.add_meter(&line.meter, line.quantity);
        }
    }

    /// Adds another sum. A sum that would be too large stays at the largest.
    pub fn merge(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.failed = self.failed.saturating_add(other.failed);
        self.estimated = self.estimated.saturating_add(other.estimated);
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.cost = self.cost.plus(other.cost).unwrap_or(MicroCredits::MAX);
        self.uncollected = self.uncollected.plus(other.uncollected).unwrap_or(MicroCredits::MAX);
        for (meter, quantity) in &other.meters {
            self.add_meter(meter, *quantity);
        }
    }

    /// Of a plugin's meters so many are told apart, and none with a long name.
    fn add_meter(&mut self, meter: &str, quantity: u64) {
        if meter.len() > METER_BYTES_MAX {
            return;
        }
        let has_room = self.meters.len() < METERS_MAX;
        match self.meters.get_mut(meter) {
            Some(sum) => *sum = sum.saturating_add(quantity),
            None if has_room => drop(self.meters.insert(meter.to_owned(), quantity)),
            None => {}
        }
    }
}

/// Which sum: the order of the pages.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TotalsKey {
    /// Counted from 1970-01-01, UTC.
    pub day: u32,
    /// The model, provider, key or user; empty for the whole day.
    pub value: String,
}

/// Which sums to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TotalsQuery {
    /// Absent: over all users.
    pub user: Option<UserId>,
    pub by: Dimension,
    pub first_day: u32,
    /// Included.
    pub last_day: u32,
    /// Begin after this one.
    pub after: Option<TotalsKey>,
}

#[cfg(test)]
mod tests {
    use super::{METER_BYTES_MAX, METERS_MAX, Totals};
    use proptest::prelude::*;

    fn totals() -> impl Strategy<Value = Totals> {
        let counts = (any::<u64>(), any::<u64>(), any::<u64>(), any::<u64>());
        let meters = proptest::collection::btree_map("[a-c]{1,2}", any::<u64>(), 0..4);
        (counts, meters).prop_map(|((calls, failed, estimated, unpriced), meters)| Totals {
            calls,
            failed,
            estimated,
            unpriced,
            meters,
            ..Totals::default()
        })
    }

    proptest! {
        /// In whatever groups sums are added up, they come to the same.
        #[test]
        fn sums_are_merged_in_any_grouping(one in totals(), two in totals(), three in totals()) {
            let mut left = one.clone();
            left.merge(&two);
            left.merge(&three);
            let mut tail = two;
            tail.merge(&three);
            let mut right = one;
            right.merge(&tail);
            prop_assert_eq!(left, right);
        }
    }

    #[test]
    fn a_merged_sum_keeps_its_bounds() {
        let many = (0..METERS_MAX).map(|at| (format!("meter-{at}"), 1)).collect();
        let mut sum = Totals { calls: u64::MAX, meters: many, ..Totals::default() };
        let long = "m".repeat(METER_BYTES_MAX + 1);
        let meters = [("meter-0".to_owned(), 2), ("one-more".to_owned(), 1), (long, 1)].into();
        sum.merge(&Totals { calls: 1, meters, ..Totals::default() });
        assert_eq!((sum.calls, sum.meters.len(), sum.meters["meter-0"]), (u64::MAX, METERS_MAX, 3));
    }
}
