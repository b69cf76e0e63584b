//! `GET /links/{token}/thumbnail`: a small picture of an image for whoever was given its link.

use atelier_domain::rendition::RenditionKind;
use atelier_service::ServiceError;
use atelier_service::links::Target;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::follow::target;
use crate::http::content::{self, Content};
use crate::http::openapi::{Operation, Tag};
use crate::http::{ApiError, Call, Reply};

/// Streams a small picture of what a link leads to.
pub(in crate::http) async fn thumbnail(mut call: Call) -> Result<Reply, ApiError> {
    let Target { blob, left, .. } = target(&mut call).await?;
    let blob = match call.app.renditions.of(blob, RenditionKind::Thumbnail).await {
        Err(ServiceError::NotFound { .. }) => return Err(ApiError::NoSuchRoute),
        made => made?,
    };
    content::reply(
        &call.parts,
        Content { blob, name: None, may_be_shown: true, kept_seconds: Some(left.as_secs()) },
    )
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let token = ObjectBuilder::new().schema_type(Type::String);
    let operation = Operation::new("followLinkThumbnail", Tag::Links, "Get a thumbnail by a link").path(
        "token",
        token,
        "As the link has it.",
    );
    content::described(operation, content::THUMBNAIL).refuses(&[429, 503])
}
