//! `/v1/batches` (OpenAI API, batches): many requests in one file, answered in files.

pub(super) mod cancel;
pub(super) mod create;
pub(super) mod get;
pub(super) mod list;
mod runner;
pub(super) mod view;

use atelier_domain::batch::Batch;
use atelier_domain::id::BatchId;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};

use super::query::path;
use super::{ApiError, Call, prefix};

pub use runner::Runner;

fn read(id: &str) -> Result<BatchId, ApiError> {
    prefix::read(prefix::BATCH, id, "such batch")
}

/// The caller's batch that the path names.
async fn named(call: &mut Call) -> Result<Batch, ApiError> {
    let id: String = path(call, "id").await?;
    Ok(call.app.batches.get(call.caller()?, read(&id)?).await?)
}

/// The schema of a batch's id.
fn batch_id() -> RefOr<Schema> {
    ObjectBuilder::new().schema_type(Type::String).pattern(Some("^batch_[0-9a-f]{32}$")).into()
}
