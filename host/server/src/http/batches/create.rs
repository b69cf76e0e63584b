//! `POST /v1/batches`.

use std::collections::BTreeMap;

use atelier_domain::batch::BatchEndpoint;
use atelier_service::batches::NewBatch;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{BatchView, EndpointWord, WindowWord, sample};
use crate::http::files::{EXPIRES_SECONDS, file_id};
use crate::http::openapi::{Operation, Tag, words};
use crate::http::{ApiError, Call, Reply, answer, body, metadata, prefix};

const WINDOW: &str = "24h";

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewBatch)]
struct Body {
    /// A file with the purpose `batch`: up to 50,000 lines, each `{"custom_id", "method": "POST", "url", "body"}` with the
    /// batch's endpoint as its `url`.
    #[schema(schema_with = file_id)]
    input_file_id: String,
    #[schema(inline, value_type = EndpointWord)]
    endpoint: String,
    #[schema(inline, value_type = WindowWord)]
    completion_window: String,
    /// At most 16 texts of up to 512 characters, with names of up to 64.
    metadata: Option<BTreeMap<String, String>>,
    /// When the files that it makes go by themselves.
    output_expires_after: Option<Expiry>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BatchOutputExpiry)]
struct Expiry {
    #[schema(inline, value_type = AnchorWord)]
    anchor: String,
    /// From the file's creation on.
    #[schema(minimum = 3600, maximum = 2_592_000)]
    seconds: u64,
}

words! {
    AnchorWord: "created_at";
}

/// Begins a batch.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Body = body::parse(&bytes)?;
    let endpoint: BatchEndpoint =
        body.endpoint.parse().map_err(|error| ApiError::invalid("endpoint", format!("{error}")))?;
    if body.completion_window != WINDOW {
        return Err(ApiError::invalid("completion_window", format!("must be \"{WINDOW}\"")));
    }
    metadata::check(body.metadata.as_ref())?;
    let output_expires_after = body.output_expires_after.map(expiry).transpose()?;
    let (app, caller) = (&call.app, call.caller()?);
    let id = prefix::read(prefix::FILE, &body.input_file_id, "such file")?;
    caller.without_own_key()?;
    let input = app.files.get(caller, id).await?;
    let metadata = body.metadata.unwrap_or_default().into_iter().collect();
    let new = NewBatch { input, endpoint, metadata, output_expires_after };
    let batch = app.batches.create(caller, new).await?;
    answer::json(&BatchView::from(&batch))
}

fn expiry(expiry: Expiry) -> Result<u64, ApiError> {
    if expiry.anchor != "created_at" {
        return Err(ApiError::invalid("output_expires_after.anchor", "must be \"created_at\""));
    }
    if !EXPIRES_SECONDS.contains(&expiry.seconds) {
        let (from, to) = EXPIRES_SECONDS.into_inner();
        return Err(ApiError::invalid(
            "output_expires_after.seconds",
            format!("must be from {from} to {to}"),
        ));
    }
    Ok(expiry.seconds)
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let request = json!({"input_file_id": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718", "endpoint": "/v1/chat/completions",
        "completion_window": "24h"});
    Operation::new("createBatch", Tag::Batches, "Start a batch")
        .about(
            "Runs the requests of a file in the background, few at a time, in the name of the key that begins it: what the key may do \
             and spend counts when each of them is run. It goes on after a restart of the server; a request that may have been paid for \
             then is not sent twice, but ends as `outcome_unknown` in the error file.",
        )
        .takes::<Body>(request)
        .answers::<BatchView<'_>>(200, "The batch, just begun.", sample("validating"))
        .refuses(&[404, 429, 500])
}
