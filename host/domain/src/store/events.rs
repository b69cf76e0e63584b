//! The port of stored events. A store makes them itself, of each change of a job and in its transaction.

use std::fmt;
use std::sync::Arc;

use super::StoreError;
use crate::event::Event;
use crate::id::{JobId, UserId};
use crate::time::Timestamp;

/// What a change of a job left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted {
    pub owner: UserId,
    /// Of the event.
    pub sequence: u64,
    /// Whether webhook endpoints are to be told.
    pub has_deliveries: bool,
}

/// Who wants to know at once that there is an event.
pub trait EventWatcher: Send + Sync + fmt::Debug {
    /// An event is durable. Must not block.
    fn stored(&self, noted: Noted);
}

/// Some of an owner's events.
#[derive(Clone, Debug, PartialEq)]
pub struct EventPage {
    /// The number of the oldest event that is kept; one more than `newest` if none is.
    pub oldest: u64,
    /// The number of the newest event that there ever was; 0 before the first.
    pub newest: u64,
    /// In their order.
    pub events: Vec<Event>,
}

/// Some of a job's events.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct JobEventPage {
    /// Events of the job after the one asked about are kept no more.
    pub is_cut: bool,
    /// In their order.
    pub events: Vec<Event>,
}

/// How long events are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRetention {
    /// The newest of each owner.
    pub per_owner_max: u64,
    /// Those that are not older.
    pub since: Timestamp,
}

/// How far a sweep came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventSweep {
    pub removed: usize,
    /// Why events of some owners could not be removed: they are left, and the others are none the worse.
    pub unreadable: Vec<String>,
    /// Where to go on: after this owner, or from the first.
    pub after: Option<UserId>,
    /// All owners were visited.
    pub is_done: bool,
}

/// Events of jobs.
pub trait EventStore: Send + Sync + fmt::Debug {
    /// Has events told from now on. Only the first watcher is taken.
    fn watch_events(&self, watcher: Arc<dyn EventWatcher>);
    /// The owner's events after the one with this number, `limit` at most.
    fn events(&self, owner: UserId, after: u64, limit: usize) -> Result<EventPage, StoreError>;
    /// The events of the owner's job after the one with this number, all of them: they are few. Another's job has none.
    fn events_of_job(&self, owner: UserId, job: JobId, after: u64) -> Result<JobEventPage, StoreError>;
    /// Forgets what need not be kept, of the owners after `after`, about `limit` events at most. Recorded, not durable.
    fn sweep_events(
        &self,
        after: Option<UserId>,
        keep: &EventRetention,
        limit: usize,
    ) -> Result<EventSweep, StoreError>;
}
