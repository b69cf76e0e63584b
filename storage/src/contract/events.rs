//! The contract of [`EventStore`].

use std::sync::{Arc, Mutex};

use atelier_domain::event::{EVENTS_PER_JOB_MAX, Event, EventKind, JobSnapshot};
use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::{Job, JobError, JobState};
use atelier_domain::store::{EventRetention, EventStore, EventWatcher, JobStore, Noted};
use atelier_domain::time::Timestamp;

use super::sample;

/// What a store of jobs and of their events is.
pub trait Stores: JobStore + EventStore {}
impl<S: JobStore + EventStore> Stores for S {}

fn queued(owner: UserId) -> Job {
    Job { state: JobState::Queued, progress: None, error: None, ..sample::job(owner) }
}

fn create(store: &dyn Stores, owner: UserId) -> JobId {
    let job = queued(owner);
    store.create_job(&(&job).into()).expect("created");
    job.id
}

fn change(store: &dyn Stores, id: JobId, change: impl Fn(&mut Job)) {
    let changed = store.change_job(id, &|job| {
        change(job);
        true
    });
    changed.expect("changed").expect("there");
}

fn set(store: &dyn Stores, id: JobId, state: JobState) {
    change(store, id, |job| job.state = state);
}

fn all(store: &dyn Stores, owner: UserId) -> Vec<Event> {
    store.events(owner, 0, usize::MAX).expect("read").events
}

fn kinds(events: &[Event]) -> Vec<EventKind> {
    events.iter().map(|event| event.kind).collect()
}

pub fn every_change_that_tells_something_is_an_event_and_no_other_is(store: &dyn Stores) {
    let owner = UserId::new();
    let id = create(store, owner);
    change(store, id, |job| job.attempt += 1);
    set(store, id, JobState::Processing);
    change(store, id, |job| job.charging = !job.charging);
    change(store, id, |job| job.progress = Some(0.5));
    let declined = store.change_job(id, &|job| {
        job.state = JobState::Failed;
        false
    });
    declined.expect("read");
    change(store, id, |job| {
        job.state = JobState::Failed;
        job.error = Some(JobError { code: "timeout".to_owned(), message: "é".repeat(10_000) });
    });
    change(store, id, |job| job.attempt += 1);
    let events = all(store, owner);
    let expected = [EventKind::Queued, EventKind::Processing, EventKind::Progress, EventKind::Failed];
    assert_eq!(kinds(&events), expected);
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(events.is_sorted_by_key(|event| event.time));
    assert!(events.iter().all(|event| (event.owner, event.job.id) == (owner, id)));
    assert_eq!((events[2].job.state, events[2].job.progress), (JobState::Processing, Some(0.5)));
    let message = &events[3].job.error.as_ref().expect("why").message;
    assert_eq!(message.chars().count(), 501, "an event is small, whatever a provider says");
}

pub fn a_job_that_is_created_final_has_its_end_alone(store: &dyn Stores) {
    let owner = UserId::new();
    for state in [JobState::Succeeded, JobState::Canceled] {
        store.create_job(&(&Job { state, ..queued(owner) }).into()).expect("created");
    }
    assert_eq!(kinds(&all(store, owner)), [EventKind::Succeeded, EventKind::Canceled]);
}

pub fn numbers_have_no_gap_and_no_double_however_many_write(store: &dyn Stores) {
    const THREADS: usize = 8;
    const JOBS: usize = 25;
    let owners = [UserId::new(), UserId::new()];
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let owner = owners[thread % 2];
            scope.spawn(move || {
                for _ in 0..JOBS {
                    let id = create(store, owner);
                    set(store, id, JobState::Succeeded);
                }
            });
        }
    });
    for owner in owners {
        let events = all(store, owner);
        let numbers: Vec<u64> = events.iter().map(|event| event.sequence).collect();
        assert_eq!(numbers, (1..=(THREADS / 2 * JOBS * 2) as u64).collect::<Vec<_>>());
        assert!(events.iter().all(|event| event.owner == owner));
    }
}

pub fn progress_is_told_once_for_each_whole_percent_and_only_as_it_grows(store: &dyn Stores) {
    let owner = UserId::new();
    let id = create(store, owner);
    set(store, id, JobState::Processing);
    let told = |at: f64| {
        change(store, id, |job| job.progress = Some(at));
        all(store, owner).last().and_then(|event| event.job.progress)
    };
    assert_eq!(told(0.101), Some(0.101));
    assert_eq!(told(0.109), Some(0.101), "the same percent");
    assert_eq!(told(0.05), Some(0.101), "it fell");
    assert_eq!(told(0.10), Some(0.101), "and rose to where it was");
    assert_eq!(told(0.2), Some(0.2));
    assert_eq!(told(f64::NAN), Some(0.2));
    for step in 0..1000 {
        told(f64::from(step % 100) / 100.0 + f64::from(step) / 1e6);
    }
    assert!(all(store, owner).len() <= 2 + 100, "however often a provider reports");
}

pub fn a_job_that_never_settles_fills_no_disk_and_its_end_is_told_still(store: &dyn Stores) {
    let owner = UserId::new();
    let id = create(store, owner);
    for _ in 0..EVENTS_PER_JOB_MAX {
        set(store, id, JobState::Processing);
        set(store, id, JobState::Queued);
    }
    set(store, id, JobState::Succeeded);
    let events = all(store, owner);
    assert_eq!(events.len(), EVENTS_PER_JOB_MAX + 1);
    assert_eq!(events.last().map(|event| event.kind), Some(EventKind::Succeeded));
}

pub fn events_are_read_in_pages_after_a_number(store: &dyn Stores) {
    let owner = UserId::from_bytes([0xff; 16]);
    create(store, UserId::from_bytes([0; 16]));
    let ids: Vec<JobId> = (0..25).map(|_| create(store, owner)).collect();
    let (mut after, mut seen) = (0, Vec::new());
    loop {
        let page = store.events(owner, after, 10).expect("read");
        assert_eq!((page.oldest, page.newest), (1, 25));
        let Some(last) = page.events.last() else { break };
        after = last.sequence;
        seen.extend(page.events.iter().map(|event| event.job.id));
    }
    assert_eq!(seen, ids);
    assert!(store.events(owner, u64::MAX, 10).expect("read").events.is_empty());
    let nobody = store.events(UserId::new(), 0, 10).expect("read");
    assert_eq!((nobody.oldest, nobody.newest, nobody.events.len()), (1, 0, 0));
}

pub fn a_jobs_events_are_its_own_and_its_owners_alone(store: &dyn Stores) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let (first, second) = (create(store, alice), create(store, alice));
    set(store, first, JobState::Processing);
    set(store, second, JobState::Canceled);
    set(store, first, JobState::Succeeded);
    let of = |owner, id, after| store.events_of_job(owner, id, after).expect("read");
    let page = of(alice, first, 0);
    assert_eq!(kinds(&page.events), [EventKind::Queued, EventKind::Processing, EventKind::Succeeded]);
    assert!(!page.is_cut);
    assert_eq!(kinds(&of(alice, first, 3).events), [EventKind::Succeeded]);
    assert_eq!(kinds(&of(alice, second, 0).events), [EventKind::Queued, EventKind::Canceled]);
    assert!(of(bob, first, 0).events.is_empty());
    assert!(store.events(bob, 0, 10).expect("read").events.is_empty());
}

fn sweep(store: &dyn Stores, per_owner_max: u64, since: Timestamp, limit: usize) -> usize {
    let (mut after, mut removed) = (None, 0);
    loop {
        let keep = EventRetention { per_owner_max, since };
        let sweep = store.sweep_events(after, &keep, limit).expect("swept");
        assert!(sweep.removed <= limit);
        removed += sweep.removed;
        after = sweep.after;
        if sweep.is_done {
            return removed;
        }
    }
}

pub fn a_sweep_leaves_the_newest_and_says_what_is_gone(store: &dyn Stores) {
    let (alice, bob) = (UserId::new(), UserId::new());
    let ids: Vec<JobId> = (0..300).map(|_| create(store, alice)).collect();
    set(store, ids[0], JobState::Succeeded);
    create(store, bob);
    assert_eq!(sweep(store, u64::MAX, Timestamp(0), 10), 0, "nothing is old");
    assert_eq!(sweep(store, 5, Timestamp(0), 7), 296);
    let page = store.events(alice, 0, usize::MAX).expect("read");
    assert_eq!((page.oldest, page.newest, page.events.len()), (297, 301, 5));
    assert_eq!(page.events[0].sequence, 297);
    assert_eq!(all(store, bob).len(), 1);
    let cut = store.events_of_job(alice, ids[0], 0).expect("read");
    assert_eq!((cut.is_cut, kinds(&cut.events)), (true, vec![EventKind::Succeeded]));
    assert!(!store.events_of_job(alice, ids[0], 1).expect("read").is_cut, "what is asked for is there");
    assert_eq!(sweep(store, u64::MAX, Timestamp(u64::MAX), 1000), 6, "by age, to the last");
    let page = store.events(alice, 0, 10).expect("read");
    assert_eq!((page.oldest, page.newest, page.events.len()), (302, 301, 0));
    assert!(store.events_of_job(alice, ids[0], 0).expect("read").is_cut);
    create(store, alice);
    assert_eq!(all(store, alice)[0].sequence, 302, "numbers are never used again");
}

#[derive(Debug, Default)]
struct Listener(Mutex<Vec<Noted>>);

impl EventWatcher for Listener {
    fn stored(&self, noted: Noted) {
        self.0.lock().expect("no panic").push(noted);
    }
}

pub fn who_watches_is_told_of_each_event_once_it_can_be_read(store: &dyn Stores) {
    let owner = UserId::new();
    let listener = Arc::new(Listener::default());
    store.watch_events(listener.clone());
    let id = create(store, owner);
    change(store, id, |job| job.attempt += 1);
    set(store, id, JobState::Canceled);
    let told: Vec<(UserId, u64)> =
        listener.0.lock().expect("no panic").iter().map(|noted| (noted.owner, noted.sequence)).collect();
    assert_eq!(told, [(owner, 1), (owner, 2)]);
}

pub fn an_event_is_read_as_it_was_made(store: &dyn Stores) {
    let owner = UserId::new();
    let job = sample::job(owner);
    store.create_job(&(&job).into()).expect("created");
    let event = all(store, owner).remove(0);
    assert_eq!(event.kind, EventKind::Processing);
    assert_eq!(event.job, JobSnapshot::from(&job));
    assert_eq!(event.job.outputs, 2);
    let again = all(store, owner).remove(0);
    assert_eq!(again.message_id(), event.message_id());
}
