//! `POST /api/v1/credits`.

use atelier_domain::money::MicroCredits;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::amount;
use super::view::{BalanceView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, body, keys};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewGrant)]
struct Body {
    /// A user's name or id.
    user: String,
    /// Whole micro-credits, at least one.
    #[schema(schema_with = amount)]
    amount: MicroCredits,
    /// Kept with the grant.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

/// Makes credits for a user.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Body = body::parse(&bytes)?;
    let user = keys::user(&call.app, &body.user).await?;
    let by = &*call.caller()?.principal;
    let balance = call.app.ledger.grant(by.into(), user, body.amount, &body.reason).await?;
    tracing::info!(by = %by.user, %user, amount = body.amount.get(), "credits were granted");
    answer::json_with(StatusCode::CREATED, &BalanceView::from(balance))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("grantCredits", Tag::Money, "Grant credits")
        .about("The only way in which credits arise. For administrators.")
        .takes::<Body>(json!({"user": "ada", "amount": 5_000_000, "reason": "welcome"}))
        .answers::<BalanceView>(201, "The balance after.", sample())
        .refuses(&[404, 409])
}
