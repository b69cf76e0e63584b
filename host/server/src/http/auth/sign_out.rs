//! `POST /api/v1/auth/sign-out`.

use http::StatusCode;

use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, browser, gate};

/// Ends the session that asks, and takes its cookie back.
pub(in crate::http) async fn handle(call: Call) -> Result<Reply, ApiError> {
    let server = &call.app.config.server;
    // A key has no session, whatever cookie comes with it.
    if call.caller()?.principal.session.is_some()
        && let Some(token) = browser::token(server, &call.parts.headers)
    {
        call.app.accounts.sign_out(&token).await?;
    }
    let mut reply = gate::empty(StatusCode::NO_CONTENT);
    browser::set(server, &mut reply.response, None);
    Ok(reply)
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("signOut", Tag::Sessions, "Sign out")
        .about("Ends the session that asks. With a key it changes nothing.")
        .empty(204, "It is over.")
        .header("set-cookie", "Takes the cookie back.")
}
