//! `DELETE /api/v1/users/{id}`, and `POST /api/v1/account/delete` for one's own account.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, body, browser, gate};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountDeletion)]
struct Own {
    /// Your password.
    #[schema(format = Password)]
    password: String,
}

/// Deletes a user.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    call.app.deletions.delete(id).await?;
    Ok(gate::empty(StatusCode::ACCEPTED))
}

/// Deletes the caller.
pub(in crate::http) async fn own(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Own = body::parse(&bytes)?;
    let from = browser::address(&call.parts.extensions);
    call.app.deletions.delete_own(call.caller()?.user(), &body.password, from).await?;
    let mut reply = gate::empty(StatusCode::ACCEPTED);
    browser::set(&call.app.config.server, &mut reply.response, None);
    Ok(reply)
}

/// What happens, for the reference.
const ABOUT: &str = "At once none of their keys, sessions, links and webhooks works, their name is free, and what they have under way is \
    canceled. Then all that they stored or made is removed, which `GET /api/v1/users/{id}` tells the end of: files, results, conversations, kept \
    answers, batches, events. What the books and the audit log say of their id stays, and so does what a backup has. Credits that are left go \
    back where credits come from. It cannot be undone.";

/// What the reference says of deleting a user.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("deleteUser", Tag::Users, "Delete a user")
        .about(ABOUT)
        .path("id", id(), "The user. The last administrator cannot be deleted.")
        .empty(202, "They are deleted, and what they stored is being removed.")
        .refuses(&[404, 409])
}

/// What the reference says of deleting oneself.
pub(in crate::http) fn describe_own() -> Operation {
    Operation::new("deleteAccount", Tag::Sessions, "Delete your account")
        .about(
            "With all that you stored or made, as `DELETE /api/v1/users/{id}` does. It wants your password: an account without one is deleted by \
             an administrator.",
        )
        .takes::<Own>(json!({"password": "plum orbit 7 lantern"}))
        .empty(202, "It is deleted, and what was stored is being removed.")
        .header("set-cookie", "Takes the cookie back.")
        .refuses(&[409])
}
