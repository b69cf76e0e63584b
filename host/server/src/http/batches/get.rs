//! `GET /v1/batches/{id}`.

use super::view::{BatchView, sample};
use super::{batch_id, named};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// One of the caller's batches.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let batch = named(&mut call).await?;
    answer::json(&BatchView::from(&batch))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getBatch", Tag::Batches, "Get a batch")
        .path("id", batch_id(), "The batch.")
        .answers::<BatchView<'_>>(200, "The batch as it is now.", sample("completed"))
        .refuses(&[404])
}
