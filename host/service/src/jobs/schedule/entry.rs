//! What the schedule knows of a job and of a user.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::{Job, JobState};
use atelier_domain::time::Timestamp;

/// An open job.
#[derive(Debug)]
pub(super) struct Entry {
    pub owner: UserId,
    pub instance: Arc<str>,
    pub wake_at: Timestamp,
    pub deadline: Timestamp,
    /// It was submitted, as its row says.
    pub has_begun: bool,
    /// It holds places.
    pub is_counted: bool,
    /// It only has to end, for which it needs no place.
    pub is_to_end: bool,
    pub is_running: bool,
    /// It takes another step right after this one.
    pub is_again: bool,
    pub is_known: bool,
    pub failures: u32,
}

impl Entry {
    pub(super) fn new(job: &Job) -> Self {
        let mut entry = Self {
            owner: job.owner,
            instance: job.request.instance().into(),
            wake_at: job.wake_at,
            deadline: job.deadline,
            has_begun: false,
            is_counted: false,
            is_to_end: false,
            is_running: false,
            is_again: false,
            is_known: false,
            failures: 0,
        };
        entry.update(job);
        entry
    }

    pub(super) fn update(&mut self, job: &Job) {
        self.wake_at = job.wake_at;
        self.has_begun = job.state != JobState::Queued;
        self.is_to_end |= job.cancel_requested;
    }

    fn needs_no_place(&self) -> bool {
        self.is_counted || self.is_to_end
    }
}

/// A job that is due, and since when.
type Due = (Timestamp, JobId);

/// A user with open jobs.
#[derive(Debug, Default)]
pub(super) struct User {
    /// Jobs that are not final, and places kept for such.
    pub open: usize,
    /// Those that hold a place.
    pub begun: usize,
    /// They are in the order of turns.
    pub has_turn: bool,
    /// Due jobs that need no place.
    ready: BTreeSet<Due>,
    /// Due jobs that wait for one, by instance.
    waiting: BTreeMap<Arc<str>, BTreeSet<Due>>,
}

impl User {
    pub(super) fn is_due(&self) -> bool {
        !self.ready.is_empty() || !self.waiting.is_empty()
    }

    pub(super) fn put(&mut self, id: JobId, entry: &Entry) {
        let due = (entry.wake_at, id);
        if entry.needs_no_place() {
            self.ready.insert(due);
        } else {
            self.waiting.entry(entry.instance.clone()).or_default().insert(due);
        }
    }

    pub(super) fn remove(&mut self, id: JobId, entry: &Entry) {
        let due = (entry.wake_at, id);
        self.ready.remove(&due);
        self.remove_waiting(&entry.instance, &due);
    }

    /// The job that has been due for longest of those that may take a step; with the instance where it begins with that.
    pub(super) fn first(
        &self,
        begun_max: usize,
        has_room: impl Fn(&Arc<str>) -> bool,
    ) -> Option<(Due, Option<Arc<str>>)> {
        let mut best = self.ready.first().map(|due| (*due, None));
        if self.begun < begun_max {
            for (instance, jobs) in &self.waiting {
                let Some(due) = jobs.first() else { continue };
                if best.as_ref().is_none_or(|(first, _)| due < first) && has_room(instance) {
                    best = Some((*due, Some(instance.clone())));
                }
            }
        }
        best
    }

    /// Takes that job, and tells whether it begins.
    pub(super) fn take(
        &mut self,
        begun_max: usize,
        has_room: impl Fn(&Arc<str>) -> bool,
    ) -> Option<(JobId, bool)> {
        let (due, instance) = self.first(begun_max, has_room)?;
        match &instance {
            None => {
                self.ready.remove(&due);
            }
            Some(instance) => self.remove_waiting(instance, &due),
        }
        Some((due.1, instance.is_some()))
    }

    fn remove_waiting(&mut self, instance: &Arc<str>, due: &Due) {
        if let Some(jobs) = self.waiting.get_mut(instance) {
            jobs.remove(due);
            if jobs.is_empty() {
                self.waiting.remove(instance);
            }
        }
    }
}
