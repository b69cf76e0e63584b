//! `GET /api/v1/auth/session`.

use atelier_service::ServiceError;

use super::view::{CurrentView, current_sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, answer, browser};

/// The session that asks.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let app = &call.app;
    let (owner, none) =
        (call.caller()?.user(), || ServiceError::NotFound { what: "session: a key was sent" });
    let id = call.caller()?.principal.session.ok_or_else(none)?;
    let token = browser::token(&app.config.server, &call.parts.headers).ok_or_else(none)?;
    let sessions = app.accounts.sessions(owner).await?;
    let session = sessions.iter().find(|session| session.id == id).ok_or(ServiceError::SessionOver)?;
    let user = app.accounts.user(owner).await?;
    answer::json(&CurrentView::new(app, &user, session, &token))
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("getCurrentSession", Tag::Sessions, "See who is signed in")
        .about("For a page that was loaded anew: who its user is, and the `csrf_token` of the session.")
        .answers::<CurrentView>(200, "The session that asks.", current_sample())
        .refuses(&[404])
}
