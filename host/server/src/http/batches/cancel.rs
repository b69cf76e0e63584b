//! `POST /v1/batches/{id}/cancel`.

use super::view::{BatchView, sample};
use super::{batch_id, named};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer};

/// Asks for a batch to be ended; one that has ended stays as it is.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let batch = named(&mut call).await?;
    let batch = call.app.batches.cancel(call.caller()?, batch.id).await?;
    answer::json(&BatchView::from(&batch))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("cancelBatch", Tag::Batches, "Cancel a batch")
        .about(
            "No more requests are begun; those under way end by themselves. What is answered is in the files as soon as the batch is \
             `cancelled`. A batch that has ended stays as it is.",
        )
        .path("id", batch_id(), "The batch.")
        .answers::<BatchView<'_>>(200, "The batch as it is now.", sample("cancelling"))
        .refuses(&[404])
}
