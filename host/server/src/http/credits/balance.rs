//! `GET /api/v1/credits`.

use super::view::{BalanceView, sample};
use super::{ABOUT_USER, user};
use crate::http::keys::owner;
use crate::http::openapi::{Operation, Tag};
use crate::http::query::query;
use crate::http::{ApiError, Call, Reply, answer};

/// What the caller has.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["user"])?;
    let owner = owner(&call.app, call.caller()?, query.get("user").map(String::as_str)).await?;
    answer::json(&BalanceView::from(call.app.ledger.balance(owner).await?))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getCredits", Tag::Money, "Get your credits")
        .about("What is set aside is not available, and comes back as far as it is not needed.")
        .query("user", user(), ABOUT_USER)
        .answers::<BalanceView>(200, "The balance.", sample())
        .refuses(&[404])
}
