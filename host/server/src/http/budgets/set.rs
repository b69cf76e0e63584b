//! `POST /api/v1/budgets`.

use atelier_domain::id::KeyId;
use atelier_domain::money::{BudgetLimits, MicroCredits};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{BudgetView, sample};
use crate::http::credits::optional_amount;
use crate::http::openapi::{Operation, Tag};
use crate::http::query::parsed;
use crate::http::{ApiError, Call, Reply, answer, body, keys};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBudget)]
struct Body {
    /// A user's name or id.
    user: String,
    /// One of their keys; without it, the limits are for all of the user's spending.
    #[schema(format = Uuid)]
    key: Option<String>,
    /// The most for a day, in whole micro-credits; absent: no bound.
    #[schema(schema_with = optional_amount, required = false)]
    day: Option<MicroCredits>,
    /// The most for a month, in whole micro-credits; absent: no bound.
    #[schema(schema_with = optional_amount, required = false)]
    month: Option<MicroCredits>,
}

/// Sets both limits of a user or key.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Body = body::parse(&bytes)?;
    let key = body.key.as_deref().map(|text| parsed::<KeyId>("key", text)).transpose()?;
    let user = keys::user(&call.app, &body.user).await?;
    let limits = BudgetLimits { day: body.day, month: body.month };
    let by = &*call.caller()?.principal;
    let spending = call.app.ledger.set_budget(by.into(), user, key, limits).await?;
    answer::json(&BudgetView::new(&spending, call.app.clock.now()))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("setBudget", Tag::Money, "Set a budget")
        .about(
            "Sets both limits, in place of those before. What was spent in the running day and month stays counted. Days and months are \
             those of UTC. For administrators.",
        )
        .takes::<Body>(json!({"user": "ada", "day": 1_000_000}))
        .answers::<BudgetView>(200, "Limits and spending.", sample())
        .refuses(&[404])
}
