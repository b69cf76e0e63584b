//! A budget as its owner sees it.

use atelier_domain::money::{Counter, MicroCredits, Period, Spending};
use atelier_domain::time::Timestamp;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::credits::amount;

#[derive(Serialize, ToSchema)]
#[schema(as = Budget)]
pub(in crate::http) struct BudgetView {
    day: PeriodView,
    month: PeriodView,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BudgetPeriod)]
struct PeriodView {
    /// The most that may be spent, in micro-credits; `null` where there is no bound.
    #[schema(required)]
    limit: Option<u64>,
    /// What was spent so far.
    #[schema(schema_with = amount)]
    spent: u64,
    /// What is set aside for what has not ended.
    #[schema(schema_with = amount)]
    held: u64,
    /// When counting begins anew.
    #[schema(format = DateTime)]
    resets: String,
}

/// A budget, for the reference.
pub(super) fn sample() -> serde_json::Value {
    json!({"day": {"limit": 1_000_000, "spent": 40_000, "held": 0, "resets": "2026-11-23T00:00:00.000Z"},
        "month": {"limit": null, "spent": 40_000, "held": 0, "resets": "2026-12-01T00:00:00.000Z"}})
}

impl BudgetView {
    pub(in crate::http) fn new(spending: &Spending, now: Timestamp) -> Self {
        let view = |period: Period, limit: Option<MicroCredits>, counter: Counter| PeriodView {
            limit: limit.map(MicroCredits::get),
            spent: counter.spent.get(),
            held: counter.held.get(),
            resets: period.next(now).rfc3339(),
        };
        Self {
            day: view(Period::Day, spending.limits.day, spending.day),
            month: view(Period::Month, spending.limits.month, spending.month),
        }
    }
}
