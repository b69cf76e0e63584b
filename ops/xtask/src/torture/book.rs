//! What the clients know: each request by its idempotency key, and what they were told of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A job whose provider calls back.
    Called,
    /// A job whose provider is polled.
    Polled,
    /// A job whose provider takes an idempotency key.
    Steady,
    /// An image within one request: a job that is awaited.
    Image,
    /// A streamed chat completion.
    Chat,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Called, Kind::Polled, Kind::Steady, Kind::Image, Kind::Chat];

    /// Whether it becomes a job.
    pub fn is_job(self) -> bool {
        self != Self::Chat
    }
}

/// How a request stands with its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Nobody knows: it is sent again.
    Open,
    /// It was answered.
    Accepted,
    /// The host said that its outcome is unknown.
    Unknown,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub kind: Kind,
    pub user: usize,
    pub standing: Standing,
    /// The ids that it was told.
    pub jobs: BTreeSet<String>,
    /// Answers to it that say they are repeated.
    pub replays: u32,
    /// How often it was sent.
    pub sent: u32,
    /// Somebody sends it just now.
    pub is_held: bool,
}

/// All requests.
#[derive(Debug, Default)]
pub struct Book(Mutex<Pages>);

#[derive(Debug, Default)]
struct Pages {
    requests: BTreeMap<String, Request>,
    /// Jobs that may be canceled: user and id.
    jobs: Vec<(usize, String)>,
    odd: BTreeMap<String, u32>,
    streams: (u32, u32),
    cancels: u32,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.pages().requests.len()
    }

    /// Enter a new request, held by who sends it; returns its key.
    pub fn begin(&self, kind: Kind, user: usize) -> String {
        let mut pages = self.pages();
        let key = format!("torture-{}", pages.requests.len());
        let request = Request {
            kind,
            user,
            standing: Standing::Open,
            jobs: BTreeSet::new(),
            replays: 0,
            sent: 0,
            is_held: true,
        };
        pages.requests.insert(key.clone(), request);
        key
    }

    /// A request that nobody sends just now and that has this standing; it is held from now on.
    pub fn hold(&self, standing: Standing, choose: impl FnOnce(u64) -> u64) -> Option<(String, Request)> {
        let mut pages = self.pages();
        let fits = |request: &Request| !request.is_held && request.standing == standing;
        let keys: Vec<&String> =
            pages.requests.iter().filter(|(_, request)| fits(request)).map(|(key, _)| key).collect();
        let key = (*keys.get(choose(keys.len() as u64) as usize)?).clone();
        let request = pages.requests.get_mut(&key)?;
        request.is_held = true;
        Some((key, request.clone()))
    }

    /// Let go of a request, changed.
    pub fn end(&self, key: &str, change: impl FnOnce(&mut Request)) {
        let mut pages = self.pages();
        let Some(request) = pages.requests.get_mut(key) else { return };
        change(request);
        request.is_held = false;
        let (user, jobs) = (request.user, request.jobs.clone());
        for job in jobs {
            if !pages.jobs.iter().any(|(_, known)| *known == job) {
                pages.jobs.push((user, job));
            }
        }
    }

    /// Requests whose standing is open.
    pub fn open(&self) -> usize {
        self.pages().requests.values().filter(|request| request.standing == Standing::Open).count()
    }

    /// A job of anybody's.
    pub fn job(&self, choose: impl FnOnce(u64) -> u64) -> Option<(usize, String)> {
        let pages = self.pages();
        let last = pages.jobs.len().saturating_sub(40);
        let recent = &pages.jobs[last..];
        recent.get(choose(recent.len() as u64) as usize).cloned()
    }

    /// Note an answer that nobody expected.
    pub fn odd(&self, what: String) {
        *self.pages().odd.entry(what).or_default() += 1;
    }

    /// Note a stream without a key, and whether it came whole.
    pub fn streamed(&self, is_whole: bool) {
        let streams = &mut self.pages().streams;
        *(if is_whole { &mut streams.0 } else { &mut streams.1 }) += 1;
    }

    /// Note a wish to cancel.
    pub fn canceled(&self) {
        self.pages().cancels += 1;
    }

    /// All requests by key.
    pub fn requests(&self) -> BTreeMap<String, Request> {
        self.pages().requests.clone()
    }

    /// Unexpected answers; streams that came whole and that broke; wishes to cancel.
    pub fn asides(&self) -> (BTreeMap<String, u32>, (u32, u32), u32) {
        let pages = self.pages();
        (pages.odd.clone(), pages.streams, pages.cancels)
    }
}
