//! Budgets: what a user or a key may spend in a day and in a month.
//!
//! What counts is what was charged and what is set aside, in the period in which it was set aside. Since no charge is larger than
//! what was set aside, a budget is never overspent.

use serde::{Deserialize, Serialize};

use super::{MicroCredits, Refusal};
use crate::id::{KeyId, UserId};
use crate::time::Timestamp;

/// Whose budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    User(UserId),
    Key(KeyId),
}

impl Subject {
    /// For people.
    pub fn noun(self) -> &'static str {
        match self {
            Subject::User(_) => "user",
            Subject::Key(_) => "key",
        }
    }
}

/// How long a budget lasts, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Period {
    Day,
    Month,
}

impl Period {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Period::Day => "daily",
            Period::Month => "monthly",
        }
    }

    /// When the next one begins.
    pub fn next(self, now: Timestamp) -> Timestamp {
        match self {
            Period::Day => now.next_day(),
            Period::Month => now.next_month(),
        }
    }
}

/// The day and month of a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Periods {
    day: u32,
    month: u32,
}

impl Periods {
    pub fn at(moment: Timestamp) -> Self {
        Self { day: moment.day(), month: moment.month() }
    }
}

/// The most that may be spent; absent: no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetLimits {
    pub day: Option<MicroCredits>,
    pub month: Option<MicroCredits>,
}

/// What was spent in one period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// Its number: days since 1970, or months since the year 0.
    pub period: u32,
    /// Set aside, and not charged yet.
    pub held: MicroCredits,
    pub spent: MicroCredits,
}

impl Counter {
    /// Begins anew with a new period. A clock that goes back counts on in the newest.
    fn roll(&mut self, period: u32) {
        if period > self.period {
            *self = Self { period, ..Self::default() };
        }
    }

    fn settle(&mut self, period: u32, held: MicroCredits, spent: MicroCredits) {
        // An older period counts no more. What was set aside while the clock was behind stays set aside in the newest until
        // that ends: too much, never too little.
        if period != self.period {
            return;
        }
        self.held = self.held.beyond(held);
        self.spent = self.spent.plus(spent).unwrap_or(MicroCredits::MAX);
    }

    fn left(&self, limit: MicroCredits) -> MicroCredits {
        limit.beyond(self.spent).beyond(self.held)
    }
}

/// Limits and spending of a subject in its newest day and month.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spending {
    #[serde(default)]
    pub limits: BudgetLimits,
    pub day: Counter,
    pub month: Counter,
}

impl Spending {
    /// As it stands at a moment: a period that has ended counts nothing.
    #[must_use]
    pub fn at(mut self, now: Periods) -> Self {
        self.day.roll(now.day);
        self.month.roll(now.month);
        self
    }

    /// The most that may be set aside at a moment.
    pub fn left(&self, now: Periods) -> MicroCredits {
        let as_of_now = self.at(now);
        let of = |counter: Counter, limit: Option<MicroCredits>| limit.map(|limit| counter.left(limit));
        let limits = [of(as_of_now.day, self.limits.day), of(as_of_now.month, self.limits.month)];
        limits.into_iter().flatten().min().unwrap_or(MicroCredits::MAX)
    }

    /// Sets money aside.
    ///
    /// # Errors
    /// A limit does not allow it; nothing is changed.
    pub fn reserve(&mut self, subject: Subject, now: Periods, amount: MicroCredits) -> Result<(), Refusal> {
        let next = self.at(now);
        for (period, counter, limit) in
            [(Period::Day, next.day, next.limits.day), (Period::Month, next.month, next.limits.month)]
        {
            if let Some(limit) = limit {
                let left = counter.left(limit);
                if amount > left {
                    return Err(Refusal::BudgetExceeded { subject, period, limit, left, needed: amount });
                }
            }
        }
        let (day, month) = (next.day.held.plus(amount)?, next.month.held.plus(amount)?);
        *self = next;
        (self.day.held, self.month.held) = (day, month);
        Ok(())
    }

    /// What was set aside at `then` is `spent` or free again.
    pub fn settle(&mut self, then: Periods, held: MicroCredits, spent: MicroCredits) {
        self.day.settle(then.day, held, spent);
        self.month.settle(then.month, held, spent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const DAY_MS: u64 = 86_400_000;

    fn amount(of: u64) -> MicroCredits {
        MicroCredits::new(of).expect("small")
    }

    #[test]
    fn a_new_day_begins_with_a_whole_budget_and_the_month_goes_on() {
        let subject = Subject::User(UserId::new());
        let limits = BudgetLimits { day: Some(amount(10)), month: Some(amount(15)) };
        let mut spending = Spending { limits, ..Spending::default() };
        let (first, second) = (Periods::at(Timestamp(0)), Periods::at(Timestamp(DAY_MS)));
        spending.reserve(subject, first, amount(10)).expect("within");
        let refused = spending.reserve(subject, first, amount(1));
        assert!(matches!(
            refused,
            Err(Refusal::BudgetExceeded { period: Period::Day, left: MicroCredits::ZERO, .. })
        ));
        spending.settle(first, amount(10), amount(8));
        spending.reserve(subject, second, amount(7)).expect("a new day");
        let refused = spending.reserve(subject, second, amount(1));
        assert!(matches!(refused, Err(Refusal::BudgetExceeded { period: Period::Month, .. })), "8 + 7 of 15");
        // What was set aside yesterday and ends today counts in its month, and no more in its day.
        spending.settle(second, amount(7), amount(0));
        assert_eq!(spending.left(second), amount(7), "of the month; the day has 10");
    }

    proptest! {
        #[test]
        fn no_order_of_holds_and_charges_overspends_a_budget(steps in proptest::collection::vec((0u64..3, 0u64..20, 0u64..20), 1..200), limit in 1u64..100) {
            let subject = Subject::User(UserId::new());
            let limits = BudgetLimits { day: Some(amount(limit)), month: Some(amount(limit * 2)) };
            let mut spending = Spending { limits, ..Spending::default() };
            let (mut held, mut day, mut charged) = (Vec::new(), 0, std::collections::HashMap::<u64, u64>::new());
            for (kind, wanted, share) in steps {
                match kind {
                    0 => day += u64::from(share == 0),
                    1 => if spending.reserve(subject, Periods::at(Timestamp(day * DAY_MS)), amount(wanted)).is_ok() {
                        held.push((day, wanted));
                    },
                    _ => if let Some((then, reserved)) = held.pop() {
                        let spent = share.min(reserved);
                        spending.settle(Periods::at(Timestamp(then * DAY_MS)), amount(reserved), amount(spent));
                        *charged.entry(then).or_default() += spent;
                    },
                }
            }
            for (then, reserved) in held {
                *charged.entry(then).or_default() += reserved;
            }
            prop_assert!(charged.values().all(|spent| *spent <= limit), "{charged:?}");
        }
    }
}
