//! The port through which results are fetched from where a provider put them.

use std::fmt::Debug;

use async_trait::async_trait;
use atelier_domain::blob::Blob;
use atelier_domain::failure::ProviderError;

/// Fetches results without secrets, only from the download hosts of the instance's manifest.
#[async_trait]
pub trait Fetcher: Send + Sync + Debug {
    /// The whole body at `url`, at most `bytes_max` of it, with the media type that its content shows.
    async fn fetch(&self, instance: &str, url: &str, bytes_max: u64) -> Result<Blob, ProviderError>;
}

/// Refuses every address: for a host whose providers keep no results elsewhere.
#[derive(Debug, Default)]
pub struct NoFetcher;

#[async_trait]
impl Fetcher for NoFetcher {
    async fn fetch(&self, instance: &str, url: &str, _: u64) -> Result<Blob, ProviderError> {
        Err(ProviderError::EgressDenied {
            instance: instance.to_owned(),
            host: url.chars().take(200).collect(),
            reason: "this instance has no download hosts".to_owned(),
        })
    }
}
