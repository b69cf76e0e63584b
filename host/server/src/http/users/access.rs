//! `POST /api/v1/users/{id}/disable` and `…/enable`.

use super::view::{UserView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer};

/// Takes all of a user's access away, at once.
pub(in crate::http) async fn disable(call: Call) -> Result<Reply, ApiError> {
    set(call, true).await
}

/// Gives a disabled user's keys their access back.
pub(in crate::http) async fn enable(call: Call) -> Result<Reply, ApiError> {
    set(call, false).await
}

async fn set(mut call: Call, disabled: bool) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    if disabled && call.caller()?.user() == id {
        return Err(ApiError::invalid("id", "an administrator cannot disable themselves"));
    }
    let user = call.app.accounts.set_disabled(id, disabled).await?;
    answer::json(&UserView::from(&user))
}

/// What the reference says of disabling.
pub(in crate::http) fn describe_disable() -> Operation {
    described("disableUser", "Disable a user", "Takes all of their access away, at once.")
}

/// What the reference says of enabling.
pub(in crate::http) fn describe_enable() -> Operation {
    described("enableUser", "Enable a user", "Gives a disabled user's keys their access back.")
}

fn described(operation: &'static str, summary: &'static str, about: &'static str) -> Operation {
    Operation::new(operation, Tag::Users, summary)
        .about(about)
        .path("id", id(), "The user.")
        .answers::<UserView<'_>>(200, "The user as they are now.", sample())
        .refuses(&[404])
}
