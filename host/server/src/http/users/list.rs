//! `GET /api/v1/users`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{UserView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::{parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = UserPage)]
struct Page<'a> {
    data: Vec<UserView<'a>>,
    /// What to send as `after` for the next page; `null` on the last.
    #[schema(required)]
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
    let mut data = Vec::with_capacity(users.len());
    for user in &users {
        data.push(UserView::of(user, call.app.accounts.deletion_of(user).await?));
    }
    answer::json(&Page { data, next })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listUsers", Tag::Users, "List users")
        .about("In the order of their making.")
        .query("after", id(), "Begin after this user: the `next` of the page before.")
        .answers::<Page<'_>>(200, "A page of users.", json!({"data": [sample()], "next": null}))
}
