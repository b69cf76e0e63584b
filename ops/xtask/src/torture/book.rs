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
    /// A chat completion in one piece.
    Plain,
    /// Credits for the user who has few.
    Grant,
    /// A part of a job's charge, given back.
    Refund,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 8] = [
        Kind::Called,
        Kind::Polled,
        Kind::Steady,
        Kind::Image,
        Kind::Chat,
        Kind::Plain,
        Kind::Grant,
        Kind::Refund,
    ];

    /// Whether it becomes a job.
    pub fn is_job(self) -> bool {
        matches!(self, Self::Called | Self::Polled | Self::Steady | Self::Image)
    }

    /// Whether it is a call that is answered at once.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Chat | Self::Plain)
    }

    /// Whether it moves money, which only an administrator does.
    pub fn is_money(self) -> bool {
        matches!(self, Self::Grant | Self::Refund)
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
    /// It was refused for good.
    Refused,
}

/// A request.
#[derive(Clone, Debug)]
pub struct Request {
    pub kind: Kind,
    pub user: usize,
    pub standing: Standing,
    /// The job that it is about, where it is about one.
    pub target: Option<String>,
    /// The ids that it was told.
    pub jobs: BTreeSet<String>,
    /// A chat's answer came whole to who asked for it.
    pub is_whole: bool,
    /// Answers to it that say they are repeated.
    pub replays: u32,
    /// How often it was sent.
    pub sent: u32,
    /// The status of its last answer.
    pub last: Option<u16>,
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
    /// Calls without a key by the ids that their clients gave them, and whether the answer came whole.
    free: BTreeMap<String, bool>,
    cancels: u32,
    unpaid: u32,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.pages().requests.len()
    }

    /// Enter a new request, held by who sends it; returns its key too.
    pub fn begin(&self, kind: Kind, user: usize, target: Option<String>) -> (String, Request) {
        let mut pages = self.pages();
        let key = format!("torture-{}", pages.requests.len());
        let request = Request {
            kind,
            user,
            standing: Standing::Open,
            target,
            jobs: BTreeSet::new(),
            is_whole: false,
            replays: 0,
            sent: 0,
            last: None,
            is_held: true,
        };
        pages.requests.insert(key.clone(), request.clone());
        (key, request)
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

    /// The requests whose standing is open, for people.
    pub fn told(&self) -> String {
        let pages = self.pages();
        let open = pages.requests.iter().filter(|(_, request)| request.standing == Standing::Open);
        open.map(|(key, request)| format!("{key} {request:?}")).collect::<Vec<_>>().join("; ")
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

    /// Enter a call without a key; returns the id that its client gives it.
    pub fn begin_free(&self) -> String {
        let free = &mut self.pages().free;
        let id = format!("free-{}", free.len());
        free.insert(id.clone(), false);
        id
    }

    /// The answer of a call without a key came whole.
    pub fn came_whole(&self, id: String) {
        self.pages().free.insert(id, true);
    }

    /// Note a wish to cancel.
    pub fn canceled(&self) {
        self.pages().cancels += 1;
    }

    /// Note a refusal for lack of credits.
    pub fn unpaid(&self) {
        self.pages().unpaid += 1;
    }

    /// All requests by key.
    pub fn requests(&self) -> BTreeMap<String, Request> {
        self.pages().requests.clone()
    }

    /// Calls without a key, and whether their answers came whole.
    pub fn free(&self) -> BTreeMap<String, bool> {
        self.pages().free.clone()
    }

    /// Unexpected answers; wishes to cancel; refusals for lack of credits.
    pub fn asides(&self) -> (BTreeMap<String, u32>, u32, u32) {
        let pages = self.pages();
        (pages.odd.clone(), pages.cancels, pages.unpaid)
    }
}
