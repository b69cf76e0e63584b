//! `POST /hooks/{token}`: a provider calls back. The address itself is the permission, and the signature is checked behind it.

use atelier_domain::generation::media::Callback;
use atelier_service::callbacks::CallbackError;
use http::StatusCode;

use super::query::path;
use super::{ApiError, Call, Reply, gate};

/// Receives a callback. Whatever is wrong with its address, its signature or its time, the answer is that of an address at which there
/// is nothing.
pub(super) async fn receive(mut call: Call) -> Result<Reply, ApiError> {
    let body = call.read_json().await?;
    let token: String = path(&mut call, "token").await.map_err(|_| ApiError::NoSuchRoute)?;
    let readable = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    let callback = Callback {
        headers: call.parts.headers.iter().filter_map(readable).collect(),
        query: call.parts.uri.query().unwrap_or_default().to_owned(),
        body,
    };
    match call.app.callbacks.receive(&token, callback, &call.request_id).await {
        Ok(_) => Ok(gate::empty(StatusCode::OK)),
        Err(CallbackError::Refused) => Err(ApiError::NoSuchRoute),
        Err(CallbackError::Malformed) => {
            Err(ApiError::invalid("(body)", "the callback is not one of this provider's"))
        }
        Err(CallbackError::Service(error)) => Err(error.into()),
    }
}
