//! Fetches a result from where a provider put it, only from granted hosts, into a blob.

use std::sync::Arc;

use atelier_domain::blob::{Blob, BlobStore};
use http::header::{HeaderMap, LOCATION};
use http::{Method, StatusCode};
use url::Url;

use super::{Egress, EgressError, Grants, OutgoingBody, OutgoingRequest, Secrets};

/// Redirects that a download follows; each is held against the grants anew.
const REDIRECTS_MAX: usize = 3;
const READ_BYTES: usize = 256 * 1024;

impl Egress {
    /// Downloads the body at `url` into `store`, `bytes_max` at most. A secret goes only to the hosts that may have it, however
    /// redirects lead.
    ///
    /// # Errors
    /// Refused by the grants, failed on the way, too large, or an answer other than 200.
    pub async fn download(
        &self,
        url: &str,
        grants: &Grants,
        secrets: &Secrets,
        store: Arc<dyn BlobStore>,
        bytes_max: u64,
    ) -> Result<Blob, EgressError> {
        let mut url = Url::parse(url)
            .map_err(|error| EgressError::Invalid(format!("the URL is malformed: {error}")))?;
        for _ in 0..=REDIRECTS_MAX {
            let request = OutgoingRequest {
                method: Method::GET,
                url: url.clone(),
                headers: HeaderMap::new(),
                body: OutgoingBody::default(),
                request_id: None,
                depth: 0,
                trace: None,
            };
            let mut received = self.send(request, grants, secrets).await?;
            if received.status.is_redirection() {
                url = redirected(&url, &received.headers)?;
                continue;
            }
            if received.status != StatusCode::OK {
                return Err(EgressError::Invalid(format!("the download answered {}", received.status)));
            }
            return save(&mut received.body, store, bytes_max).await;
        }
        Err(EgressError::Invalid(format!("the download redirects more than {REDIRECTS_MAX} times")))
    }
}

fn redirected(from: &Url, headers: &HeaderMap) -> Result<Url, EgressError> {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    location
        .and_then(|location| from.join(location).ok())
        .ok_or_else(|| EgressError::Invalid("the download redirects to nowhere".to_owned()))
}

async fn save(
    body: &mut super::IncomingBody,
    store: Arc<dyn BlobStore>,
    bytes_max: u64,
) -> Result<Blob, EgressError> {
    let content_type = body.content_type().unwrap_or("application/octet-stream").to_owned();
    let mut writer = blocking(move || store.create(&content_type)).await?;
    let mut size = 0u64;
    while let Some(chunk) = body.read(READ_BYTES).await? {
        size += chunk.len() as u64;
        if size > bytes_max {
            return Err(EgressError::TooLarge(bytes_max));
        }
        writer = blocking(move || writer.append(&chunk).map(|()| writer)).await?;
    }
    blocking(move || writer.finish()).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, EgressError> {
    crate::v0_1::imports::blobs::blocking(work)
        .await
        .map_err(|error| EgressError::Invalid(format!("the blob store failed: {error}")))
}
