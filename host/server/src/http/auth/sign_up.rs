//! `POST /api/v1/auth/sign-up`, `/sign-up/resend` and `/sign-up/verify`.

use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::token::Token;
use atelier_domain::mail::MailKind;
use atelier_service::ServiceError;
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::sign_in::counted;
use super::view::{CurrentView, begun, current_sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, body, browser, gate};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailRequest)]
pub(super) struct Wanted {
    /// The address to which the mail goes: plain ASCII, such as `ada@atelier.dev`.
    #[schema(format = Email, max_length = 254)]
    email: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MailedPassword)]
pub(super) struct Redeemed {
    /// As it was mailed.
    token: String,
    /// 12 to 128 characters of any kind; the passwords that are tried first are refused.
    #[schema(format = Password, min_length = 12)]
    password: String,
}

impl Redeemed {
    /// The token and the password.
    pub(super) async fn read(call: &mut Call) -> Result<(Token, String), ApiError> {
        browser::check_origin(&call.app.config.server, &call.parts)?;
        let bytes = call.read_json().await?;
        let body: Self = body::parse(&bytes)?;
        counted(call)?;
        // One of another form is as unknown as any.
        let token = Token::read(&body.token).ok_or(ServiceError::TokenOver)?;
        Ok((token, body.password))
    }
}

/// Somebody wants to sign up.
pub(in crate::http) async fn begin(call: Call) -> Result<Reply, ApiError> {
    asked(call, MailKind::SignUp).await
}

/// They want the mail again.
pub(in crate::http) async fn resend(call: Call) -> Result<Reply, ApiError> {
    asked(call, MailKind::Resend).await
}

/// Leaves a mail to be sent. The answer is the same whether there is an account.
pub(super) async fn asked(mut call: Call, kind: MailKind) -> Result<Reply, ApiError> {
    browser::check_origin(&call.app.config.server, &call.parts)?;
    let bytes = call.read_json().await?;
    let body: Wanted = body::parse(&bytes)?;
    let to: EmailAddress =
        body.email.parse().map_err(|error: atelier_domain::account::email::InvalidEmail| {
            ServiceError::Invalid { param: "email".to_owned(), message: error.to_string() }
        })?;
    call.app.enrolment.ask(kind, to, browser::address(&call.parts.extensions)).await?;
    Ok(gate::empty(StatusCode::ACCEPTED))
}

/// Makes the account.
pub(in crate::http) async fn verify(mut call: Call) -> Result<Reply, ApiError> {
    let (token, password) = Redeemed::read(&mut call).await?;
    let agent = browser::agent(&call.parts.headers);
    let made = call.app.enrolment.verify(&token, &password, agent).await?;
    begun(&call.app, &made)
}

/// What the reference says of signing up.
pub(in crate::http) fn describe_begin() -> Operation {
    Operation::new("signUp", Tag::Sessions, "Sign up")
        .about(
            "Sends a mail to the address, with a token that makes an account with it (`verify`); no account is made before. The answer is \
             the same where there is one already: then the mail says so. Where the server has no sign-up, `not_offered`.",
        )
        .takes::<Wanted>(json!({"email": "ada@atelier.dev"}))
        .empty(202, "The mail is on its way.")
        .refuses(&[403, 429, 500, 503, 504])
}

/// What the reference says of sending again.
pub(in crate::http) fn describe_resend() -> Operation {
    Operation::new("resendSignUp", Tag::Sessions, "Have the mail of a sign-up sent again")
        .about("Nothing is sent where nobody waits for it; the answer is the same. The token of an earlier mail is not good any more.")
        .takes::<Wanted>(json!({"email": "ada@atelier.dev"}))
        .empty(202, "The mail is on its way.")
        .refuses(&[403, 429, 500, 503, 504])
}

/// What the reference says of verifying.
pub(in crate::http) fn describe_verify() -> Operation {
    Operation::new("verifySignUp", Tag::Sessions, "Make an account")
        .about(
            "Makes the account of the address that the token was mailed to, whose name is the address, and begins a session. A token \
             is good once, for a day (`token_over`).",
        )
        .takes::<Redeemed>(json!({"token": "q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA", "password": "plum orbit 7 lantern"}))
        .answers::<CurrentView>(200, "The session.", current_sample())
        .header("set-cookie", "The session's secret, out of reach of scripts.")
        .refuses(&[403, 429, 500, 503, 504])
}
