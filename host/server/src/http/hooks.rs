//! `POST /hooks/{token}`: a provider calls back. The address itself is the permission, and the signature is checked behind it.

use atelier_domain::generation::media::Callback;
use atelier_service::callbacks::CallbackError;
use bytes::Bytes;
use http::StatusCode;
use serde_json::json;
use utoipa::openapi::schema::{ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::openapi::{Operation, Tag};
use super::query::path;
use super::{ApiError, Call, Reply, audit, gate};
use crate::listener::Peer;

/// Receives a callback. Whatever is wrong with its address, its signature or its time, the answer is that of an address at which there
/// is nothing.
pub(super) async fn receive(mut call: Call) -> Result<Reply, ApiError> {
    let token: String = path(&mut call, "token").await.map_err(|_| ApiError::NoSuchRoute)?;
    // Nothing is read for whoever was not given an address.
    let target = call.app.callbacks.target(&token);
    let body = if target.is_some() { call.read_json().await? } else { Bytes::new() };
    let readable = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let callback = Callback {
        headers: call.parts.headers.iter().filter_map(readable).collect(),
        query: call.parts.uri.query().unwrap_or_default().to_owned(),
        body,
    };
    let sender = call.parts.extensions.get::<Peer>().map(|peer| peer.0);
    let received = call.app.callbacks.receive(target, callback, sender, &call.request_id).await;
    match received {
        Ok(_) => Ok(gate::empty(StatusCode::OK)),
        Err(CallbackError::Refused) => {
            audit::refused_callback(&call);
            Err(ApiError::NoSuchRoute)
        }
        Err(CallbackError::Malformed) => {
            Err(ApiError::invalid("(body)", "the callback is not one of this provider's"))
        }
        Err(CallbackError::Service(error)) => Err(error.into()),
    }
}

/// What a provider sends: JSON of its own form.
enum CallbackBody {}

impl PartialSchema for CallbackBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(SchemaType::AnyValue).into()
    }
}

impl ToSchema for CallbackBody {}

/// What the reference says of it.
pub(super) fn describe() -> Operation {
    let token = ObjectBuilder::new().schema_type(Type::String);
    Operation::new("receiveCallback", Tag::Callbacks, "Call back")
        .about(
            "For providers alone. The address is the permission: there is one for each job and one for each instance, and neither can be \
             guessed. The provider's signature is checked behind it; whatever is refused is answered as an address at which there is nothing.",
        )
        .path("token", token, "As the host gave it to the provider.")
        .takes::<CallbackBody>(json!({"id": "a1b2c3", "status": "succeeded"}))
        .empty(200, "Taken, or known already.")
        .refuses(&[404, 500, 502, 503, 504])
}
