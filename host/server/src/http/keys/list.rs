//! `GET /api/v1/keys`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::view::{KeyView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::{parsed, query};
use crate::http::{ApiError, Call, Reply, answer};

const PAGE: usize = 100;

#[derive(Serialize, ToSchema)]
#[schema(as = KeyPage)]
struct Page<'a> {
    data: Vec<KeyView<'a>>,
    /// What to send as `after` for the next page; `null` on the last.
    #[schema(required)]
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

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listKeys", Tag::Keys, "List keys")
        .about("Your own, in the order of their making; an administrator may name another user. Secrets are not among it.")
        .query("after", id(), "Begin after this key: the `next` of the page before.")
        .query("user", ObjectBuilder::new().schema_type(Type::String), "Another user's name: for administrators.")
        .answers::<Page<'_>>(200, "A page of keys.", json!({"data": [sample()], "next": null}))
        .refuses(&[404])
}
