//! `GET /api/v1/provider-keys`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{KeyView, sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

#[derive(Serialize, ToSchema)]
#[schema(as = ProviderKeyList)]
struct List<'a> {
    data: Vec<KeyView<'a>>,
}

/// The caller's keys: all, since they are few.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let keys = call.app.own_keys.list(call.caller()?).await?;
    answer::json(&List { data: keys.iter().map(KeyView::from).collect() })
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("listProviderKeys", Tag::Keys, "List your own keys of providers")
        .about("By instance. Their secrets are never shown.")
        .answers::<List<'_>>(200, "The keys.", json!({"data": [sample()]}))
}
