//! `POST /api/v1/auth/password`, and for administrators `POST /api/v1/users/{id}/password`.

use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{CurrentView, begun, current_sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, body, browser, gate};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PasswordChange)]
struct Change {
    /// The one that holds until now.
    #[schema(format = Password)]
    password: String,
    /// 12 to 128 characters of any kind; the passwords that are tried first are refused.
    #[schema(format = Password, min_length = 12)]
    new_password: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewPassword)]
struct New {
    /// 12 to 128 characters of any kind; the passwords that are tried first are refused.
    #[schema(format = Password, min_length = 12)]
    password: String,
}

/// Changes the caller's own password.
pub(in crate::http) async fn change(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let body: Change = body::parse(&bytes)?;
    let (from, agent) = (browser::address(&call.parts.extensions), browser::agent(&call.parts.headers));
    let passwords = (body.password.as_str(), body.new_password.as_str());
    let made = call.app.accounts.change_password(call.caller()?.user(), passwords, from, agent).await?;
    begun(&call.app, &made)
}

/// Sets a user's password.
pub(in crate::http) async fn set(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let id = path(&mut call, "id").await?;
    let body: New = body::parse(&bytes)?;
    call.app.accounts.set_password(id, &body.password).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of changing.
pub(in crate::http) fn describe_change() -> Operation {
    Operation::new("changePassword", Tag::Sessions, "Change your password")
        .about("All of your sessions end, and the answer's cookie begins a new one. Keys go on.")
        .takes::<Change>(json!({"password": "plum orbit 7 lantern", "new_password": "quiet harbour of nine"}))
        .answers::<CurrentView>(200, "The new session.", current_sample())
        .header("set-cookie", "The session's secret, out of reach of scripts.")
        .refuses(&[409])
}

/// What the reference says of setting.
pub(in crate::http) fn describe_set() -> Operation {
    Operation::new("setPassword", Tag::Users, "Set a user's password")
        .about("With it they can sign in. All of their sessions end; their keys go on.")
        .path("id", id(), "The user.")
        .takes::<New>(json!({"password": "plum orbit 7 lantern"}))
        .empty(204, "It is set.")
        .refuses(&[404, 409])
}
