//! `GET /api/v1/keys`.

use serde::Serialize;

use super::view::KeyView;
use crate::http::query::{parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE: usize = 100;

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<KeyView<'a>>,
    /// What to send as `after` for the next page; absent on the last.
    next: Option<String>,
}

/// The keys of a user, in the order of their making.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["after", "user"])?;
    let after = query.get("after").map(|text| parsed("after", text)).transpose()?;
    let owner = super::owner(&call.app, call.caller()?, query.get("user").map(String::as_str)).await?;
    let mut keys = call.app.accounts.keys(owner, after, PAGE + 1).await?;
    let has_more = keys.len() > PAGE;
    keys.truncate(PAGE);
    let next = has_more.then(|| keys.last().map(|key| key.id.to_string())).flatten();
    answer::json(&Page { data: keys.iter().map(KeyView::from).collect(), next })
}
