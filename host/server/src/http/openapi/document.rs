//! The whole document.

use std::collections::BTreeMap;

use serde_json::json;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, OperationBuilder, PathsBuilder};
use utoipa::openapi::schema::{ComponentsBuilder, ObjectBuilder, Type};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Deprecated, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, Paths, Ref, ServerBuilder,
};

use super::refusal;
use super::{Operation, Tag};
use crate::http::route::{Access, Route, table};
use crate::http::{Dialect, sharing};

const ABOUT: &str = "\
One API for text, images, video, speech, transcripts and embeddings from any provider, and from models on the server itself.

**Clients.** `/v1/*` follows the OpenAI API, `/v1/messages` the Anthropic API: point any client library of theirs at this server. \
`/api/v1/*` is Atelier's own. The version is part of the path; an operation that is to go says so beforehand with the headers \
`deprecation` (RFC 9745) and `sunset` (RFC 8594).

**Keys.** Send `authorization: Bearer atl_…`, or `x-api-key: atl_…`. Each operation names the scope that its key needs.

**Errors.** Each API has one shape for all of them, with a stable `code`, a `message` that says what to do, the path of the \
offending member in `param`, and the request's id. A path that is not there answers 404, another method on one that is answers 405 \
with `allow`. `x-should-retry: false` marks what never gets better by being tried again.

**Every answer** carries `x-request-id` (yours, if you sent a decent one) and `server-timing` (milliseconds: `total`, `host` for what \
the server added, `upstream` for the provider; of a stream, until its first event). Answers to a key carry `ratelimit`, \
`ratelimit-policy` and `x-ratelimit-*`.

**Streams** are server-sent events. A comment every 15 seconds keeps them open; a failure in the middle is an event with the error \
and nothing after it, so that a stream without its proper end is never taken for a whole answer.";

/// The document of the route table, indented, with a last line break: what `atelier openapi` prints.
///
/// # Errors
/// It cannot be written as JSON: a bug of ours.
pub fn json() -> Result<String, serde_json::Error> {
    let mut text = document(&table()).to_pretty_json()?;
    text.push('\n');
    Ok(text)
}

fn document(table: &[Route]) -> OpenApi {
    let mut paths = PathsBuilder::new().build();
    let mut schemas: BTreeMap<_, _> = refusal::schemas().into_iter().collect();
    let mut refusals = BTreeMap::new();
    for route in table {
        let Some(describe) = route.operation else { continue };
        let operation = describe();
        schemas.extend(operation.schemas.iter().cloned());
        for status in refusal::statuses(route, &operation) {
            refusals
                .entry(refusal::name(route.dialect, status))
                .or_insert_with(|| refusal::response(route.dialect, status));
        }
        add(&mut paths, route, operation);
    }
    let components = ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .responses_from_iter(refusals)
        .security_scheme("bearer", bearer())
        .security_scheme(
            "header",
            SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::with_description(
                "x-api-key",
                "The same key as Anthropic's clients send it.",
            ))),
        )
        .security_scheme(
            "session",
            SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::with_description(
                "__Host-atelier",
                "A session, as `POST /api/v1/auth/sign-in` begins it (`atelier-session` without TLS). What changes something needs the \
                 session's `csrf_token` in the header `x-csrf-token` as well.",
            ))),
        );
    let tags =
        Tag::ALL.map(|(tag, about)| TagBuilder::new().name(tag.name()).description(Some(about)).build());
    let license =
        LicenseBuilder::new().name("Apache-2.0 OR MIT").identifier(Some("Apache-2.0 OR MIT")).build();
    OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("Atelier")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some(ABOUT))
                .license(Some(license)),
        )
        .servers(Some([ServerBuilder::new().url("/").description(Some("This server")).build()]))
        .paths(paths)
        .components(Some(components.build()))
        .tags(Some(tags))
        .build()
}

fn bearer() -> SecurityScheme {
    let about = "An API key of this server, as `atelier init`, `atelier key create` or `POST /api/v1/keys` show it once.";
    SecurityScheme::Http(
        HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .bearer_format("atl_…")
            .description(Some(about))
            .build(),
    )
}

fn add(paths: &mut Paths, route: &Route, operation: Operation) {
    let mut built = OperationBuilder::new()
        .operation_id(Some(operation.id))
        .tag(operation.tag.name())
        .summary(Some(operation.summary))
        .description((!operation.about.is_empty()).then_some(operation.about))
        .request_body(operation.body.clone())
        .extensions(Some(Extensions::from_iter([("x-atelier", rules(route))])));
    if route.deprecation.is_some() {
        built = built.deprecated(Some(Deprecated::True));
    }
    // The specification's word for "nobody has to be anybody" is an empty list.
    built = match route.access {
        Access::Public => built.securities(Some([])),
        Access::Key(scope) => built.securities(Some([
            SecurityRequirement::new("bearer", [scope.as_str()]),
            SecurityRequirement::new("header", [scope.as_str()]),
            SecurityRequirement::new("session", [scope.as_str()]),
        ])),
    };
    let refusals = refusal::statuses(route, &operation);
    for parameter in operation.parameters {
        built = built.parameter(parameter);
    }
    if route.idempotency.takes_key() {
        built = built.parameter(super::operation::idempotency_key());
    }
    if sharing::is_possible(route) {
        built = built.parameter(super::operation::share());
    }
    for (status, answer) in operation.answers {
        let id = HeaderBuilder::new()
            .description(Some("The request's id."))
            .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
            .build();
        built = built.response(status.to_string(), answer.header("x-request-id", id).build());
    }
    for status in refusals {
        built =
            built.response(status.to_string(), Ref::from_response_name(refusal::name(route.dialect, status)));
    }
    let method = match route.method {
        http::Method::GET => HttpMethod::Get,
        http::Method::DELETE => HttpMethod::Delete,
        _ => HttpMethod::Post,
    };
    paths.add_path_operation(path(route.path), vec![method], built);
}

/// A path as OpenAPI writes it: a part that takes the rest, slashes and all, is a part like any other there.
pub(super) fn path(axum: &str) -> String {
    axum.replace("{*", "{")
}

/// What else the host holds this route to.
fn rules(route: &Route) -> serde_json::Value {
    let scope = match route.access {
        Access::Public => None,
        Access::Key(scope) => Some(scope.as_str()),
    };
    let dialect = match route.dialect {
        Dialect::OpenAi => "openai",
        Dialect::Anthropic => "anthropic",
        Dialect::Problem => "atelier",
    };
    let mut rules = json!({"dialect": dialect});
    if let Some(scope) = scope {
        rules["scope"] = scope.into();
    }
    if let Some(class) = route.class {
        rules["limit"] = class.as_str().into();
    }
    if route.body_max > 0 && route.media != crate::http::route::Media::None {
        rules["body_bytes_max"] = route.body_max.into();
    }
    rules
}
