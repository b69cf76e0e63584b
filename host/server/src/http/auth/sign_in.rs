//! `POST /api/v1/auth/sign-in`.

use atelier_service::ServiceError;
use atelier_service::accounts::SignIn;
use atelier_service::limits::{Class, Subject, network_of};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::view::{CurrentView, begun, current_sample};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply, audit, body, browser};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SignIn)]
struct Body {
    /// The user's name, or the address that they signed up with.
    name: String,
    #[schema(format = Password)]
    password: String,
}

/// Begins a session. A browser's earlier one ends: whoever put it there has nothing of the new one.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let app = call.app.clone();
    browser::check_origin(&app.config.server, &call.parts)?;
    counted(&call)?;
    let bytes = call.read_json().await?;
    let body: Body = body::parse(&bytes)?;
    let sign_in = SignIn {
        name: &body.name,
        password: &body.password,
        from: browser::address(&call.parts.extensions),
        agent: browser::agent(&call.parts.headers),
        before: browser::token(&app.config.server, &call.parts.headers),
    };
    let outcome = app.accounts.sign_in(sign_in).await;
    let signed_in =
        outcome.map_err(|error| audit::refused(&app, &call.route, &call.request_id, None, error.into()))?;
    begun(&app, &signed_in)
}

/// Counts a request of nobody's by the address that it came from.
pub(super) fn counted(call: &Call) -> Result<(), ApiError> {
    let from = Subject::Address(network_of(browser::address(&call.parts.extensions)));
    let taken = call.app.limiter.take(from, Class::SignIn, call.app.clock.monotonic_ms());
    if taken.retry_after.is_some() {
        call.app.metrics.refused(Class::SignIn);
        return Err(ServiceError::RateLimited(taken).into());
    }
    Ok(())
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    Operation::new("signIn", Tag::Sessions, "Sign in")
        .about(
            "Begins a session, whose secret is in the cookie that the answer sets. Whatever is wrong, the refusal is the same \
             (`sign_in_failed`). After some failures each further attempt has to wait for longer (`too_many_failures`).",
        )
        .takes::<Body>(json!({"name": "ada", "password": "plum orbit 7 lantern"}))
        .answers::<CurrentView>(200, "The session.", current_sample())
        .header("set-cookie", "The session's secret, out of reach of scripts.")
        .refuses(&[401, 403, 429, 500, 503, 504])
}
