//! `POST /api/v1/generations/{id}/refund`.

use atelier_domain::money::MicroCredits;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::amount;
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer, body};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewRefund)]
struct Body {
    /// Whole micro-credits, at least one, and at most what was charged and not given back yet.
    #[schema(schema_with = amount)]
    amount: MicroCredits,
    /// Kept with the refund.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Refund)]
struct RefundView {
    #[schema(schema_with = id)]
    generation: String,
    /// What was charged when it ended.
    #[schema(schema_with = amount)]
    charged: u64,
    /// All that was given back of it.
    #[schema(schema_with = amount)]
    refunded: u64,
}

/// Gives a charge back, or a part of it.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let body: Body = body::parse(&bytes)?;
    let by = &*call.caller()?.principal;
    let job = call.app.ledger.refund(by.into(), id, body.amount, &body.reason).await?;
    tracing::info!(by = %by.user, generation = %id, amount = body.amount.get(), "a charge was given back");
    let cost = job.bill.cost.unwrap_or_default();
    let (generation, charged, refunded) = (id.to_string(), cost.charged.get(), cost.refunded.get());
    answer::json(&RefundView { generation, charged, refunded })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let made =
        json!({"generation": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "charged": 40_000, "refunded": 40_000});
    Operation::new("refundGeneration", Tag::Money, "Give a generation's charge back")
        .about("To its owner, the whole charge or a part of it. Budgets keep counting what was spent. For administrators.")
        .path("id", id(), "The generation.")
        .takes::<Body>(json!({"amount": 40_000, "reason": "not what was asked for"}))
        .answers::<RefundView>(200, "What was charged and given back by now.", made)
        .refuses(&[404, 409])
}
