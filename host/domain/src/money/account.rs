//! Accounts, and the entries that move money between them.

use serde::{Deserialize, Serialize};

use super::{MicroCredits, TooMuch};
use crate::id::{EntryId, JobId, UsageId, UserId};
use crate::time::Timestamp;

/// Where money is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Account {
    /// Where credits come from: below zero by all that was ever granted.
    Issued,
    /// What was charged.
    Revenue,
    /// What a user may spend.
    Available(UserId),
    /// What is set aside for a user's jobs.
    Held(UserId),
    /// What is set aside for a user's live calls.
    Allowance(UserId),
}

impl Account {
    /// Whether it may be below zero.
    pub fn may_be_negative(self) -> bool {
        matches!(self, Account::Issued)
    }
}

/// A change of one account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Posting {
    pub account: Account,
    /// In micro-credits.
    pub change: i64,
}

/// Postings whose sum is zero: made of transfers alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Postings(Vec<Posting>);

impl Postings {
    /// One transfer.
    pub fn transfer(from: Account, to: Account, amount: MicroCredits) -> Self {
        Self::default().and(from, to, amount)
    }

    /// And another. No money is no posting.
    #[must_use]
    pub fn and(mut self, from: Account, to: Account, amount: MicroCredits) -> Self {
        self.add(from, -amount.signed());
        self.add(to, amount.signed());
        self
    }

    fn add(&mut self, account: Account, change: i64) {
        match self.0.iter_mut().find(|posting| posting.account == account) {
            Some(posting) => posting.change += change,
            None => self.0.push(Posting { account, change }),
        }
        self.0.retain(|posting| posting.change != 0);
    }

    /// One for each account.
    pub fn as_slice(&self) -> &[Posting] {
        &self.0
    }

    /// Zero, for whoever checks the books.
    pub fn sum(&self) -> i128 {
        self.0.iter().map(|posting| i128::from(posting.change)).sum()
    }
}

/// Why money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EntryKind {
    /// An administrator made credits.
    Grant,
    /// A job was let in.
    Hold,
    /// A job ended, and what it used was charged.
    Settle,
    /// A job ended without a charge.
    Release,
    /// A charge was given back.
    Refund,
    /// Money was set aside for live calls.
    Allowance,
    /// What live calls did not need came back.
    Return,
    /// Live calls were charged.
    Spend,
    /// A user was deleted, and what was left of their credits went back to where credits come from.
    Closure,
}

impl EntryKind {
    /// The API's word.
    pub fn as_str(self) -> &'static str {
        match self {
            EntryKind::Grant => "grant",
            EntryKind::Hold => "hold",
            EntryKind::Settle => "settle",
            EntryKind::Release => "release",
            EntryKind::Refund => "refund",
            EntryKind::Allowance => "allowance",
            EntryKind::Return => "return",
            EntryKind::Spend => "spend",
            EntryKind::Closure => "closure",
        }
    }
}

/// One movement of a user's money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    pub id: EntryId,
    pub at: Timestamp,
    pub user: UserId,
    pub kind: EntryKind,
    /// The job it is about.
    pub job: Option<JobId>,
    /// The live call it is about, where it is about one alone.
    #[serde(default)]
    pub call: Option<UsageId>,
    /// Who decided it, where a person did.
    pub by: Option<UserId>,
    pub reason: Option<String>,
    pub postings: Postings,
}

/// Credits to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Each is made once, however often it is asked for.
    pub id: EntryId,
    pub at: Timestamp,
    pub user: UserId,
    pub amount: MicroCredits,
    pub by: Option<UserId>,
    pub reason: String,
}

/// A job's charge to be given back, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Each is made once, however often it is asked for.
    pub id: EntryId,
    pub at: Timestamp,
    pub job: JobId,
    pub amount: MicroCredits,
    pub by: Option<UserId>,
    pub reason: String,
}

/// A live call's charge to be given back, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRefund {
    /// Each is made once, however often it is asked for.
    pub id: EntryId,
    pub at: Timestamp,
    /// Whose call it was.
    pub user: UserId,
    /// Its usage record.
    pub call: UsageId,
    pub amount: MicroCredits,
    pub by: Option<UserId>,
    pub reason: String,
}

/// What a user has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Balance {
    pub available: MicroCredits,
    /// Set aside for jobs.
    pub held: MicroCredits,
    /// Set aside for live calls.
    pub allowance: MicroCredits,
}

impl Balance {
    /// All of it.
    ///
    /// # Errors
    /// Never: what was issued has the same bound.
    pub fn total(self) -> Result<MicroCredits, TooMuch> {
        self.available.plus(self.held)?.plus(self.allowance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn postings_sum_to_zero_whatever_is_transferred(transfers: Vec<(u8, u8, u32)>) {
            let user = UserId::new();
            let account = |n: u8| match n % 5 {
                0 => Account::Issued,
                1 => Account::Revenue,
                2 => Account::Available(user),
                3 => Account::Held(user),
                _ => Account::Allowance(user),
            };
            let postings = transfers.iter().fold(Postings::default(), |all, (from, to, amount)| {
                all.and(account(*from), account(*to), MicroCredits::new(u64::from(*amount)).expect("small"))
            });
            prop_assert_eq!(postings.sum(), 0);
            prop_assert!(postings.as_slice().len() <= 5);
        }
    }
}
