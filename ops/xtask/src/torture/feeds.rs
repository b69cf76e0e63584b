//! Readers of event feeds, who go on where they left when their connection breaks.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::{book::Book, client::Client, random::Random, setup::User};

/// How long one connection lasts: short, so that readers go on where they left also where nobody is killed.
const CONNECTION: Duration = Duration::from_secs(4);
/// After a connection that could not be made.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a reader may take to have what there is once nothing more happens.
const CATCH_UP: Duration = Duration::from_secs(60);
const LINE_BYTES_MAX: u64 = 1 << 16;

/// An event as a feed gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub sequence: u64,
    /// As it came, to be compared.
    pub text: String,
    /// `generation.…`
    pub kind: String,
    /// The job's id.
    pub job: String,
    /// The job's state.
    pub state: String,
}

impl Event {
    /// Reads the body of an event or of a webhook, which are the same.
    pub fn of(text: &str) -> Option<Self> {
        let body: Value = serde_json::from_str(text).ok()?;
        let word = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            sequence: body["sequence"].as_u64()?,
            text: text.to_owned(),
            kind: word(&body["type"])?,
            job: word(&body["data"]["id"])?,
            state: word(&body["data"]["state"])?,
        })
    }

    /// Whether it is the last of its job.
    pub fn is_final(&self) -> bool {
        ["succeeded", "failed", "canceled"].contains(&self.state.as_str())
    }
}

/// What a reader has.
#[derive(Debug, Default)]
pub struct Reading {
    pub events: Vec<Event>,
    pub connections: u32,
    pub wrong: Vec<String>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The reader has what it wants.
    Enough,
    /// There is nothing more, says the host.
    Over,
    /// It broke, or its time was over.
    Broken,
}

/// A reader of one feed.
struct Feed<'a> {
    client: Client,
    path: String,
    key: &'a str,
    read: Reading,
}

impl<'a> Feed<'a> {
    fn new(address: SocketAddr, path: String, key: &'a str) -> Self {
        Self { client: Client::patient(address, CONNECTION), path, key, read: Reading::default() }
    }

    fn last(&self) -> u64 {
        self.read.events.last().map_or(0, |event| event.sequence)
    }

    /// One connection, from the event after the last.
    fn connect(&mut self, is_enough: impl Fn(&Reading) -> bool) -> End {
        let last = self.last().to_string();
        let headers = [("last-event-id", last.as_str()), ("accept", "text/event-stream")];
        let Some(response) = self.client.open(&self.path, self.key, &headers) else {
            thread::sleep(PAUSE);
            return End::Broken;
        };
        match response.status().as_u16() {
            200 => self.read.connections += 1,
            204 => return End::Over,
            status => {
                // Storage may be busy; nothing else is expected.
                if status != 503 {
                    self.read.wrong.push(format!("{} answered {status}", self.path));
                }
                thread::sleep(PAUSE);
                return End::Broken;
            }
        }
        let mut lines = BufReader::new(response.into_body().into_reader());
        let (mut line, mut data) = (String::new(), String::new());
        loop {
            line.clear();
            let came = (&mut lines).take(LINE_BYTES_MAX).read_line(&mut line);
            // Half a line is none: the event comes again as a whole.
            if came.is_err() || !line.ends_with('\n') {
                return End::Broken;
            }
            let text = line.trim_end_matches('\n');
            if let Some(text) = text.strip_prefix("data: ") {
                data = text.to_owned();
            } else if text.is_empty() && !data.is_empty() {
                self.take(&std::mem::take(&mut data));
                if is_enough(&self.read) {
                    return End::Enough;
                }
            }
        }
    }

    fn take(&mut self, data: &str) {
        match Event::of(data) {
            Some(event) if event.sequence > self.last() => self.read.events.push(event),
            Some(_) => self.read.wrong.push(format!("{} after {} came {data}", self.path, self.last())),
            None => self.read.wrong.push(format!("{} gave {data}", self.path)),
        }
    }
}

/// The number of the last event as long as nobody knows it.
pub const UNKNOWN: u64 = u64::MAX;

/// Follow all events of a user until the one with this number.
pub fn follow(address: SocketAddr, user: &User, until: &AtomicU64) -> Reading {
    let mut feed = Feed::new(address, "/api/v1/events".to_owned(), &user.key);
    let mut known_since = None;
    loop {
        let until = until.load(Ordering::Acquire);
        if until != UNKNOWN {
            let since = *known_since.get_or_insert_with(Instant::now);
            if feed.last() >= until {
                return feed.read;
            }
            if since.elapsed() > CATCH_UP {
                feed.read.wrong.push(format!("{} is at {} of {until}", user.name, feed.last()));
                return feed.read;
            }
        }
        feed.connect(|read| read.events.last().is_some_and(|event| event.sequence >= until));
    }
}

/// Follow one job after another to its end, until told to stop.
pub fn follow_jobs(
    address: SocketAddr,
    users: &[User],
    book: &Arc<Book>,
    mut random: Random,
    stop: &AtomicBool,
) -> BTreeMap<String, Reading> {
    let mut all = BTreeMap::new();
    while !stop.load(Ordering::Relaxed) {
        let job = book.job(|count| random.between(0, count));
        let Some((user, job)) = job.filter(|(_, job)| !all.contains_key(job)) else {
            thread::sleep(PAUSE);
            continue;
        };
        let mut feed = Feed::new(address, format!("/api/v1/generations/{job}/events"), &users[user].key);
        let mut stopped_since = None;
        loop {
            let is_final = |read: &Reading| read.events.last().is_some_and(Event::is_final);
            if feed.connect(is_final) != End::Broken {
                break;
            }
            if stop.load(Ordering::Relaxed)
                && stopped_since.get_or_insert_with(Instant::now).elapsed() > CATCH_UP
            {
                feed.read.wrong.push(format!("the feed of {job} has no end"));
                break;
            }
        }
        all.insert(job, feed.read);
    }
    all
}

/// All events of a user of whose jobs so many have ended, and none goes on.
pub fn all(address: SocketAddr, user: &User, ended: usize, deadline: Instant) -> Result<Vec<Event>> {
    let mut feed = Feed::new(address, "/api/v1/events".to_owned(), &user.key);
    let has_all = |read: &Reading| read.events.iter().filter(|event| event.is_final()).count() >= ended;
    while !has_all(&feed.read) {
        let time_is_over = Instant::now() > deadline;
        ensure!(!time_is_over, "{} has {} jobs that ended, and their events do not come", user.name, ended);
        let before = feed.read.events.len();
        // Counted by pages: each event would be counted again with each that comes.
        feed.connect(|read| {
            read.events.last().is_some_and(Event::is_final)
                && (read.events.len() - before).is_multiple_of(16)
                && has_all(read)
        });
    }
    ensure!(feed.read.wrong.is_empty(), "the events of {} are odd: {:?}", user.name, feed.read.wrong);
    Ok(feed.read.events)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_read_with_its_job() {
        let text = r#"{"type":"generation.failed","sequence":7,"data":{"id":"j","state":"failed"}}"#;
        let event = Event::of(text).expect("an event");
        assert_eq!((event.sequence, event.job.as_str(), event.is_final()), (7, "j", true));
        assert_eq!(Event::of(r#"{"type":"events.missed","oldest":97}"#), None);
    }
}
