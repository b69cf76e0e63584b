//! `GET /api/v1/generations/{id}`.

use super::view::{JobView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// One of the caller's jobs; anybody's for administrators.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let job = call.app.jobs.see(call.caller()?, id).await?;
    answer::json(&JobView::from(&job))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getGeneration", Tag::Generations, "Get a generation")
        .about("One of your own; for a key with the scope `admin`, anybody's.")
        .path("id", id(), "The job.")
        .answers::<JobView<'_>>(200, "The job as it is now.", sample("processing"))
        .refuses(&[404])
}
