//! Money: whole micro-credits in double entry. A million of them is one credit.
//!
//! Every change is an [`Entry`]: a set of postings whose sum is zero, so that the sum over all accounts is zero, always.
//! Credits arise from a grant, which makes [`Account::Issued`] negative by as much; no other account is ever below zero.
//! Before something that costs is begun, the most that it may cost is set aside (a [`Hold`], or a part of an
//! allowance); what is charged in the end is never more. So no balance and no budget is ever overspent, whatever a provider
//! reports.

pub mod account;
pub mod bill;
pub mod budget;
pub mod live;
pub mod price;
pub mod usage;

use std::fmt;
use std::iter::Sum;

use serde::{Deserialize, Serialize};

pub use account::{Account, Balance, CallRefund, Entry, EntryKind, Grant, Posting, Postings, Refund};
pub use bill::{Bill, Cost, Fallback, Hold};
pub use budget::{BudgetLimits, Counter, Period, Periods, Spending, Subject};
pub use live::{Allowance, AllowanceWanted, Folded, LiveUse};
pub use price::{Costing, ModelPrice, PriceBook, PriceLine, PriceSnapshot};
pub use usage::{Dimension, Totals, TotalsKey, TotalsQuery, UsageRecord};

/// An amount of money that is not negative, in micro-credits. All arithmetic is checked.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct MicroCredits(u64);

/// The amount is larger than there can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an amount has {} micro-credits at most", MicroCredits::MAX.get())]
pub struct TooMuch;

impl MicroCredits {
    pub const ZERO: Self = Self(0);
    /// The least that there is.
    pub const ONE: Self = Self(1);
    /// Nine thousand million credits: below 2^53, so that no JSON reader loses any of it, and all that is ever issued has this
    /// bound too, so that no balance can overflow.
    pub const MAX: Self = Self(9_000_000_000_000_000);

    /// # Errors
    /// It is more than [`Self::MAX`].
    pub const fn new(amount: u64) -> Result<Self, TooMuch> {
        if amount > Self::MAX.0 { Err(TooMuch) } else { Ok(Self(amount)) }
    }

    /// In micro-credits.
    pub const fn get(self) -> u64 {
        self.0
    }

    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// # Errors
    /// The sum is more than [`Self::MAX`].
    pub fn plus(self, other: Self) -> Result<Self, TooMuch> {
        self.0.checked_add(other.0).ok_or(TooMuch).and_then(Self::new)
    }

    /// `None` if `other` is larger.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// What is beyond `other`, nothing if that is larger.
    pub fn beyond(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }

    pub(crate) fn signed(self) -> i64 {
        i64::try_from(self.0).expect("the bound is far below")
    }
}

impl TryFrom<u64> for MicroCredits {
    type Error = TooMuch;
    fn try_from(amount: u64) -> Result<Self, TooMuch> {
        Self::new(amount)
    }
}

impl TryFrom<u128> for MicroCredits {
    type Error = TooMuch;
    fn try_from(amount: u128) -> Result<Self, TooMuch> {
        u64::try_from(amount).map_err(|_| TooMuch).and_then(Self::new)
    }
}

impl From<MicroCredits> for u64 {
    fn from(amount: MicroCredits) -> u64 {
        amount.0
    }
}

impl Sum<MicroCredits> for Result<MicroCredits, TooMuch> {
    fn sum<I: Iterator<Item = MicroCredits>>(mut amounts: I) -> Self {
        amounts.try_fold(MicroCredits::ZERO, MicroCredits::plus)
    }
}

impl fmt::Display for MicroCredits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

impl fmt::Debug for MicroCredits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}µ", self.0)
    }
}

/// Why money does not move: a decision, not a fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this may cost up to {needed} credits, and {available} are available")]
    InsufficientCredits { needed: MicroCredits, available: MicroCredits },
    #[error("this may cost up to {needed} credits, and {left} are left of the {} budget of this {} ({limit} credits)", period.as_str(), subject.noun())]
    BudgetExceeded {
        subject: Subject,
        period: Period,
        limit: MicroCredits,
        left: MicroCredits,
        needed: MicroCredits,
    },
    #[error("at most {most} credits can be given back for it")]
    RefundTooLarge { most: MicroCredits },
    #[error(transparent)]
    TooMuch(#[from] TooMuch),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn arithmetic_is_exact_or_refused(a: u64, b: u64) {
            match (MicroCredits::new(a), MicroCredits::new(b)) {
                (Ok(x), Ok(y)) => {
                    let sum = u128::from(a) + u128::from(b);
                    prop_assert_eq!(x.plus(y).ok().map(|s| u128::from(s.get())), (sum <= u128::from(MicroCredits::MAX.get())).then_some(sum));
                    prop_assert_eq!(x.minus(y).map(MicroCredits::get), a.checked_sub(b));
                }
                (x, y) => prop_assert!(x.is_err() && a > MicroCredits::MAX.get() || y.is_err() && b > MicroCredits::MAX.get()),
            }
        }
    }

    #[test]
    fn amounts_are_read_from_whole_numbers_within_the_bound_alone() {
        for bad in ["-1", "1.5", "1e3", "9000000000000001", "18446744073709551616", "\"1\"", "null"] {
            assert!(serde_json::from_str::<MicroCredits>(bad).is_err(), "{bad}");
        }
        assert_eq!(
            serde_json::from_str::<MicroCredits>("9000000000000000").expect("the bound"),
            MicroCredits::MAX
        );
        assert_eq!(MicroCredits::new(1_500_000).expect("small").to_string(), "1.500000");
    }
}
