//! `POST /api/v1/usage/{id}/refund`.

use atelier_domain::money::MicroCredits;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use crate::http::credits::amount;
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer, body, keys};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewCallRefund)]
struct Body {
    /// Whose call it was: a user's name or id.
    user: String,
    /// Whole micro-credits, at least one, and at most what was charged and not given back yet.
    #[schema(schema_with = amount)]
    amount: MicroCredits,
    /// Kept with the refund.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CallRefund)]
struct RefundView {
    /// The call's usage record.
    #[schema(schema_with = id)]
    call: String,
    /// What was charged when it ended.
    #[schema(schema_with = amount)]
    charged: u64,
    /// All that was given back of it.
    #[schema(schema_with = amount)]
    refunded: u64,
}

/// Gives a live call's charge back, or a part of it.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let body: Body = body::parse(&bytes)?;
    let user = keys::user(&call.app, &body.user).await?;
    let by = &*call.caller()?.principal;
    let record = call.app.ledger.refund_call(by.into(), user, id, body.amount, &body.reason).await?;
    tracing::info!(by = %by.user, call = %id, amount = body.amount.get(), "a charge was given back");
    let charged = record.cost.unwrap_or_default().get();
    answer::json(&RefundView { call: id.to_string(), charged, refunded: record.refunded.get() })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let made = json!({"call": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "charged": 400, "refunded": 400});
    Operation::new("refundCall", Tag::Money, "Give a live call's charge back")
        .about("To its user, the whole charge or a part of it: of a call that was answered at once. Budgets keep counting what was spent. For administrators.")
        .path("id", id(), "The call's usage record.")
        .takes::<Body>(json!({"user": "ada", "amount": 400, "reason": "not what was asked for"}))
        .answers::<RefundView>(200, "What was charged and given back by now.", made)
        .refuses(&[404, 409])
}
