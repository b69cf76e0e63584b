//! `GET /v1/models`.

use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{AnyModel, ModelView, aliased, sample};
use crate::http::openapi::{Operation, Tag, words};
use crate::http::{ApiError, Call, Reply, answer};

#[derive(Serialize, ToSchema)]
#[schema(as = ModelList)]
struct List<'a> {
    #[schema(inline, value_type = ListWord)]
    object: &'static str,
    data: Vec<AnyModel<'a>>,
}

words! {
    ListWord: "list";
}

/// Every model that the caller may see, by instance.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let catalogues = call.app.registry.all(caller.depth).await;
    // A host that discovers itself has aliases of its own.
    let aliases = if caller.depth == 0 { aliased(&call.app, caller, &catalogues) } else { Vec::new() };
    let data = catalogues.iter().flat_map(|catalogue| {
        let stale = catalogue.failure.is_some();
        let visible = catalogue.visible_to(&caller.scope);
        visible.map(move |entry| AnyModel::Model(ModelView::of(entry, stale)))
    });
    let data = data.chain(aliases.into_iter().map(AnyModel::Alias));
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
        .about("Every model that the key may see, by instance. The members beyond OpenAI's say what a model can do and whether it can be called. The operator's aliases come last, with the models that they lead to.")
        .answers::<List<'_>>(200, "The models.", json!({"object": "list", "data": [sample()]}))
}
