//! A balance and its movements as their owner sees them.

use atelier_domain::money::{Account, Balance, Entry};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::amount;
use crate::http::openapi::{id, words};

#[derive(Serialize, ToSchema)]
#[schema(as = Credits)]
pub(in crate::http) struct BalanceView {
    /// What may be spent, in micro-credits.
    #[schema(schema_with = amount)]
    available: u64,
    /// What is set aside for generations that have not ended.
    #[schema(schema_with = amount)]
    held: u64,
    /// What is set aside for live calls.
    #[schema(schema_with = amount)]
    allowance: u64,
}

/// A balance, for the reference.
pub(super) fn sample() -> serde_json::Value {
    json!({"available": 4_960_000, "held": 40_000, "allowance": 0})
}

impl From<Balance> for BalanceView {
    fn from(balance: Balance) -> Self {
        let Balance { available, held, allowance } = balance;
        Self { available: available.get(), held: held.get(), allowance: allowance.get() }
    }
}

#[derive(Serialize, ToSchema)]
#[schema(as = CreditEntry)]
pub(in crate::http) struct EntryView<'a> {
    #[schema(schema_with = id)]
    id: String,
    #[schema(format = DateTime)]
    time: String,
    #[schema(inline, value_type = KindWord)]
    kind: &'static str,
    /// The generation that it is about.
    #[schema(required, format = Uuid)]
    generation: Option<String>,
    /// The usage record of the call that it is about, where it is about one alone.
    #[schema(required, format = Uuid)]
    call: Option<String>,
    #[schema(required)]
    reason: Option<&'a str>,
    /// What it did to each part of the balance, in micro-credits.
    available: i64,
    held: i64,
    allowance: i64,
}

words! {
    KindWord: "grant" | "hold" | "settle" | "release" | "refund" | "allowance" | "return" | "spend" | "closure";
}

/// An entry, for the reference.
pub(super) fn sample_entry() -> serde_json::Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "time": "2026-11-22T00:00:00.000Z", "kind": "grant", "generation": null, "call": null,
        "reason": "welcome", "available": 5_000_000, "held": 0, "allowance": 0})
}

impl<'a> From<&'a Entry> for EntryView<'a> {
    fn from(entry: &'a Entry) -> Self {
        let change = |wanted: Account| {
            let mut postings = entry.postings.as_slice().iter();
            postings.find(|posting| posting.account == wanted).map_or(0, |posting| posting.change)
        };
        Self {
            id: entry.id.to_string(),
            time: entry.at.rfc3339(),
            kind: entry.kind.as_str(),
            generation: entry.job.map(|job| job.to_string()),
            call: entry.call.map(|call| call.to_string()),
            reason: entry.reason.as_deref(),
            available: change(Account::Available(entry.user)),
            held: change(Account::Held(entry.user)),
            allowance: change(Account::Allowance(entry.user)),
        }
    }
}
