//! Clients that stream, submit, cancel and repeat.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use super::{
    book::{Book, Kind, Request, Standing},
    client::{Client, Sent},
    random::Random,
};

/// Between two requests of one sender.
const PAUSE_MS: (u64, u64) = (20, 160);
/// While nobody listens.
const DOWN_PAUSE: Duration = Duration::from_millis(40);
/// Requests without an answer beyond which no new ones are made.
const OPEN_MAX: usize = 60;

/// How often each kind is asked for: one that is polled takes ten seconds.
const MIX: [Kind; 12] = [
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
    Kind::Chat,
    Kind::Polled,
];

/// One sender.
#[derive(Debug)]
pub struct Load {
    client: Client,
    users: Vec<String>,
    book: Arc<Book>,
    random: Random,
}

impl Load {
    /// At rest.
    pub fn new(address: SocketAddr, users: Vec<String>, book: Arc<Book>, random: Random) -> Self {
        Self { client: Client::new(address), users, book, random }
    }

    /// Send until told to stop.
    pub fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) {
            let is_up = match self.random.between(0, 100) {
                0..50 => self.submit(),
                50..75 => self.repeat(Standing::Open),
                75..85 => self.repeat(Standing::Accepted),
                85..92 => self.cancel(),
                _ => self.stream(),
            };
            let pause = Duration::from_millis(self.random.between(PAUSE_MS.0, PAUSE_MS.1));
            thread::sleep(if is_up { pause } else { DOWN_PAUSE });
        }
    }

    /// Send what has no answer until it has one.
    pub fn settle(mut self, deadline: Instant) -> Result<()> {
        while self.book.open() > 0 {
            ensure!(Instant::now() < deadline, "{} requests got no answer in time", self.book.open());
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
        let user = self.random.between(0, self.users.len() as u64) as usize;
        let key = self.book.begin(kind, user);
        self.send(&key, kind, user)
    }

    fn repeat(&mut self, standing: Standing) -> bool {
        let random = &mut self.random;
        let Some((key, Request { kind, user, .. })) =
            self.book.hold(standing, |count| random.between(0, count))
        else {
            return true;
        };
        self.send(&key, kind, user)
    }

    fn send(&mut self, key: &str, kind: Kind, user: usize) -> bool {
        let (path, body) = wanted(kind, key);
        let sent = self.client.post(path, &self.users[user], Some(key), &body);
        let is_up = matches!(sent, Sent::Answered { .. });
        let (book, told) = (Arc::clone(&self.book), self.told(kind, sent));
        book.end(key, |request| {
            request.sent += 1;
            let Some(told) = told else { return };
            request.replays += u32::from(told.is_replayed);
            // What was accepted stays so.
            if request.standing == Standing::Open {
                request.standing = told.standing;
            } else if request.standing != told.standing && told.standing != Standing::Open {
                book_odd(request, told.standing);
            }
            request.jobs.extend(told.job);
        });
        is_up
    }

    /// What an answer says of its request; nothing if it is to be sent again.
    fn told(&self, kind: Kind, sent: Sent) -> Option<Told> {
        let Sent::Answered { status, is_replayed, body } = sent else { return None };
        let accepted = |job| Some(Told { standing: Standing::Accepted, job, is_replayed });
        match (kind, status) {
            (Kind::Chat, 200) if body.ends_with(b"data: [DONE]\n\n") => accepted(None),
            // The stream ended with an error in it, which is its answer.
            (Kind::Chat, 200) => accepted(None),
            (Kind::Called | Kind::Polled | Kind::Steady, 202) => {
                let job: Value = serde_json::from_slice(&body).ok()?;
                accepted(job["id"].as_str().map(str::to_owned))
            }
            (Kind::Image, 200) => accepted(None),
            // Its job failed, or was interrupted: that is its answer too.
            (Kind::Image, 502 | 504) => accepted(None),
            (_, 409) if code(&body) == "outcome_unknown" => {
                Some(Told { standing: Standing::Unknown, job: None, is_replayed })
            }
            (Kind::Image, 409) if code(&body) == "canceled" => accepted(None),
            (_, 409) if code(&body) == "idempotency_key_in_use" => None,
            // Too many jobs, a provider that is not known yet: later.
            (_, 429 | 503) => None,
            _ => {
                let text: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                self.book.odd(format!("{kind:?} answered {status}: {text}"));
                None
            }
        }
    }

    fn cancel(&mut self) -> bool {
        let random = &mut self.random;
        let Some((user, job)) = self.book.job(|count| random.between(0, count)) else { return true };
        match self.client.ask(&format!("/api/v1/generations/{job}/cancel"), &self.users[user]) {
            Sent::Answered { status: 200 | 202, .. } => self.book.canceled(),
            Sent::Answered { status: 503, .. } => {}
            Sent::Answered { status, body, .. } => {
                self.book.odd(format!("a cancel was answered {status}: {}", String::from_utf8_lossy(&body)));
            }
            Sent::Broken => return false,
        }
        true
    }

    fn stream(&mut self) -> bool {
        let (path, body) = wanted(Kind::Chat, "no key");
        let user = self.random.between(0, self.users.len() as u64) as usize;
        let sent = self.client.post(path, &self.users[user], None, &body);
        self.book.streamed(
            matches!(&sent, Sent::Answered { status: 200, body, .. } if body.ends_with(b"[DONE]\n\n")),
        );
        matches!(sent, Sent::Answered { .. })
    }
}

struct Told {
    standing: Standing,
    job: Option<String>,
    is_replayed: bool,
}

/// An accepted request whose outcome is unknown later, or the other way round, is a contradiction: its standing says so.
fn book_odd(request: &mut Request, standing: Standing) {
    request.standing = standing;
    request.jobs.insert("contradicted".to_owned());
}

/// A request's path and body; the prompt is its key, by which its job is found.
fn wanted(kind: Kind, key: &str) -> (&'static str, Value) {
    let job = |model: &str, task: &str| json!({"model": model, "task": task, "prompt": key});
    match kind {
        Kind::Called => ("/api/v1/generations", job("calls/mock/image", "image-generation")),
        Kind::Polled => ("/api/v1/generations", job("polls/sora-2", "video-generation")),
        Kind::Steady => ("/api/v1/generations", job("steady/steady", "video-generation")),
        Kind::Image => {
            ("/v1/images/generations", json!({"model": "polls/gpt-image-1", "prompt": key, "size": "64x64"}))
        }
        Kind::Chat => {
            let messages = json!([{"role": "user", "content": key}]);
            (
                "/v1/chat/completions",
                json!({"model": "polls/mock-chat", "messages": messages, "stream": true}),
            )
        }
    }
}

fn code(body: &[u8]) -> String {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let code = error["code"].as_str().or_else(|| error["error"]["code"].as_str());
    code.unwrap_or_default().to_owned()
}
