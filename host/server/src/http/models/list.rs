//! `GET /v1/models`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{ModelView, sample};
use crate::http::openapi::{Operation, Tag, words};
use crate::http::{ApiError, Call, Reply, answer};

#[derive(Serialize, ToSchema)]
#[schema(as = ModelList)]
struct List<'a> {
    #[schema(inline, value_type = ListWord)]
    object: &'static str,
    data: Vec<ModelView<'a>>,
}

words! {
    ListWord: "list";
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

/// What the reference says of it under `/v1`.
pub(in crate::http) fn describe() -> Operation {
    described("listModels", "List models")
}

/// What the reference says of it under `/api/v1`.
pub(in crate::http) fn describe_own() -> Operation {
    described("listModelsOwn", "List models (Atelier's own address)")
}

fn described(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, Tag::Models, summary)
        .about("Every model that the key may see, by instance. The members beyond OpenAI's say what a model can do and whether it can be called.")
        .answers::<List<'_>>(200, "The models.", json!({"object": "list", "data": [sample()]}))
}
