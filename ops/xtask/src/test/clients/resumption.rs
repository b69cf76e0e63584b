//! A browser's EventSource follows a feed while its host is killed and started again: no event is lost, and none comes twice.

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    host::{self, Host},
    progress::say,
};

/// How often the host is killed.
const KILLS: u32 = 3;
/// Jobs begun in each of its lives, and once more right after it is back.
const JOBS: usize = 2;
/// For everything that is waited for together.
const LIMIT: Duration = Duration::from_secs(180);
const LINES_MAX: usize = 10_000;

/// What `follow.mjs` prints.
#[derive(Debug, Deserialize)]
#[serde(tag = "told", rename_all = "kebab-case")]
enum Told {
    Open,
    /// The connection is gone or was refused; the status of an answer that was no stream.
    Error {
        status: Option<u16>,
    },
    Event(Event),
}

#[derive(Clone, Debug, Deserialize)]
struct Event {
    id: u64,
    name: String,
    job: String,
}

impl Event {
    fn is_final(&self) -> bool {
        ["generation.succeeded", "generation.failed", "generation.canceled"].contains(&self.name.as_str())
    }
}

/// Where the host is, and what it lets in.
#[derive(Clone, Copy, Debug)]
pub struct Feed<'a> {
    pub base_url: &'a str,
    pub key: &'a str,
    /// The folder with `follow.mjs` and its packages.
    pub scripts: &'a Path,
}

/// Kill the host some times beside a follower of the feed; returns the one that runs in the end.
pub fn check(feed: Feed<'_>, mut host: Host, restart: impl Fn(u32) -> Result<Host>) -> Result<Host> {
    say("test: clients: an EventSource beside a host that is killed");
    let mut follower = Follower::start(feed)?;
    let mut jobs = BTreeSet::new();
    for life in 1..=KILLS {
        // A host is back sooner than whoever followed it.
        follower.until(|follower| follower.opened >= life)?;
        let seen = follower.events.len();
        for _ in 0..JOBS {
            jobs.insert(begin(feed)?);
        }
        // In the middle of whatever it tells.
        follower.until(|follower| follower.events.len() > seen)?;
        host.kill()?;
        host = restart(life)?;
        // Nobody looks yet: whoever follows comes back a second later.
        jobs.insert(begin(feed)?);
    }
    follower.until(|follower| jobs.iter().all(|job| follower.has_ended(job)))?;
    let ids: Vec<u64> = follower.events.iter().map(|event| event.id).collect();
    ensure!(
        ids.windows(2).all(|pair| pair[1] == pair[0] + 1),
        "events are missing, doubled or out of order: {ids:?}"
    );
    for job in &jobs {
        let of: Vec<&str> = follower
            .events
            .iter()
            .filter(|event| event.job == *job)
            .map(|event| event.name.as_str())
            .collect();
        ensure!(of.first() == Some(&"generation.queued"), "the first event of {job} is missing: {of:?}");
    }
    ensure!(follower.opened > KILLS, "it came back {} times after {KILLS} kills", follower.opened - 1);
    say(format_args!(
        "test: clients: {} events of {} jobs over {KILLS} kills and {} connections, each once and in order",
        ids.len(),
        jobs.len(),
        follower.opened
    ));
    Ok(host)
}

/// Begin a job; returns its id.
fn begin(feed: Feed<'_>) -> Result<String> {
    let wanted = json!({"model": "mock/gpt-image-1", "task": "image-generation", "prompt": "A cat"});
    let mut answer = host::agent(Duration::from_secs(30))
        .post(format!("{}/api/v1/generations", feed.base_url))
        .header("authorization", format!("Bearer {}", feed.key))
        .header("content-type", "application/json")
        .send(wanted.to_string())
        .context("a generation cannot be asked for")?;
    let text = answer.body_mut().read_to_string()?;
    ensure!(answer.status().is_success(), "{}: {text}", answer.status());
    let job: Value = serde_json::from_str(&text)?;
    Ok(job["id"].as_str().context("a job without an id")?.to_owned())
}

/// The process with the EventSource, and what it was told.
struct Follower {
    process: Child,
    lines: Receiver<String>,
    opened: u32,
    events: Vec<Event>,
    since: Instant,
}

impl Follower {
    fn start(feed: Feed<'_>) -> Result<Self> {
        let mut node = Command::new("node");
        node.arg("follow.mjs").current_dir(feed.scripts).stdout(Stdio::piped());
        node.env("ATELIER_BASE_URL", feed.base_url).env("ATELIER_API_KEY", feed.key);
        let mut process = node.spawn().context("cannot start node")?;
        let out = process.stdout.take().context("it has no standard output")?;
        let (tell, lines) = sync_channel(LINES_MAX);
        thread::spawn(move || {
            let lines = BufReader::new(out).lines().map_while(Result::ok);
            // It ends with its process, or when nobody listens any more.
            lines.map(|line| tell.send(line)).take_while(Result::is_ok).count();
        });
        Ok(Self { process, lines, opened: 0, events: Vec::new(), since: Instant::now() })
    }

    fn until(&mut self, is_enough: impl Fn(&Self) -> bool) -> Result<()> {
        while !is_enough(self) {
            let left = LIMIT.saturating_sub(self.since.elapsed());
            let Ok(line) = self.lines.recv_timeout(left) else {
                bail!(
                    "the EventSource waits for more after {} events: {:?}",
                    self.events.len(),
                    self.events.last()
                );
            };
            match serde_json::from_str(&line).with_context(|| line.clone())? {
                Told::Open => self.opened += 1,
                Told::Error { status: None } => {}
                Told::Error { status: Some(status) } => bail!("the feed was refused with {status}"),
                Told::Event(event) => self.events.push(event),
            }
        }
        Ok(())
    }

    fn has_ended(&self, job: &str) -> bool {
        self.events.iter().any(|event| event.job == job && event.is_final())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Where it has ended already, both calls say so.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
