//! The sweep: files and links whose time is over, and blobs that nothing names.

use std::io;
use std::time::Duration;

use atelier_domain::blob::BlobId;
use atelier_domain::time::Timestamp;
use tokio::sync::watch;

use super::{FilePorts, Files};
use crate::ServiceError;

/// Rows removed and blobs looked at in one go; between two of them, others have their turn at the store.
const PAGE: usize = 256;
/// Files, links and blobs looked at in one sweep, each; the next one goes on behind them.
const PAGES_MAX: usize = 400;
/// From one sweep to the next.
const REST: Duration = Duration::from_secs(15 * 60);
/// From the start to the first sweep: others come first.
const FIRST_REST: Duration = Duration::from_secs(60);

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub files: usize,
    pub links: usize,
    pub blobs: usize,
}

impl Files {
    /// Sweeps now and then until told to stop.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        let (mut rest, mut position) = (FIRST_REST, None);
        loop {
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
            rest = REST;
            match self.sweep(position).await {
                Ok((swept, reached)) => {
                    position = reached;
                    if swept != Swept::default() {
                        let Swept { files, links, blobs } = swept;
                        tracing::info!(files, links, blobs, "what nobody needs any more was removed");
                    }
                }
                Err(error) => tracing::error!(%error, "a sweep could not be ended"),
            }
        }
    }

    /// One sweep, bounded, over the blobs behind `after`; gives where the next is to begin, `None` at the end.
    ///
    /// # Errors
    /// Storage is failing or busy; what was removed stays removed.
    pub async fn sweep(&self, after: Option<BlobId>) -> Result<(Swept, Option<BlobId>), ServiceError> {
        let now = self.inner.ports.clock.now();
        let mut swept = Swept::default();
        for _ in 0..PAGES_MAX {
            let removed = self.forget_files(now).await?;
            swept.files += removed;
            if removed < PAGE {
                break;
            }
        }
        for _ in 0..PAGES_MAX {
            let removed = self.forget_links(now).await?;
            swept.links += removed;
            if removed < PAGE {
                break;
            }
        }
        let grace = u64::try_from(self.inner.limits.grace.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(now.0.saturating_sub(grace));
        let mut position = after;
        for _ in 0..PAGES_MAX {
            let (removed, reached) = self.remove_blobs(position, before).await?;
            swept.blobs += removed;
            position = reached;
            if position.is_none() {
                break;
            }
        }
        Ok((swept, position))
    }

    async fn forget_files(&self, now: Timestamp) -> Result<usize, ServiceError> {
        let FilePorts { store, pool, .. } = &self.inner.ports;
        let store = store.clone();
        let over = pool.run(move || store.expired_files(now, PAGE)).await?;
        let count = over.len();
        for file in over {
            self.inner.forget(file).await?;
        }
        Ok(count)
    }

    async fn forget_links(&self, now: Timestamp) -> Result<usize, ServiceError> {
        let FilePorts { links, pool, .. } = &self.inner.ports;
        let links = links.clone();
        pool.run(move || {
            let over = links.expired_links(now, PAGE)?;
            over.iter().try_for_each(|link| links.remove_link(link.owner, link.id).map(|_| ()))?;
            Ok::<_, ServiceError>(over.len())
        })
        .await
    }

    async fn remove_blobs(
        &self,
        after: Option<BlobId>,
        before: Timestamp,
    ) -> Result<(usize, Option<BlobId>), ServiceError> {
        let FilePorts { store, blobs, pool, .. } = &self.inner.ports;
        let (store, blobs) = (store.clone(), blobs.clone());
        pool.run(move || {
            let ids = blobs.ids(after, PAGE)?;
            let mut removed = 0;
            for id in &ids {
                let is_used = || store.is_blob_named(id).map_err(io::Error::other);
                removed += usize::from(blobs.remove_unused(id, before, &is_used)?);
            }
            Ok::<_, ServiceError>((removed, ids.last().copied().filter(|_| ids.len() == PAGE)))
        })
        .await
    }
}
