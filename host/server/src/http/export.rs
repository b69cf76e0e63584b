//! `GET /api/v1/account/export`, and for administrators `GET /api/v1/users/{id}/export`: all that a user has here, as one archive.
//!
//! What is in it are the very objects that the API's other routes show, so that there is one form of everything, and what those
//! routes keep to themselves (secrets, templates' hidden prompts) is in no archive either.

mod archive;
mod generation;
mod running;
mod sections;

use axum::body::Body;
use axum::response::Response;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderValue};

use atelier_domain::account::User;
use atelier_service::ServiceError;

use super::openapi::{Operation, Tag, form_file, id};
use super::query::path;
use super::{ApiError, Call, Reply};

pub(crate) use running::Exports;

/// The path of one's own.
pub(super) const OWN: &str = "/api/v1/account/export";
/// And of another user's.
pub(super) const OF_USER: &str = "/api/v1/users/{id}/export";

/// Streams what the caller has.
pub(super) async fn own(call: Call) -> Result<Reply, ApiError> {
    let user = call.app.accounts.user(call.caller()?.user()).await?;
    begin(&call, user)
}

/// Streams what a user has.
pub(super) async fn of_user(mut call: Call) -> Result<Reply, ApiError> {
    let id = path(&mut call, "id").await?;
    let user = call.app.accounts.user(id).await?;
    begin(&call, user)
}

fn begin(call: &Call, user: User) -> Result<Reply, ApiError> {
    if user.is_deleted() {
        return Err(ServiceError::NotFound { what: "such user" }.into());
    }
    let body = Body::from(running::begin(&call.app, user, call.request_id.clone())?);
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/zip"));
    headers.insert(
        CONTENT_DISPOSITION,
        HeaderValue::from_static("attachment; filename=\"atelier-account.zip\""),
    );
    Ok(Reply { response, provider_time: None, is_stream: true })
}

const ABOUT: &str = "One ZIP archive with a README that says what is in it: a document for each kind of thing, as the API shows them (JSON, \
    or a JSON object a line), and the content of files and results. Secrets are in none of it. It is made while it is taken; what is \
    changed meanwhile may be in it or not. One that breaks off has no table of contents and opens nowhere. Content that is gone or damaged is \
    named in `missing.ndjson`.";

/// What the reference says of one's own.
pub(super) fn describe_own() -> Operation {
    described(Operation::new("exportAccount", Tag::Sessions, "Export your account").about(ABOUT))
        .refuses(&[409])
}

/// What the reference says of another user's.
pub(super) fn describe_of_user() -> Operation {
    let operation = Operation::new("exportUser", Tag::Users, "Export a user's account").about(ABOUT);
    described(operation.path("id", id(), "The user.")).refuses(&[404, 409])
}

fn described(operation: Operation) -> Operation {
    operation.empty(200, "The archive.").or("application/zip", form_file())
}
