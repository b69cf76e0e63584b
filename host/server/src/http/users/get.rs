//! `GET /api/v1/users/{id}`.

use super::view::{UserView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// A user, also one who was deleted.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let user = call.app.accounts.user(id).await?;
    let deletion = call.app.accounts.deletion_of(&user).await?;
    answer::json(&UserView::of(&user, deletion))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getUser", Tag::Users, "Read a user")
        .about("Of one who was deleted, their id is left, and how far what they stored is removed.")
        .path("id", id(), "The user.")
        .answers::<UserView<'_>>(200, "The user.", sample())
        .refuses(&[404])
}
