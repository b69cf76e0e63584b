//! A batch as OpenAI's API writes it.

use std::collections::BTreeMap;

use atelier_domain::batch::{Batch, Mistake};
use atelier_domain::id::FileId;
use atelier_domain::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::batch_id;
use crate::http::files::file_id;
use crate::http::openapi::words;
use crate::http::prefix;

#[derive(Serialize, ToSchema)]
#[schema(as = Batch)]
pub(in crate::http) struct BatchView<'a> {
    #[schema(schema_with = batch_id)]
    id: String,
    #[schema(inline, value_type = BatchWord)]
    object: &'static str,
    #[schema(inline, value_type = EndpointWord)]
    endpoint: &'static str,
    /// What is wrong with the input file, if that is why it failed.
    #[schema(required)]
    errors: Option<Mistakes<'a>>,
    #[schema(schema_with = file_id)]
    input_file_id: String,
    #[schema(inline, value_type = WindowWord)]
    completion_window: &'static str,
    #[schema(inline, value_type = StatusWord)]
    status: &'static str,
    /// The model that all requests name, if they do.
    #[schema(required)]
    model: Option<&'a str>,
    /// What succeeded.
    #[schema(required)]
    output_file_id: Option<String>,
    /// What did not.
    #[schema(required)]
    error_file_id: Option<String>,
    /// Unix seconds, as are those that follow.
    created_at: u64,
    #[schema(required)]
    in_progress_at: Option<u64>,
    /// When what is not answered by then is given up.
    expires_at: u64,
    #[schema(required)]
    finalizing_at: Option<u64>,
    #[schema(required)]
    completed_at: Option<u64>,
    #[schema(required)]
    failed_at: Option<u64>,
    #[schema(required)]
    expired_at: Option<u64>,
    #[schema(required)]
    cancelling_at: Option<u64>,
    #[schema(required)]
    cancelled_at: Option<u64>,
    request_counts: Counts,
    metadata: BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BatchErrors)]
struct Mistakes<'a> {
    #[schema(inline, value_type = ListWord)]
    object: &'static str,
    data: Vec<MistakeView<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BatchError)]
struct MistakeView<'a> {
    code: &'a str,
    message: &'a str,
    #[schema(required)]
    param: Option<&'a str>,
    /// From 1.
    #[schema(required)]
    line: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BatchRequestCounts)]
struct Counts {
    total: u64,
    completed: u64,
    failed: u64,
}

words! {
    BatchWord: "batch";
    ListWord: "list";
    WindowWord: "24h";
    EndpointWord: "/v1/chat/completions" | "/v1/responses" | "/v1/embeddings" | "/v1/moderations" | "/v1/images/generations";
    StatusWord: "validating" | "failed" | "in_progress" | "finalizing" | "completed" | "expired" | "cancelling" | "cancelled";
}

/// A batch, for the reference.
pub(super) fn sample(status: &str) -> Value {
    json!({"id": "batch_019ab0c3e5f07d0aa1b2c3d4e5f60718", "object": "batch", "endpoint": "/v1/chat/completions", "errors": null,
        "input_file_id": "file-019ab0c3e5f07d0aa1b2c3d4e5f60718", "completion_window": "24h", "status": status, "model": null,
        "output_file_id": null, "error_file_id": null, "created_at": 1_795_305_600, "in_progress_at": null,
        "expires_at": 1_795_392_000, "finalizing_at": null, "completed_at": null, "failed_at": null, "expired_at": null,
        "cancelling_at": null, "cancelled_at": null, "request_counts": {"total": 0, "completed": 0, "failed": 0}, "metadata": {}})
}

impl<'a> From<&'a Batch> for BatchView<'a> {
    fn from(batch: &'a Batch) -> Self {
        let file = |id: FileId| prefix::of(prefix::FILE, &id.simple());
        let at = |moment: Option<Timestamp>| moment.map(|moment| moment.unix_seconds());
        let told = |mistake: &'a Mistake| MistakeView {
            code: &mistake.code,
            message: &mistake.message,
            param: mistake.param.as_deref(),
            line: mistake.line,
        };
        let (counts, moments) = (batch.counts, batch.moments);
        let mistakes = Mistakes { object: "list", data: batch.mistakes.iter().map(told).collect() };
        Self {
            id: prefix::of(prefix::BATCH, &batch.id.simple()),
            object: "batch",
            endpoint: batch.endpoint.as_str(),
            errors: (!batch.mistakes.is_empty()).then_some(mistakes),
            input_file_id: file(batch.input_file),
            completion_window: "24h",
            status: batch.state.as_str(),
            model: batch.model.as_deref(),
            output_file_id: batch.output_file.map(file),
            error_file_id: batch.error_file.map(file),
            created_at: batch.created.unix_seconds(),
            in_progress_at: at(moments.in_progress),
            expires_at: batch.expires.unix_seconds(),
            finalizing_at: at(moments.finalizing),
            completed_at: at(moments.completed),
            failed_at: at(moments.failed),
            expired_at: at(moments.expired),
            cancelling_at: at(moments.cancelling),
            cancelled_at: at(moments.cancelled),
            request_counts: Counts {
                total: counts.total,
                completed: counts.completed,
                failed: counts.failed,
            },
            metadata: batch.metadata.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        }
    }
}
