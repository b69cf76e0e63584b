//! Feeds of events: what was stored while nobody looked, then what is stored from then on, each once and in its order.
//!
//! A feed is woken when there is something new and reads it from the store, from the number that it last gave: so nothing is lost or
//! doubled between what is read and what is told, and nothing of a feed is held in memory but one page.

mod feed;
mod hub;
mod sweep;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atelier_domain::event::Event;
use atelier_domain::id::{JobId, UserId};
use atelier_domain::store::{AccountStore, EventPage, EventStore, JobEventPage, JobStore};
use atelier_domain::time::Clock;
use tokio::sync::mpsc;

use crate::caller::Caller;
use crate::{ServiceError, StoragePool};

use feed::{Feed, Source};
pub use hub::Hub;

/// What waits for the reader of one feed.
const HELD_MAX: usize = 64;

/// Bounds of feeds and of what they are read from.
#[derive(Clone, Copy, Debug)]
pub struct EventLimits {
    /// Open feeds of one user.
    pub feeds_per_user: usize,
    /// Open feeds of all users.
    pub feeds_max: usize,
    /// Silence after which a feed says that it is alive.
    pub heartbeat: Duration,
    /// How long a reader may take nothing.
    pub stall_max: Duration,
    /// How long a feed lasts; its reader then asks again.
    pub total_max: Duration,
    /// Events kept of each user.
    pub kept_per_user: u64,
    /// How long an event is kept.
    pub kept_for: Duration,
}

impl Default for EventLimits {
    fn default() -> Self {
        Self {
            feeds_per_user: 16,
            feeds_max: 4096,
            heartbeat: Duration::from_secs(15),
            stall_max: Duration::from_secs(30),
            total_max: Duration::from_secs(600),
            kept_per_user: 10_000,
            kept_for: Duration::from_secs(7 * 86_400),
        }
    }
}

/// A piece of a feed.
#[derive(Clone, Debug, PartialEq)]
pub enum FeedItem {
    Event(Box<Event>),
    /// Events before this number, and after the one that was asked for, are kept no more.
    Missed {
        oldest: u64,
    },
    /// Nothing happened for a while.
    Alive,
}

/// What a feed's reader gets. Dropped, the feed ends.
pub type Feeding = mpsc::Receiver<FeedItem>;

/// What feeds are read from.
#[derive(Debug)]
pub struct EventPorts {
    pub accounts: Arc<dyn AccountStore>,
    pub events: Arc<dyn EventStore>,
    pub jobs: Arc<dyn JobStore>,
    pub pool: StoragePool,
    pub clock: Arc<dyn Clock>,
    pub hub: Arc<Hub>,
}

#[derive(Debug)]
struct Inner {
    ports: EventPorts,
    limits: EventLimits,
    /// Feeds that were ended because their reader took nothing.
    cut: AtomicU64,
    /// Users whose old events a sweep had to leave.
    skipped: AtomicU64,
}

/// Feeds of all users.
#[derive(Clone, Debug)]
pub struct Events {
    inner: Arc<Inner>,
}

impl Events {
    /// No feed is open yet. The store tells the hub of events from now on.
    pub fn new(ports: EventPorts, limits: EventLimits) -> Self {
        ports.events.watch_events(ports.hub.clone());
        Self { inner: Arc::new(Inner { ports, limits, cut: AtomicU64::new(0), skipped: AtomicU64::new(0) }) }
    }

    /// All events of the caller's jobs after the one with this number; without one, what happens from now on.
    ///
    /// # Errors
    /// Too many feeds are open, or storage is busy.
    pub async fn follow(&self, caller: &Caller, after: Option<u64>) -> Result<Feeding, ServiceError> {
        let owner = caller.user();
        let place = self.inner.place(owner)?;
        let after = match after {
            Some(after) => after,
            None => self.inner.page(owner, u64::MAX, 0).await?.newest,
        };
        Ok(self.begin(place, owner, Source::All, after))
    }

    /// The events of one of the caller's jobs after the one with this number, until its last. `None` if there are none and never will be.
    ///
    /// # Errors
    /// They have no such job, too many feeds are open, or storage is busy.
    pub async fn follow_job(
        &self,
        caller: &Caller,
        id: JobId,
        after: u64,
    ) -> Result<Option<Feeding>, ServiceError> {
        let owner = caller.user();
        let is_over = self.inner.is_over(owner, id).await?;
        if is_over {
            let page = self.inner.job_page(owner, id, after).await?;
            // Whoever has seen anything of it has seen all that is left.
            if page.events.is_empty() && (!page.is_cut || after > 0) {
                return Ok(None);
            }
        }
        let place = self.inner.place(owner)?;
        Ok(Some(self.begin(place, owner, Source::Job(id), after)))
    }

    fn begin(&self, place: hub::Place, owner: UserId, source: Source, after: u64) -> Feeding {
        let (sender, items) = mpsc::channel(HELD_MAX);
        let feed = Feed::new(self.inner.clone(), place, owner, source, after, sender);
        tokio::spawn(feed.run());
        items
    }

    /// Feeds that are open.
    pub fn open(&self) -> usize {
        self.inner.ports.hub.open()
    }

    /// How often a sweep had to leave a user's old events, since they could not be read.
    pub fn left_by_sweeps(&self) -> u64 {
        self.inner.skipped.load(Ordering::Relaxed)
    }

    /// Feeds that were ended because their reader took nothing, so far.
    pub fn cut(&self) -> u64 {
        self.inner.cut.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn place(&self, owner: UserId) -> Result<hub::Place, ServiceError> {
        let limits = &self.limits;
        self.ports.hub.clone().enter(owner, limits.feeds_per_user, limits.feeds_max)
    }

    /// Whether the owner of feeds may not read them any more.
    async fn is_disabled(&self, owner: UserId) -> Result<bool, ServiceError> {
        let accounts = self.ports.accounts.clone();
        self.ports.pool.run(move || accounts.is_user_disabled(owner)).await
    }

    async fn page(&self, owner: UserId, after: u64, limit: usize) -> Result<EventPage, ServiceError> {
        let store = self.ports.events.clone();
        self.ports.pool.run(move || store.events(owner, after, limit)).await
    }

    async fn job_page(&self, owner: UserId, id: JobId, after: u64) -> Result<JobEventPage, ServiceError> {
        let store = self.ports.events.clone();
        self.ports.pool.run(move || store.events_of_job(owner, id, after)).await
    }

    /// Whether the owner's job has ended.
    async fn is_over(&self, owner: UserId, id: JobId) -> Result<bool, ServiceError> {
        let store = self.ports.jobs.clone();
        let job = self.ports.pool.run(move || store.job_of(owner, id)).await?;
        Ok(job.ok_or(ServiceError::NotFound { what: "such generation" })?.state.is_final())
    }
}
