//! The answers of refusals, shared by all operations: one for each dialect and status.

use std::collections::BTreeSet;

use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Header, Ref, Response};

use super::Operation;
use super::operation::Schemas;
use crate::http::Dialect;
use crate::http::error::{AnthropicError, OpenAiError, Problem};
use crate::http::route::{Access, Media, Route};
use utoipa::ToSchema;

/// The statuses of a route's refusals.
pub(super) fn statuses(route: &Route, operation: &Operation) -> BTreeSet<u16> {
    let mut all: BTreeSet<u16> = operation.refusals.iter().copied().collect();
    if route.access != Access::Public {
        // No key, too little of one, too often, storage that does not answer, too slow, and a request that came back.
        all.extend([401, 403, 429, 500, 503, 504, 508]);
    }
    if route.media != Media::None {
        all.extend([400, 408, 413, 415]);
    }
    if route.idempotency.takes_key() {
        all.extend([400, 409, 422]);
    }
    if !operation.parameters.is_empty() {
        all.insert(400);
    }
    all
}

/// Where a refusal stands among the components.
pub(super) fn name(dialect: Dialect, status: u16) -> String {
    let dialect = match dialect {
        Dialect::OpenAi => "OpenAi",
        Dialect::Anthropic => "Anthropic",
        Dialect::Problem => "Problem",
    };
    format!("{dialect}{status}")
}

pub(super) fn response(dialect: Dialect, status: u16) -> Response {
    let (content_type, schema) = match dialect {
        Dialect::OpenAi => ("application/json", OpenAiError::name()),
        Dialect::Anthropic => ("application/json", AnthropicError::name()),
        Dialect::Problem => ("application/problem+json", Problem::name()),
    };
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema)));
    let answer = ResponseBuilder::new().description(meaning(status)).content(content_type, content.build());
    let answer =
        answer.header("x-request-id", text("The request's id, as in the body and in the operator's log."));
    let answer = match status {
        401 => answer.header("www-authenticate", text("`Bearer`.")),
        409 | 429 | 503 | 507 => answer.header(
            "retry-after",
            text("Seconds to wait before the next attempt; absent where no time is known."),
        ),
        _ => answer,
    };
    answer.build()
}

/// The schemas of all refusals.
pub(super) fn schemas() -> Schemas {
    let mut all = Schemas::new();
    all.push((OpenAiError::name().into_owned(), <OpenAiError<'_> as utoipa::PartialSchema>::schema()));
    all.push((AnthropicError::name().into_owned(), <AnthropicError<'_> as utoipa::PartialSchema>::schema()));
    all.push((Problem::name().into_owned(), <Problem<'_> as utoipa::PartialSchema>::schema()));
    OpenAiError::schemas(&mut all);
    AnthropicError::schemas(&mut all);
    Problem::schemas(&mut all);
    all
}

fn text(about: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().description(Some(about)).schema(Some(text)).build()
}

fn meaning(status: u16) -> &'static str {
    match status {
        400 => "The request is malformed or asks for what cannot be; `param` names the member.",
        401 => "No key was given, or it is unknown, expired or revoked.",
        402 => "The credits do not suffice for the most that this may cost (`insufficient_credits`).",
        403 => "The key lacks the scope that this operation needs.",
        404 => "There is no such thing, or it is not yours to see.",
        408 => "The client paused for too long while it sent the body.",
        409 => {
            "It is there already, or in a state that does not allow this; or the first request with this `Idempotency-Key` is still under \
             way (`idempotency_key_in_use`), was interrupted (`outcome_unknown`), or its answer was not kept (`answer_not_kept`)."
        }
        412 => "The content is not the one that `if-match` names.",
        413 => {
            "The body is larger than this operation takes, or the files would have more bytes than allowed."
        }
        416 => "None of the bytes that `range` asks for are there.",
        415 => "The body's content type is not the one that this operation takes.",
        422 => "This `Idempotency-Key` was used with another request.",
        429 => {
            "Too many requests: the host's limit (`rate_limit_exceeded`, `too_many_connections`, `too_many_jobs`, `queue_full`) or the provider's \
             (`provider_rate_limited`); or a budget is spent (`budget_exceeded`)."
        }
        500 => "A fault of the host; the operator finds it in the log by the request's id.",
        502 => "The provider or its plugin failed.",
        503 => "The provider, or the host's storage, is not available at the moment.",
        504 => "The provider did not answer in time, or the request took longer than the host allows.",
        507 => "The disk of this server is almost full (`storage_full`).",
        508 => "The request has passed through this host before: an instance points back at it in a circle.",
        _ => "The request was refused.",
    }
}
