//! `POST /api/v1/auth/password/forgot` and `/reset`.

use atelier_domain::mail::MailKind;
use http::StatusCode;
use serde_json::json;

use super::sign_up::{Redeemed, Wanted, asked};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, audit, gate};

/// Somebody has forgotten their password.
pub(in crate::http) async fn forgot(call: Call) -> Result<Reply, ApiError> {
    asked(call, MailKind::Reset).await
}

/// Sets another.
pub(in crate::http) async fn reset(mut call: Call) -> Result<Reply, ApiError> {
    let (token, password) = Redeemed::read(&mut call).await?;
    let app = call.app.clone();
    let user = app.enrolment.resets(&token).await?;
    let begun = app.audit.begin(audit::by_mail(&call, user)).await?;
    let set = app.enrolment.reset(&token, &password).await;
    audit::ended(begun, set.map(|()| gate::empty(StatusCode::NO_CONTENT)).map_err(ApiError::from)).await
}

/// What the reference says of forgetting.
pub(in crate::http) fn describe_forgot() -> Operation {
    Operation::new("forgotPassword", Tag::Sessions, "Ask for another password")
        .about(
            "Sends a mail to the address, with a token that sets another password for its account (`reset`). Where there is none, \
             nothing is sent; the answer is the same. Where the server sends no mail, `not_offered`.",
        )
        .takes::<Wanted>(json!({"email": "ada@atelier.dev"}))
        .empty(202, "The mail is on its way.")
        .refuses(&[403, 429, 500, 503, 504])
}

/// What the reference says of setting another.
pub(in crate::http) fn describe_reset() -> Operation {
    Operation::new("resetPassword", Tag::Sessions, "Set another password with a mailed token")
        .about("All sessions of the account end; keys go on. A token is good once, for an hour (`token_over`).")
        .takes::<Redeemed>(json!({"token": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA", "password": "plum orbit 7 lantern"}))
        .empty(204, "It is set: sign in with it.")
        .refuses(&[403, 429, 500, 503, 504])
}
