//! Open feeds of server-sent events, on which nothing happens.

use std::{
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::TcpStream,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::{bench::subject::Subject, host};

/// As many as a user may have (`[events] feeds_per_user`).
const PER_USER: usize = 16;
const LIMIT: Duration = Duration::from_secs(30);

/// Connections, each a feed.
#[derive(Debug)]
pub struct Feeds(Vec<TcpStream>);

impl Feeds {
    /// Opens so many, of as many users as that takes; each has begun when this returns.
    pub fn open(subject: &Subject, count: usize) -> Result<Self> {
        let mut feeds = Vec::with_capacity(count);
        while feeds.len() < count {
            let key = newcomer(subject)?;
            for _ in 0..PER_USER.min(count - feeds.len()) {
                feeds.push(feed(subject, &key)?);
            }
        }
        Ok(Self(feeds))
    }

    /// Closes them; returns how many were open until now.
    pub fn close(self) -> usize {
        self.0.into_iter().filter(is_open).count()
    }
}

/// The key of a new user.
fn newcomer(subject: &Subject) -> Result<String> {
    let agent = host::agent(LIMIT);
    let post = |path: &str, body: Value| -> Result<Value> {
        let request = agent.post(format!("http://{}{path}", subject.address));
        let request = request.header("authorization", format!("Bearer {}", subject.key));
        let mut answer = request.header("content-type", "application/json").send(body.to_string())?;
        let text = answer.body_mut().read_to_string()?;
        ensure!(answer.status() == 201, "{path} was answered {}: {text}", answer.status());
        Ok(serde_json::from_str(&text)?)
    };
    let mut random = [0; 8];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut random)?;
    let name = format!("crowd-{:016x}", u64::from_ne_bytes(random));
    post("/api/v1/users", json!({ "name": name }))?;
    let key = post("/api/v1/keys", json!({ "name": "feeds", "user": name, "scopes": ["read"] }))?;
    Ok(key["secret"].as_str().context("a key has a secret")?.to_owned())
}

fn feed(subject: &Subject, key: &str) -> Result<TcpStream> {
    let mut stream = TcpStream::connect(subject.address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let host = subject.address;
    write!(stream, "GET /api/v1/events HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {key}\r\n\r\n")?;
    let mut head = String::new();
    let mut reader = BufReader::new(stream.try_clone()?.take(64 << 10));
    while reader.read_line(&mut head)? > 2 {}
    ensure!(
        head.starts_with("HTTP/1.1 200 "),
        "a feed was refused: {}",
        head.lines().next().unwrap_or_default()
    );
    Ok(stream)
}

/// Whether nothing but events came, and no end.
fn is_open(stream: &TcpStream) -> bool {
    let mut buffer = [0; 4096];
    if stream.set_nonblocking(true).is_err() {
        return false;
    }
    loop {
        match (&mut &*stream).read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}
