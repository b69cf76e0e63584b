//! Whose turn it is: which of the open jobs takes its next step.
//!
//! All open jobs are in memory, as their rows say when they want to be woken; so that choosing one reads nothing from the disk, and
//! no user's many jobs hide another's one. Users take turns. A job that has begun holds one of its user's and one of its instance's
//! places until it is final, and takes its steps when they are due; a job that has not waits for both.

mod entry;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use atelier_domain::id::{JobId, UserId};
use atelier_domain::job::Job;
use atelier_domain::time::Timestamp;

use entry::{Entry, User};

/// Bounds of the queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Jobs that are not final, of all users.
    pub open_max: usize,
    /// Jobs that are not final, of one user.
    pub open_per_user_max: usize,
    /// Jobs that have begun and are not final, of one user.
    pub begun_per_user_max: usize,
    /// Jobs that have begun and are not final, at one instance.
    pub begun_per_instance_max: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { open_max: 10_000, open_per_user_max: 100, begun_per_user_max: 16, begun_per_instance_max: 48 }
    }
}

/// How full the queue is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCounts {
    /// Jobs that are not final.
    pub open: usize,
    /// Those of them that have begun.
    pub begun: usize,
}

/// Why there is no room for another job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Queue,
    User,
}

/// A job whose turn it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub id: JobId,
    /// It has taken no step in this process before.
    pub is_first_here: bool,
}

#[derive(Debug)]
pub(super) struct Schedule {
    limits: QueueLimits,
    jobs: HashMap<JobId, Entry>,
    /// Places kept for jobs that are about to be there.
    reserved: usize,
    /// Jobs that are not due and not running, by their time.
    later: BTreeSet<(Timestamp, JobId)>,
    /// Jobs that have not begun, by their deadlines: they end then, whether or not it ever was their turn.
    deadlines: BTreeSet<(Timestamp, JobId)>,
    users: HashMap<UserId, User>,
    /// Users with jobs that are due, each once, in the order of their turns.
    turns: VecDeque<UserId>,
    /// Jobs begun at each instance.
    begun: HashMap<Arc<str>, usize>,
}

/// Whether another job may begin at an instance.
fn has_room(limits: QueueLimits, begun: &HashMap<Arc<str>, usize>, instance: &Arc<str>) -> bool {
    begun.get(instance).copied().unwrap_or(0) < limits.begun_per_instance_max
}

impl Schedule {
    pub(super) fn new(limits: QueueLimits) -> Self {
        Self {
            limits,
            jobs: HashMap::new(),
            reserved: 0,
            later: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            users: HashMap::new(),
            turns: VecDeque::new(),
            begun: HashMap::new(),
        }
    }

    pub(super) fn counts(&self) -> QueueCounts {
        QueueCounts { open: self.jobs.len(), begun: self.begun.values().sum() }
    }

    /// Since when the job has been due that has waited for longest of those that might take a step now.
    pub(super) fn oldest_due(&self, now: Timestamp) -> Option<Timestamp> {
        let has_room = |instance: &Arc<str>| has_room(self.limits, &self.begun, instance);
        let of_users =
            self.users.values().filter_map(|user| user.first(self.limits.begun_per_user_max, has_room));
        // Nobody may have looked at the clock since.
        let asleep = self.later.first().map(|(at, _)| *at);
        of_users.map(|((at, _), _)| at).chain(asleep).filter(|at| *at <= now).min()
    }

    /// Keeps a place for a job that is to be added; it is given back by [`Self::release`].
    pub(super) fn reserve(&mut self, owner: UserId) -> Result<(), Full> {
        if self.jobs.len() + self.reserved >= self.limits.open_max {
            return Err(Full::Queue);
        }
        let user = self.users.entry(owner).or_default();
        if user.open >= self.limits.open_per_user_max {
            return Err(Full::User);
        }
        user.open += 1;
        self.reserved += 1;
        Ok(())
    }

    /// Gives a place back, whether or not its job was added.
    pub(super) fn release(&mut self, owner: UserId) {
        self.reserved = self.reserved.saturating_sub(1);
        self.leave(owner);
    }

    /// Adds a job that is open, or takes note of how a known one is now.
    pub(super) fn note(&mut self, job: &Job) {
        if job.state.is_final() {
            return self.remove(job.id);
        }
        self.follow(job);
        match self.jobs.get_mut(&job.id) {
            None => self.add(job),
            Some(entry) if entry.is_running => entry.update(job),
            Some(_) => {
                self.unplace(job.id);
                if let Some(entry) = self.jobs.get_mut(&job.id) {
                    entry.update(job);
                }
                self.place(job.id);
            }
        }
    }

    /// Whether a job is open.
    pub(super) fn has(&self, id: JobId) -> bool {
        self.jobs.contains_key(&id)
    }

    /// A job was told something: if it takes a step just now, it takes another one right after.
    pub(super) fn look_again(&mut self, id: JobId) {
        if let Some(entry) = self.jobs.get_mut(&id) {
            entry.is_again |= entry.is_running;
        }
    }

    /// The next job to take a step, from now on running.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Turn> {
        self.wake(now);
        for _ in 0..self.turns.len() {
            let owner = self.turns.pop_front()?;
            let Some(user) = self.users.get_mut(&owner) else { continue };
            if !user.is_due() {
                user.has_turn = false;
                if user.open == 0 {
                    self.users.remove(&owner);
                }
                continue;
            }
            self.turns.push_back(owner);
            let has_room = |instance: &Arc<str>| has_room(self.limits, &self.begun, instance);
            let Some((id, begins)) = user.take(self.limits.begun_per_user_max, has_room) else { continue };
            if begins {
                self.begin(id);
            }
            let entry = self.jobs.get_mut(&id)?;
            entry.is_running = true;
            return Some(Turn { id, is_first_here: !std::mem::replace(&mut entry.is_known, true) });
        }
        None
    }

    /// A job's step is over, however it ended.
    pub(super) fn finished(&mut self, id: JobId, now: Timestamp) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        entry.is_running = false;
        if std::mem::take(&mut entry.is_again) {
            entry.wake_at = entry.wake_at.min(now);
        }
        // It got its turn and did not begin, its provider being away for instance: others may have the place.
        if entry.is_counted && !entry.has_begun {
            self.give_up(id);
        }
        self.place(id);
    }

    /// How often in a row asking about a job has failed, this time included.
    pub(super) fn failed(&mut self, id: JobId) -> u32 {
        self.jobs.get_mut(&id).map_or(1, |entry| {
            entry.failures = entry.failures.saturating_add(1);
            entry.failures
        })
    }

    /// How often in a row it has failed so far.
    pub(super) fn failures(&self, id: JobId) -> u32 {
        self.jobs.get(&id).map_or(0, |entry| entry.failures)
    }

    /// Asking about a job went well.
    pub(super) fn succeeded(&mut self, id: JobId) {
        if let Some(entry) = self.jobs.get_mut(&id) {
            entry.failures = 0;
        }
    }

    /// When to look again, unless something happens before.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let first = |set: &BTreeSet<(Timestamp, JobId)>| set.first().map(|(at, _)| *at);
        first(&self.later).into_iter().chain(first(&self.deadlines)).min()
    }

    /// Makes due what is due.
    fn wake(&mut self, now: Timestamp) {
        while let Some(&(at, id)) = self.deadlines.first()
            && at <= now
        {
            self.deadlines.pop_first();
            self.unplace(id);
            if let Some(entry) = self.jobs.get_mut(&id) {
                entry.is_to_end = true;
                entry.wake_at = entry.wake_at.min(now);
            }
            self.place(id);
        }
        while let Some(&(at, id)) = self.later.first()
            && at <= now
        {
            self.later.pop_first();
            self.make_due(id);
        }
    }

    fn add(&mut self, job: &Job) {
        let entry = Entry::new(job);
        self.users.entry(entry.owner).or_default().open += 1;
        let begun = entry.has_begun;
        self.jobs.insert(job.id, entry);
        if begun {
            self.begin(job.id);
        } else {
            self.deadlines.insert((job.deadline, job.id));
        }
        self.place(job.id);
    }

    fn remove(&mut self, id: JobId) {
        self.unplace(id);
        self.give_up(id);
        let Some(entry) = self.jobs.remove(&id) else { return };
        self.deadlines.remove(&(entry.deadline, id));
        self.leave(entry.owner);
    }

    /// One place of a user's is free.
    fn leave(&mut self, owner: UserId) {
        let Some(user) = self.users.get_mut(&owner) else { return };
        user.open = user.open.saturating_sub(1);
        // Whoever has a turn is removed when it comes.
        if user.open == 0 && !user.has_turn {
            self.users.remove(&owner);
        }
    }

    /// Takes a place of the job's user and instance.
    fn begin(&mut self, id: JobId) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        if std::mem::replace(&mut entry.is_counted, true) {
            return;
        }
        self.users.entry(entry.owner).or_default().begun += 1;
        *self.begun.entry(entry.instance.clone()).or_default() += 1;
        self.deadlines.remove(&(entry.deadline, id));
    }

    /// Another instance does a job from now on.
    fn follow(&mut self, job: &Job) {
        let Some(entry) = self.jobs.get(&job.id).filter(|entry| &*entry.instance != job.request.instance())
        else {
            return;
        };
        let is_counted = entry.is_counted;
        self.unplace(job.id);
        self.give_up(job.id);
        if let Some(entry) = self.jobs.get_mut(&job.id) {
            entry.instance = job.request.instance().into();
        }
        if is_counted {
            self.begin(job.id);
        }
        self.place(job.id);
    }

    /// Gives that place back.
    fn give_up(&mut self, id: JobId) {
        let Some(entry) = self.jobs.get_mut(&id) else { return };
        if !std::mem::take(&mut entry.is_counted) {
            return;
        }
        if let Some(user) = self.users.get_mut(&entry.owner) {
            user.begun = user.begun.saturating_sub(1);
        }
        if let Some(begun) = self.begun.get_mut(&entry.instance) {
            *begun = begun.saturating_sub(1);
            if *begun == 0 {
                self.begun.remove(&entry.instance);
            }
        }
        self.deadlines.insert((entry.deadline, id));
    }

    /// Puts a job that is not running where it waits for its time.
    fn place(&mut self, id: JobId) {
        if let Some(entry) = self.jobs.get(&id).filter(|entry| !entry.is_running) {
            self.later.insert((entry.wake_at, id));
        }
    }

    /// Takes it away from wherever it waits.
    fn unplace(&mut self, id: JobId) {
        let Some(entry) = self.jobs.get(&id) else { return };
        self.later.remove(&(entry.wake_at, id));
        if let Some(user) = self.users.get_mut(&entry.owner) {
            user.remove(id, entry);
        }
    }

    fn make_due(&mut self, id: JobId) {
        let Some(entry) = self.jobs.get(&id) else { return };
        let user = self.users.entry(entry.owner).or_default();
        user.put(id, entry);
        if !std::mem::replace(&mut user.has_turn, true) {
            self.turns.push_back(entry.owner);
        }
    }
}
