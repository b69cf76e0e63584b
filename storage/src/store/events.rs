use std::ops::Bound;
use std::sync::Arc;

use atelier_domain::event::{EVENTS_PER_JOB_MAX, Event, EventKind, JobSnapshot, percent};
use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::Job;
use atelier_domain::store::{
    EventPage, EventRetention, EventStore, EventSweep, EventWatcher, JobEventPage, Noted, StoreError,
};
use atelier_domain::time::{Clock as _, SystemClock, Timestamp};
use atelier_domain::webhook::{Delivery, Message, WebhookEndpoint};
use serde::{Deserialize, Serialize};

use super::jobs::JobRow;
use super::rows::{read, write};
use super::sealed::read_sealed;
use super::{Store, deliveries};
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys;
use crate::schema::Table;

/// Owners looked at in one sweep.
const OWNERS_PER_SWEEP: usize = 256;
/// Events removed in one transaction.
const REMOVED_AT_ONCE: usize = 128;

/// Which numbers an owner's events have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    /// Of the oldest that is kept.
    oldest: u64,
    /// Of the one that comes next.
    next: u64,
}

impl Default for Head {
    fn default() -> Self {
        Self { oldest: 1, next: 1 }
    }
}

/// A job's events, a part of its row.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Told {
    /// Of those that are kept, in their order.
    numbers: Vec<u64>,
    /// Of the newest that is kept no more.
    forgotten: u64,
    /// The farthest progress that was told.
    percent: u8,
}

/// Read outside of transactions, which keep others waiting.
pub(super) fn now() -> Timestamp {
    SystemClock::default().now()
}

/// Makes the event of a change of a job, if it is one, and the deliveries of that event. `told` is in the job's row, which its caller writes.
pub(super) fn note(
    txn: &Txn<'_>,
    old: Option<&Job>,
    new: &Job,
    now: Timestamp,
    told: &mut Told,
) -> Result<Option<Noted>, TxnError> {
    // Most changes are none, and read nothing.
    if EventKind::between(old, new, old.map_or(0, percent)).is_none() {
        return Ok(None);
    }
    let Some(kind) = EventKind::between(old, new, told.percent) else { return Ok(None) };
    if told.numbers.len() >= EVENTS_PER_JOB_MAX && !kind.is_final() {
        return Ok(None);
    }
    let owner = new.owner;
    let mut head: Head = read(txn, Table::EventHeads, owner.as_bytes())?.unwrap_or_default();
    let sequence = head.next;
    head.next += 1;
    told.numbers.push(sequence);
    told.percent = told.percent.max(percent(new));
    let event = Event { owner, sequence, time: now, kind, job: JobSnapshot::from(new) };
    write(txn, Table::Events, &keys::event(owner, sequence), &event)?;
    write(txn, Table::EventHeads, owner.as_bytes(), &head)?;
    let endpoints: Option<Vec<WebhookEndpoint>> =
        read_sealed(txn, Table::WebhookEndpoints, owner.as_bytes())?;
    let mut has_deliveries = false;
    for endpoint in endpoints.iter().flatten().filter(|endpoint| endpoint.wants(kind)) {
        let message = Message::Event(Box::new(event.clone()));
        has_deliveries |= deliveries::queue(txn, &Delivery::new(endpoint, message, now))?;
    }
    Ok(Some(Noted { owner, sequence, has_deliveries }))
}

/// What is told of a job of whose events none is kept. Their numbers are not known any more: none is above its owner's newest.
pub(super) fn all_forgotten(txn: &Txn<'_>, job: &Job) -> Result<Told, TxnError> {
    let head: Head = read(txn, Table::EventHeads, job.owner.as_bytes())?.unwrap_or_default();
    let percent = if job.state.is_final() { 100 } else { 0 };
    Ok(Told { numbers: Vec::new(), forgotten: (head.next - 1).max(1), percent })
}

impl EventStore for Store {
    fn watch_events(&self, watcher: Arc<dyn EventWatcher>) {
        let _the_first_stays = self.watcher.set(watcher);
    }

    fn events(&self, owner: UserId, after: u64, limit: usize) -> Result<EventPage, StoreError> {
        let head: Head = self.row(Table::EventHeads, owner.as_bytes())?.unwrap_or_default();
        let first = Bound::Excluded(keys::event(owner, after).to_vec());
        let last = Bound::Included(keys::event(owner, u64::MAX).to_vec());
        let mut events = Vec::new();
        for key in self.engine().keys(Table::Events, (first, last), limit)? {
            // One that was swept meanwhile is left out: those behind it show that it is gone.
            events.extend(self.row::<Event>(Table::Events, &key)?);
        }
        self.engine().settle()?;
        Ok(EventPage { oldest: head.oldest, newest: head.next - 1, events })
    }

    fn events_of_job(&self, owner: UserId, job: JobId, after: u64) -> Result<JobEventPage, StoreError> {
        let row = self.row::<JobRow>(Table::Jobs, job.as_bytes())?;
        let Some(JobRow { told, .. }) = row.filter(|row| row.job.owner == owner && !row.job.is_erased) else {
            return Ok(JobEventPage::default());
        };
        let mut page = JobEventPage { is_cut: after < told.forgotten, events: Vec::new() };
        for number in told.numbers.into_iter().filter(|number| *number > after) {
            match self.row(Table::Events, &keys::event(owner, number))? {
                Some(event) => page.events.push(event),
                // Swept meanwhile.
                None => page.is_cut = true,
            }
        }
        self.engine().settle()?;
        Ok(page)
    }

    fn sweep_events(
        &self,
        after: Option<UserId>,
        keep: &EventRetention,
        limit: usize,
    ) -> Result<EventSweep, StoreError> {
        let first = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes().to_vec()));
        let owners = self.engine().keys(Table::EventHeads, (first, Bound::Unbounded), OWNERS_PER_SWEEP)?;
        let mut sweep = EventSweep { removed: 0, unreadable: Vec::new(), after, is_done: false };
        let is_last_page = owners.len() < OWNERS_PER_SWEEP;
        for key in owners {
            if sweep.removed >= limit {
                return Ok(sweep);
            }
            let id = key.as_array().ok_or_else(|| damaged(Table::EventHeads, &key, "it is no user's id"))?;
            let owner = UserId::from_bytes(*id);
            loop {
                let removed = match self.sweep_owner(owner, keep, limit - sweep.removed) {
                    Ok(removed) => removed,
                    Err(StoreError::Damaged(why)) => {
                        sweep.unreadable.push(why);
                        break;
                    }
                    Err(error) => return Err(error),
                };
                sweep.removed += removed;
                if removed == 0 {
                    break;
                }
                // The rest of this owner's is for the next sweep, which begins with them.
                if sweep.removed >= limit {
                    return Ok(sweep);
                }
            }
            sweep.after = Some(owner);
        }
        sweep.is_done = is_last_page;
        Ok(sweep)
    }
}

impl Store {
    /// Removes some of the events of an owner who is deleted, and their numbers at last; gives how many.
    pub(super) fn forget_events_of(&self, owner: UserId, limit: usize) -> Result<usize, StoreError> {
        let none = EventRetention { since: Timestamp(u64::MAX), per_owner_max: 0 };
        let removed = self.sweep_owner(owner, &none, limit)?;
        if removed > 0 {
            return Ok(removed);
        }
        self.engine().write_soon(|txn| {
            let head: Option<Head> = read(txn, Table::EventHeads, owner.as_bytes())?;
            // A job that ends now has an event still.
            match head.filter(|head| head.oldest == head.next) {
                Some(_) => txn.remove(Table::EventHeads, owner.as_bytes()).map(usize::from),
                None => Ok(0),
            }
        })
    }

    /// Removes some of an owner's oldest events, if they need not be kept.
    fn sweep_owner(&self, owner: UserId, keep: &EventRetention, limit: usize) -> Result<usize, StoreError> {
        let Some(head) = self.row::<Head>(Table::EventHeads, owner.as_bytes())? else { return Ok(0) };
        let mut gone: Vec<Event> = Vec::new();
        while gone.len() < REMOVED_AT_ONCE.min(limit) {
            let number = head.oldest + gone.len() as u64;
            if number >= head.next {
                break;
            }
            let key = keys::event(owner, number);
            let event: Option<Event> = self.row(Table::Events, &key)?;
            let event = event.ok_or_else(|| damaged(Table::Events, &key, "it is gone, though it is kept"))?;
            if event.time >= keep.since && head.next - number <= keep.per_owner_max {
                break;
            }
            gone.push(event);
        }
        if gone.is_empty() {
            return Ok(0);
        }
        self.engine().write_soon(|txn| {
            let mut head: Head = read(txn, Table::EventHeads, owner.as_bytes())?.unwrap_or_default();
            for event in &gone {
                txn.remove(Table::Events, &keys::event(owner, event.sequence))?;
                forget(txn, event)?;
                head.oldest = head.oldest.max(event.sequence + 1);
            }
            write(txn, Table::EventHeads, owner.as_bytes(), &head)
        })?;
        Ok(gone.len())
    }
}

/// Takes an event out of its job's.
fn forget(txn: &Txn<'_>, event: &Event) -> Result<(), TxnError> {
    let Some(mut row) = JobRow::read(txn, event.job.id)? else { return Ok(()) };
    row.told.numbers.retain(|number| *number != event.sequence);
    row.told.forgotten = row.told.forgotten.max(event.sequence);
    row.write(txn)
}

#[cfg(test)]
mod tests {
    use atelier_domain::event::EventKind;
    use atelier_domain::generation::media::Ticket;
    use atelier_domain::job::{JobState, StoredRequest};
    use atelier_domain::money::Bill;

    use super::*;

    fn job() -> Job {
        let request: StoredRequest = serde_json::from_value(serde_json::json!({
            "model": "a/one", "task": "image-generation", "prompt": "a cat", "negative_prompt": null, "inputs": [], "count": 1,
            "size": null, "aspect_ratio": null, "duration_ms": null, "seed": null, "quality": null, "format": null,
            "background": null, "previews": 0, "end_user": null, "options": "{}",
        }))
        .expect("a request");
        Job {
            id: JobId::new(),
            owner: UserId::new(),
            state: JobState::Queued,
            request,
            request_id: None,
            trace: None,
            created: Timestamp(1),
            started: None,
            finished: None,
            deadline: Timestamp(2),
            progress: None,
            attempt: 0,
            charging: false,
            cancel_requested: false,
            wake_at: Timestamp(1),
            ticket: None::<Ticket>,
            outputs: Vec::new(),
            usage: Vec::new(),
            error: None,
            bill: Bill::default(),
            is_erased: false,
        }
    }

    #[test]
    fn an_event_is_on_disk_before_anybody_reads_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(folder.path()).expect("opened");
        let job = job();
        // Committed, as another writer's is while the disk is busy.
        let noted = store
            .engine()
            .write_soon(|txn| note(txn, None, &job, Timestamp(1), &mut Told::default()))
            .expect("committed");
        assert_eq!(noted.map(|noted| noted.sequence), Some(1));
        assert!(!store.engine().is_settled().expect("read"), "it is not durable yet");
        let page = store.events(job.owner, 0, 10).expect("read");
        assert_eq!(page.events.iter().map(|event| event.kind).collect::<Vec<_>>(), [EventKind::Queued]);
        assert!(store.engine().is_settled().expect("read"));
    }
}
