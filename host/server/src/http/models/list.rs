//! `GET /v1/models`.

use serde::Serialize;

use super::view::ModelView;
use crate::http::{ApiError, Call, Reply, answer};

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<ModelView<'a>>,
}

/// Every model that the caller may see, by instance.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let (scope, depth) = (call.caller()?.scope.clone(), call.caller()?.depth);
    let catalogues = call.app.registry.all(depth).await;
    let data = catalogues.iter().flat_map(|catalogue| {
        let stale = catalogue.failure.is_some();
        catalogue.visible_to(&scope).map(move |entry| ModelView::of(entry, stale))
    });
    answer::json(&List { object: "list", data: data.collect() })
}
