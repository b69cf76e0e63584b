//! `GET /links/{token}`: an artifact for whoever was given its link. The address itself is the permission.

use atelier_service::ServiceError;
use atelier_service::limits::Class;
use atelier_service::links::Target;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use crate::http::content::{self, Content};
use crate::http::openapi::{Operation, Tag};
use crate::http::query::path;
use crate::http::{ApiError, Call, Reply};

/// Streams what a link leads to.
pub(in crate::http) async fn handle(mut call: Call) -> Result<Reply, ApiError> {
    let Target { blob, name, left, .. } = target(&mut call).await?;
    let content = Content {
        blob,
        name: name.as_deref(),
        may_be_shown: true,
        // No longer than the link lasts.
        kept_seconds: Some(left.as_secs()),
    };
    content::reply(&call.parts, content)
}

/// What the token of a call's path leads to. Whatever is wrong with it, the answer is that of an address at which there is nothing.
pub(super) async fn target(call: &mut Call) -> Result<Target, ApiError> {
    let token: String = path(call, "token").await.map_err(|_| ApiError::NoSuchRoute)?;
    match call.app.links.follow(&token).await {
        Ok(target) => Ok(target),
        Err(ServiceError::NotFound { .. }) => Err(ApiError::NoSuchRoute),
        Err(error @ ServiceError::RateLimited(_)) => {
            call.app.metrics.refused(Class::Shares);
            Err(error.into())
        }
        Err(other) => Err(other.into()),
    }
}

/// What the reference says of it.
pub(in crate::http) fn describe() -> Operation {
    let token = ObjectBuilder::new().schema_type(Type::String);
    let operation =
        Operation::new("followLink", Tag::Links, "Follow a link").path("token", token, "As the link has it.");
    content::described(
        operation,
        "Open to anybody who has the address. Pictures, sounds and videos may be shown, everything else is saved; a link that has \
         expired or was revoked is answered as an address at which there is nothing.",
    )
    .refuses(&[429, 503])
}
