//! The description as the host serves it: the document, and a page to read it on that loads nothing from elsewhere.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH};
use http::{HeaderMap, StatusCode};
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::{Operation, Tag, any_object};
use crate::http::{ApiError, Call, Reply};

/// How long a copy may be used before the server is asked whether it is still good.
const CACHED: HeaderValue = HeaderValue::from_static("public, max-age=300");
/// The page runs one script and one style sheet, both of its own, and asks this server alone.
const PAGE_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'",
);

/// Bytes that stay the same as long as the process runs, and their tag.
struct Fixed {
    content_type: HeaderValue,
    body: Bytes,
    tag: HeaderValue,
}

impl Fixed {
    fn new(content_type: &'static str, body: Bytes) -> Self {
        let tag = format!("\"{}\"", &blake3::hash(&body).to_hex()[..32]);
        let tag = HeaderValue::try_from(tag).unwrap_or(HeaderValue::from_static("\"\""));
        Self { content_type: HeaderValue::from_static(content_type), body, tag }
    }

    /// The bytes, or 304 for a caller who has them (RFC 9110 §13.1.2).
    fn answer(&self, asked: &HeaderMap) -> Reply {
        let is_known =
            asked.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).any(|tags| {
                let mut tags = tags.split(',').map(|tag| tag.trim().trim_start_matches("W/"));
                tags.any(|tag| tag == "*" || tag.as_bytes() == self.tag.as_bytes())
            });
        let mut response =
            Response::new(if is_known { Body::empty() } else { Body::from(self.body.clone()) });
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
        let headers = response.headers_mut();
        if !is_known {
            headers.insert(CONTENT_TYPE, self.content_type.clone());
        }
        headers.insert(ETAG, self.tag.clone());
        headers.insert(CACHE_CONTROL, CACHED);
        headers.insert(CONTENT_SECURITY_POLICY, PAGE_POLICY);
        response.into()
    }
}

/// The document, made when it is first asked for.
static DOCUMENT: LazyLock<Result<Fixed, String>> = LazyLock::new(|| {
    let text = super::json().map_err(|error| error.to_string())?;
    Ok(Fixed::new("application/json", text.into()))
});
static PAGE: LazyLock<Fixed> = LazyLock::new(|| {
    Fixed::new("text/html; charset=utf-8", Bytes::from_static(include_bytes!("reference/page.html")))
});
static SCRIPT: LazyLock<Fixed> = LazyLock::new(|| {
    Fixed::new("text/javascript; charset=utf-8", Bytes::from_static(include_bytes!("reference/page.js")))
});
static STYLE: LazyLock<Fixed> = LazyLock::new(|| {
    Fixed::new("text/css; charset=utf-8", Bytes::from_static(include_bytes!("reference/page.css")))
});

/// The operations of this chapter.
pub(in crate::http) struct Reference;

impl Reference {
    pub(in crate::http) fn document() -> Operation {
        Operation::new("getOpenApi", Tag::Reference, "Get this description")
            .about("OpenAPI 3.1, made from the routes and types of the running server. Send its `etag` as `if-none-match` to ask for changes.")
            .answers::<AnyDocument>(200, "The document.", json!({"openapi": "3.1.0"}))
            .header("etag", "Changes with the document.")
            .empty(304, "You have it already.")
    }
    pub(in crate::http) fn page() -> Operation {
        text(
            "getReferencePage",
            "Read this description",
            "A page with every operation, its parameters, schemas and an example call.",
            "text/html",
        )
    }
    pub(in crate::http) fn script() -> Operation {
        text("getReferenceScript", "Get the reference page's script", "", "text/javascript")
    }
    pub(in crate::http) fn style() -> Operation {
        text("getReferenceStyle", "Get the reference page's style sheet", "", "text/css")
    }
}

/// An OpenAPI document.
struct AnyDocument;

impl utoipa::PartialSchema for AnyDocument {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
        any_object()
    }
}
impl utoipa::ToSchema for AnyDocument {
    fn name() -> std::borrow::Cow<'static, str> {
        "OpenApiDocument".into()
    }
}

fn text(id: &'static str, summary: &'static str, about: &'static str, content_type: &str) -> Operation {
    Operation::new(id, Tag::Reference, summary)
        .about(about)
        .empty(200, "The file.")
        .or(content_type, ObjectBuilder::new().schema_type(Type::String))
        .header("etag", "Changes with the content.")
        .empty(304, "You have it already.")
}

/// `GET /api/v1/openapi.json`.
pub(in crate::http) async fn document(call: Call) -> Result<Reply, ApiError> {
    match &*DOCUMENT {
        Ok(document) => Ok(document.answer(&call.parts.headers)),
        Err(error) => Err(ApiError::bug(format!("the description is no JSON: {error}"))),
    }
}

/// `GET /docs`.
pub(in crate::http) async fn docs_page(call: Call) -> Result<Reply, ApiError> {
    Ok(PAGE.answer(&call.parts.headers))
}

/// `GET /docs/page.js`.
pub(in crate::http) async fn docs_script(call: Call) -> Result<Reply, ApiError> {
    Ok(SCRIPT.answer(&call.parts.headers))
}

/// `GET /docs/page.css`.
pub(in crate::http) async fn docs_style(call: Call) -> Result<Reply, ApiError> {
    Ok(STYLE.answer(&call.parts.headers))
}
