//! `POST /api/v1/auth/sign-out-everywhere`, and for administrators `POST /api/v1/users/{id}/sign-out`.

use http::StatusCode;

use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, browser, gate};

/// Ends all of the caller's sessions.
pub(in crate::http) async fn own(call: Call) -> Result<Reply, ApiError> {
    call.app.accounts.sign_out_everywhere(call.caller()?.user()).await?;
    let mut reply = gate::empty(StatusCode::NO_CONTENT);
    browser::set(&call.app.config.server, &mut reply.response, None);
    Ok(reply)
}

/// Ends all sessions of a user.
pub(in crate::http) async fn forced(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    call.app.accounts.sign_out_everywhere(id).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of one's own.
pub(in crate::http) fn describe_own() -> Operation {
    Operation::new("signOutEverywhere", Tag::Sessions, "Sign out everywhere")
        .about("Ends all of your sessions, this one included. Keys go on.")
        .empty(204, "They are over.")
        .header("set-cookie", "Takes the cookie back.")
}

/// What the reference says of another's.
pub(in crate::http) fn describe_forced() -> Operation {
    Operation::new("signUserOut", Tag::Users, "End all sessions of a user")
        .about("At once. Their keys go on: disable the user to end those too.")
        .path("id", id(), "The user.")
        .empty(204, "They are over.")
        .refuses(&[404])
}
