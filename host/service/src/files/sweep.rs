//! The sweep: files and links whose time is over, and blobs that nothing names.

use std::io;
use std::time::Duration;

use atelier_domain::blob::BlobId;
use atelier_domain::store::{StoreError, SweepPage};
use atelier_domain::time::Timestamp;
use tokio::sync::watch;

use super::{FilePorts, Files};
use crate::ServiceError;

/// Rows removed and blobs looked at in one go; between two of them, others have their turn at the store.
const PAGE: usize = 256;
/// Files, links and blobs looked at in one sweep, each; the next one goes on behind them.
const PAGES_MAX: usize = 400;
/// Left in one sweep of one kind: where more is wrong, all is.
const SKIPPED_MAX: usize = 1024;
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
    /// Files that are not counted any more, some time after they were removed.
    pub forgotten: usize,
    /// Rows and blobs that could not be dealt with, and were left.
    pub skipped: usize,
}

/// What a page of a sweep came to.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    removed: usize,
    skipped: usize,
}

impl Tally {
    /// Takes note of one. What is wrong with it alone ends no sweep; what is wrong with all of them does.
    fn note(&mut self, what: &str, outcome: Result<bool, ServiceError>) -> Result<(), ServiceError> {
        match outcome {
            Ok(is_removed) => self.removed += usize::from(is_removed),
            Err(error @ (ServiceError::Store(StoreError::Damaged(_)) | ServiceError::Blobs(_)))
                if self.skipped < SKIPPED_MAX =>
            {
                self.skip(what, &error.to_string());
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn skip(&mut self, what: &str, why: &str) {
        self.skipped += 1;
        tracing::error!(what, why, "a sweep left something where it is");
    }
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
                        let Swept { files, links, blobs, forgotten, skipped } = swept;
                        tracing::info!(
                            files,
                            links,
                            blobs,
                            forgotten,
                            skipped,
                            "what nobody needs any more was removed"
                        );
                    }
                }
                Err(error) => tracing::error!(%error, "a sweep could not be ended"),
            }
        }
    }

    /// One sweep, bounded, over the blobs behind `after`; gives where the next is to begin, `None` at the end. What cannot be read or
    /// removed is left and counted.
    ///
    /// # Errors
    /// Storage is failing or busy; what was removed stays removed.
    pub async fn sweep(&self, after: Option<BlobId>) -> Result<(Swept, Option<BlobId>), ServiceError> {
        let now = self.inner.ports.clock.now();
        let grace = u64::try_from(self.inner.limits.grace.as_millis()).unwrap_or(u64::MAX);
        let before = Timestamp(now.0.saturating_sub(grace));
        let files = self.forget_files(now).await?;
        let links = self.forget_links(now).await?;
        let (mut blobs, mut position) = (Tally::default(), after);
        for _ in 0..PAGES_MAX {
            position = self.remove_blobs(position, before, &mut blobs).await?;
            if position.is_none() {
                break;
            }
        }
        let leaving = self.forget_leaving(before).await?;
        let meter = &self.inner.ports.meter;
        for (sweep, tally) in
            [("files", files), ("links", links), ("removed_files", leaving), ("blobs", blobs)]
        {
            meter.sweep_skipped(sweep, tally.skipped);
        }
        let swept = Swept {
            files: files.removed,
            links: links.removed,
            blobs: blobs.removed,
            forgotten: leaving.removed,
            skipped: [files, links, leaving, blobs].iter().map(|tally| tally.skipped).sum(),
        };
        Ok((swept, position))
    }

    async fn forget_files(&self, now: Timestamp) -> Result<Tally, ServiceError> {
        let FilePorts { store, pool, .. } = &self.inner.ports;
        let (mut tally, mut page) = (Tally::default(), SweepPage::first(PAGE));
        for _ in 0..PAGES_MAX {
            let (store, wanted) = (store.clone(), page.clone());
            let over = pool.run(move || store.expired_files(now, &wanted)).await?;
            over.unreadable.iter().for_each(|why| tally.skip("file", why));
            for file in over.rows {
                let outcome = self.inner.forget(file).await;
                tally.note("file", outcome)?;
            }
            page.after = over.next;
            if page.after.is_none() {
                break;
            }
        }
        Ok(tally)
    }

    async fn forget_links(&self, now: Timestamp) -> Result<Tally, ServiceError> {
        let FilePorts { links, pool, .. } = &self.inner.ports;
        let (mut tally, mut page) = (Tally::default(), SweepPage::first(PAGE));
        for _ in 0..PAGES_MAX {
            let (links, wanted) = (links.clone(), page.clone());
            let removing = pool.run(move || {
                let over = links.expired_links(now, &wanted)?;
                over.unreadable.iter().for_each(|why| tally.skip("link", why));
                for link in &over.rows {
                    tally.note("link", links.remove_link(link.owner, link.id).map_err(ServiceError::from))?;
                }
                Ok::<_, ServiceError>((tally, over.next))
            });
            (tally, page.after) = removing.await?;
            if page.after.is_none() {
                break;
            }
        }
        Ok(tally)
    }

    /// Lets removed files count no more, their content first.
    async fn forget_leaving(&self, before: Timestamp) -> Result<Tally, ServiceError> {
        let FilePorts { store, blobs, pool, .. } = &self.inner.ports;
        let (mut tally, mut page) = (Tally::default(), SweepPage::first(PAGE));
        for _ in 0..PAGES_MAX {
            let (store, blobs, wanted) = (store.clone(), blobs.clone(), page.clone());
            let forgetting = pool.run(move || {
                let over = store.leaving_files(before, &wanted)?;
                over.unreadable.iter().for_each(|why| tally.skip("removed file", why));
                for file in &over.rows {
                    let is_used = || store.is_blob_named(&file.blob).map_err(io::Error::other);
                    let outcome = match blobs.remove_unused(&file.blob, before, &is_used) {
                        Ok(_) => store.forget_leaving(file).map_err(ServiceError::from),
                        Err(error) => Err(error.into()),
                    };
                    tally.note("removed file", outcome)?;
                }
                Ok::<_, ServiceError>((tally, over.next))
            });
            (tally, page.after) = forgetting.await?;
            if page.after.is_none() {
                break;
            }
        }
        Ok(tally)
    }

    async fn remove_blobs(
        &self,
        after: Option<BlobId>,
        before: Timestamp,
        tally: &mut Tally,
    ) -> Result<Option<BlobId>, ServiceError> {
        let FilePorts { store, blobs, pool, .. } = &self.inner.ports;
        let (store, blobs, mut counted) = (store.clone(), blobs.clone(), *tally);
        let removing = pool.run(move || {
            let ids = blobs.ids(after, PAGE)?;
            for id in &ids {
                let is_used = || -> io::Result<bool> {
                    let is_named = store.is_blob_named(id).map_err(io::Error::other)?;
                    if !is_named {
                        // What was made of it goes with it: nothing names that from now on.
                        store.forget_renditions(id).map_err(io::Error::other)?;
                    }
                    Ok(is_named)
                };
                counted
                    .note("blob", blobs.remove_unused(id, before, &is_used).map_err(ServiceError::from))?;
            }
            Ok::<_, ServiceError>((counted, ids.last().copied().filter(|_| ids.len() == PAGE)))
        });
        let (counted, next) = removing.await?;
        *tally = counted;
        Ok(next)
    }
}
