//! `GET /api/v1/budgets`.

use super::view::{BudgetView, sample};
use crate::http::credits::{ABOUT_USER, user};
use crate::http::keys::owner;
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::{parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

/// A user's or a key's budget, and what was spent of it.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["key", "user"])?;
    let key = query.get("key").map(|text| parsed("key", text)).transpose()?;
    let owner = owner(&call.app, call.caller()?, query.get("user").map(String::as_str)).await?;
    let spending = call.app.ledger.budget(owner, key).await?;
    answer::json(&BudgetView::new(&spending, call.app.clock.now()))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getBudget", Tag::Money, "Get a budget")
        .about(
            "Yours, or that of one of your keys. What is spent is counted whether or not there is a limit.",
        )
        .query("key", id(), "One of the user's keys; without it, all of the user's spending.")
        .query("user", user(), ABOUT_USER)
        .answers::<BudgetView>(200, "Limits and spending.", sample())
        .refuses(&[404])
}
