//! Clients that chat, submit, cancel, leave and repeat, and an administrator who grants and gives back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    book::{Book, Kind, Request, Standing},
    client::{Client, Name, Sent},
    evidence::{Job, pages},
    random::Random,
    setup::User,
    wanted::{chat, told, wanted},
};

/// Between two requests of one sender.
const PAUSE_MS: (u64, u64) = (20, 160);
/// While nobody listens.
const DOWN_PAUSE: Duration = Duration::from_millis(40);
/// Requests without an answer beyond which no new ones are made.
const OPEN_MAX: usize = 60;
/// How much of a stream a client reads that leaves.
const LEFT_BYTES: (u64, u64) = (1, 2_500);

/// How often each kind is asked for: one that is polled takes ten seconds.
const MIX: [Kind; 16] = [
    Kind::Called,
    Kind::Called,
    Kind::Called,
    Kind::Steady,
    Kind::Steady,
    Kind::Steady,
    Kind::Image,
    Kind::Image,
    Kind::Chat,
    Kind::Chat,
    Kind::Plain,
    Kind::Plain,
    Kind::Polled,
    Kind::Grant,
    Kind::Refund,
    Kind::Refund,
];

/// One sender.
#[derive(Debug)]
pub struct Load {
    client: Client,
    users: Vec<User>,
    book: Arc<Book>,
    random: Random,
}

impl Load {
    /// At rest. The first user is the administrator.
    pub fn new(client: Client, users: Vec<User>, book: Arc<Book>, random: Random) -> Self {
        Self { client, users, book, random }
    }

    /// Send until told to stop.
    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let is_up = match self.random.between(0, 100) {
                0..48 => self.submit(),
                48..73 => self.repeat(Standing::Open),
                73..82 => self.repeat(Standing::Accepted),
                82..89 => self.cancel(),
                _ => self.call_without_key(),
            };
            let pause = Duration::from_millis(self.random.between(PAUSE_MS.0, PAUSE_MS.1));
            thread::sleep(if is_up { pause } else { DOWN_PAUSE });
        }
    }

    /// Send what has no answer until it has one.
    pub fn settle(mut self, deadline: Instant) -> Result<()> {
        while self.book.open() > 0 {
            let open = self.book.open();
            ensure!(Instant::now() < deadline, "{open} requests got no answer in time: {}", self.book.told());
            self.repeat(Standing::Open);
            thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn submit(&mut self) -> bool {
        if self.book.open() > OPEN_MAX {
            return self.repeat(Standing::Open);
        }
        let kind = *self.random.of(&MIX).unwrap_or(&Kind::Chat);
        let (mut user, mut target) = (self.random.between(0, self.users.len() as u64) as usize, None);
        if kind.is_money() {
            user = 0;
        }
        if kind == Kind::Refund {
            let random = &mut self.random;
            let Some((_, job)) = self.book.job(|count| random.between(0, count)) else { return true };
            target = Some(job);
        }
        let (key, request) = self.book.begin(kind, user, target);
        self.send(&key, &request)
    }

    fn repeat(&mut self, standing: Standing) -> bool {
        let random = &mut self.random;
        match self.book.hold(standing, |count| random.between(0, count)) {
            Some((key, request)) => self.send(&key, &request),
            None => true,
        }
    }

    fn send(&mut self, key: &str, request: &Request) -> bool {
        let (path, body) = wanted(request, key);
        let user = &self.users[request.user];
        let sent = self.client.post(&path, &user.key, Name::Key(key), &body);
        let is_up = sent.is_up();
        let mut told = told(request.kind, user.is_poor, sent);
        if told.may_be_final && self.has_failed(user, key) {
            told.standing = Some(Standing::Accepted);
        }
        if let Some(odd) = told.odd {
            self.book.odd(odd);
        }
        if told.is_unpaid {
            self.book.unpaid();
        }
        self.book.end(key, |request| {
            request.sent += 1;
            request.last = told.status;
            let Some(standing) = told.standing else { return };
            request.replays += u32::from(told.is_replayed);
            request.is_whole |= told.is_whole;
            // What was accepted stays so.
            if request.standing == Standing::Open {
                request.standing = standing;
            } else if request.standing != standing {
                contradict(request, standing);
            }
            request.jobs.extend(told.job);
        });
        is_up
    }

    /// Whether a request became a job that failed.
    fn has_failed(&self, user: &User, key: &str) -> bool {
        let jobs: Vec<Job> =
            pages(&self.client, &user.key, "/api/v1/generations?limit=100").unwrap_or_default();
        jobs.iter().any(|job| job.prompt.as_deref() == Some(key) && job.state == "failed")
    }

    fn cancel(&mut self) -> bool {
        let random = &mut self.random;
        let Some((user, job)) = self.book.job(|count| random.between(0, count)) else { return true };
        match self.client.ask(&format!("/api/v1/generations/{job}/cancel"), &self.users[user].key) {
            Sent::Answered { status: 200 | 202, .. } => self.book.canceled(),
            Sent::Answered { status: 503, .. } => {}
            Sent::Answered { status, body, .. } => {
                self.book.odd(format!("a cancel was answered {status}: {}", String::from_utf8_lossy(&body)));
            }
            Sent::Broken | Sent::Left => return false,
        }
        true
    }

    /// A chat that is asked for once, and that its client may leave.
    fn call_without_key(&mut self) -> bool {
        let id = self.book.begin_free();
        let streams = self.random.between(0, 3) > 0;
        let (path, body) = chat(&id, streams);
        let user = self.random.between(0, self.users.len() as u64) as usize;
        let leaves = streams && self.random.between(0, 3) == 0;
        let leave_after = leaves.then(|| self.random.between(LEFT_BYTES.0, LEFT_BYTES.1) as usize);
        let key = &self.users[user].key;
        let sent = self.client.post_and_leave(&path, key, Name::Id(&id), &body, leave_after);
        if let Sent::Answered { status: 200, body, .. } = &sent
            && (!streams || body.ends_with(b"data: [DONE]\n\n"))
        {
            self.book.came_whole(id);
        }
        sent.is_up()
    }
}

/// An accepted request whose outcome is unknown later, or the other way round, is a contradiction: its standing says so.
fn contradict(request: &mut Request, standing: Standing) {
    request.standing = standing;
    request.jobs.insert("contradicted".to_owned());
}
