//! One open feed.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use atelier_domain::event::Event;
use atelier_domain::id::{JobId, UserId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::hub::Place;
use super::{FeedItem, Inner};
use crate::ServiceError;

/// Events read at once.
const PAGE: usize = 32;
/// How long to wait after storage refused.
const STORE_PAUSE: Duration = Duration::from_secs(1);
/// How often storage may refuse before the feed ends.
const REFUSALS_MAX: u32 = 5;

/// Whose events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    All,
    Job(JobId),
}

/// Why a feed ended.
enum End {
    /// There is nothing more, its time is over, or its reader left.
    Done,
    /// Its reader took nothing for too long.
    Stalled,
    Failed(ServiceError),
}

impl From<ServiceError> for End {
    fn from(error: ServiceError) -> Self {
        Self::Failed(error)
    }
}

pub(super) struct Feed {
    inner: Arc<Inner>,
    place: Place,
    owner: UserId,
    source: Source,
    /// The number that was given last.
    after: u64,
    /// The reader knows that nothing is kept of what there was.
    has_told_of_nothing: bool,
    reader: mpsc::Sender<FeedItem>,
    deadline: Instant,
}

impl Feed {
    pub(super) fn new(
        inner: Arc<Inner>,
        place: Place,
        owner: UserId,
        source: Source,
        after: u64,
        reader: mpsc::Sender<FeedItem>,
    ) -> Self {
        let deadline = Instant::now() + inner.limits.total_max;
        Self { inner, place, owner, source, after, has_told_of_nothing: false, reader, deadline }
    }

    pub(super) async fn run(mut self) {
        match self.give().await {
            End::Done => {}
            End::Stalled => {
                self.inner.cut.fetch_add(1, Ordering::Relaxed);
                tracing::debug!("an event feed was ended: its reader took nothing");
            }
            End::Failed(error) => tracing::warn!(%error, "an event feed was ended"),
        }
    }

    async fn give(&mut self) -> End {
        let mut refused = 0;
        loop {
            // What is stored after this mark wakes the feed again, also while it reads.
            self.place.newest.mark_unchanged();
            let given = self.give_more().await;
            let pause = match given {
                Ok(true) => {
                    refused = 0;
                    None
                }
                Ok(false) => return End::Done,
                Err(End::Failed(ServiceError::StorageBusy)) if refused < REFUSALS_MAX => {
                    refused += 1;
                    Some(STORE_PAUSE)
                }
                Err(end) => return end,
            };
            if let Err(end) = self.rest(pause).await {
                return end;
            }
        }
    }

    /// What there is; `true`: there may be more later.
    async fn give_more(&mut self) -> Result<bool, End> {
        if self.inner.is_disabled(self.owner).await? {
            return Ok(false);
        }
        match self.source {
            Source::All => self.give_all().await,
            Source::Job(id) => self.give_job(id).await,
        }
    }

    /// Waits for something new, saying now and then that the feed is alive.
    async fn rest(&mut self, pause: Option<Duration>) -> Result<(), End> {
        loop {
            let wait = pause.unwrap_or(self.inner.limits.heartbeat);
            tokio::select! {
                changed = self.place.newest.changed(), if pause.is_none() => {
                    return changed.map_err(|_| End::Done);
                }
                () = self.reader.closed() => return Err(End::Done),
                _ = self.place.closed.wait_for(|closed| *closed) => return Err(End::Done),
                () = tokio::time::sleep_until(self.deadline) => return Err(End::Done),
                () = tokio::time::sleep(wait) => {}
            }
            if pause.is_some() {
                return Ok(());
            }
            match self.inner.is_disabled(self.owner).await {
                // What cannot be asked now is asked with the next sign of life.
                Ok(false) | Err(ServiceError::StorageBusy) => self.send(FeedItem::Alive).await?,
                Ok(true) => return Err(End::Done),
                Err(error) => return Err(error.into()),
            }
        }
    }

    async fn send(&self, item: FeedItem) -> Result<(), End> {
        let patience =
            self.inner.limits.stall_max.min(self.deadline.saturating_duration_since(Instant::now()));
        match self.reader.send_timeout(item, patience).await {
            Ok(()) => Ok(()),
            Err(mpsc::error::SendTimeoutError::Closed(_)) => Err(End::Done),
            Err(mpsc::error::SendTimeoutError::Timeout(_)) => Err(End::Stalled),
        }
    }

    async fn send_event(&mut self, event: Event) -> Result<(), End> {
        let sequence = event.sequence;
        self.send(FeedItem::Event(Box::new(event))).await?;
        self.after = sequence;
        Ok(())
    }

    /// All that there is of the owner's; `true`: there may be more later.
    async fn give_all(&mut self) -> Result<bool, End> {
        loop {
            let page = self.inner.page(self.owner, self.after, PAGE).await?;
            let is_last = page.events.len() < PAGE;
            // A number that was never given is one of another database, such as of before a backup was restored.
            if self.after.saturating_add(1) < page.oldest || self.after > page.newest {
                self.after = page.oldest - 1;
                self.send(FeedItem::Missed { oldest: page.oldest }).await?;
                continue;
            }
            for event in page.events {
                // What was swept while the page was read.
                if event.sequence != self.after + 1 {
                    self.send(FeedItem::Missed { oldest: event.sequence }).await?;
                }
                self.send_event(event).await?;
            }
            if is_last {
                return Ok(true);
            }
        }
    }

    /// All that there is of one job; `false`: it has ended.
    async fn give_job(&mut self, id: JobId) -> Result<bool, End> {
        // Asked first: what it says last is stored before it is over.
        let is_over = self.inner.is_over(self.owner, id).await?;
        let page = self.inner.job_page(self.owner, id, self.after).await?;
        let is_nothing = page.events.is_empty();
        if page.is_cut && !(is_nothing && self.has_told_of_nothing) {
            self.has_told_of_nothing = is_nothing;
            let oldest = page.events.first().map_or(self.after.saturating_add(2), |event| event.sequence);
            self.send(FeedItem::Missed { oldest }).await?;
        }
        for event in page.events {
            let is_final = event.kind.is_final();
            self.send_event(event).await?;
            if is_final {
                return Ok(false);
            }
        }
        Ok(!is_over)
    }
}
