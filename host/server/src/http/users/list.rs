//! `GET /api/v1/users`.

use serde::Serialize;

use super::view::UserView;
use crate::http::query::{parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE: usize = 100;

#[derive(Serialize)]
struct Page<'a> {
    data: Vec<UserView<'a>>,
    /// What to send as `after` for the next page; absent on the last.
    next: Option<String>,
}

/// Users, in the order of their making.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let query = query(&call.parts.uri, &["after"])?;
    let after = query.get("after").map(|text| parsed("after", text)).transpose()?;
    let mut users = call.app.accounts.users(after, PAGE + 1).await?;
    let has_more = users.len() > PAGE;
    users.truncate(PAGE);
    let next = has_more.then(|| users.last().map(|user| user.id.to_string())).flatten();
    answer::json(&Page { data: users.iter().map(UserView::from).collect(), next })
}
