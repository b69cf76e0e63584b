//! `GET /api/v1/auth/sessions`, and `POST /api/v1/auth/sessions/{id}/revoke`.

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{SessionView, sample};
use crate::http::openapi::{Operation, Tag, id};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply, answer, gate};

#[derive(Serialize, ToSchema)]
#[schema(as = Sessions)]
struct Sessions<'a> {
    data: Vec<SessionView<'a>>,
}

/// The caller's sessions, newest first: as many as a user may have.
pub(in crate::http) async fn list(call: Call) -> Result<Reply, ApiError> {
    let caller = call.caller()?;
    let sessions = call.app.accounts.sessions(caller.user()).await?;
    let current = caller.principal.session;
    let views = sessions.iter().map(|session| SessionView::new(session, Some(session.id) == current));
    answer::json(&Sessions { data: views.collect() })
}

/// Ends one of the caller's sessions.
pub(in crate::http) async fn revoke(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    call.app.accounts.end_session(call.caller()?.user(), id).await?;
    Ok(gate::empty(StatusCode::NO_CONTENT))
}

/// What the reference says of the list.
pub(in crate::http) fn describe_list() -> Operation {
    Operation::new("listSessions", Tag::Sessions, "List your sessions")
        .about("Newest first. A user has a bounded number of them: the oldest ends where one more begins.")
        .answers::<Sessions<'_>>(200, "All sessions that go on.", json!({"data": [sample()]}))
}

/// What the reference says of ending one.
pub(in crate::http) fn describe_revoke() -> Operation {
    Operation::new("revokeSession", Tag::Sessions, "End one of your sessions")
        .about("At once.")
        .path("id", id(), "The session.")
        .empty(204, "It is over.")
        .refuses(&[404])
}
