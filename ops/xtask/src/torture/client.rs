//! A client that takes it calmly when its server is gone.

use std::{io::Read, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::{Body, http::Response};

use crate::host;

/// A generated image is waited for within its request.
const LIMIT: Duration = Duration::from_secs(30);
const BODY_BYTES_MAX: u64 = 64 << 20;

/// What became of a request.
#[derive(Debug)]
pub enum Sent {
    /// It was answered to the end.
    Answered { status: u16, is_replayed: bool, body: Vec<u8> },
    /// There was no connection, or it broke before the end: whether anything was done is not known.
    Broken,
    /// The client left in the middle of the answer.
    Left,
}

impl Sent {
    /// The JSON of an answer with this status.
    pub fn expect(self, wanted: u16) -> Result<Value> {
        match self {
            Self::Answered { status, body, .. } if status == wanted => {
                serde_json::from_slice(&body).context("the answer is no JSON")
            }
            Self::Answered { status, body, .. } => {
                bail!("the answer is {status}, not {wanted}: {}", String::from_utf8_lossy(&body))
            }
            Self::Broken | Self::Left => bail!("the connection broke"),
        }
    }

    /// Whether there is somebody at the other end.
    pub fn is_up(&self) -> bool {
        !matches!(self, Self::Broken)
    }
}

/// How a request is named.
#[derive(Clone, Copy, Debug)]
pub enum Name<'a> {
    /// Not at all.
    None,
    /// By this idempotency key, with which its request id ends too.
    Key(&'a str),
    /// By this request id alone.
    Id(&'a str),
}

/// A result's content.
#[derive(Debug)]
pub struct Content {
    /// Its `etag`, without quotes.
    pub tag: String,
    pub bytes: Vec<u8>,
}

/// A client of one address.
#[derive(Debug)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    /// Talks to what listens there.
    pub fn new(address: SocketAddr) -> Self {
        Self::patient(address, LIMIT)
    }

    /// The same, with another limit for a whole request.
    pub fn patient(address: SocketAddr, limit: Duration) -> Self {
        Self { agent: host::agent(limit), base: format!("http://{address}") }
    }

    pub fn get(&self, path: &str, key: &str) -> Sent {
        sent(self.open(path, key, &[]), None)
    }

    /// The head of an answer, whose body is still to be read; nothing if there is no connection.
    pub fn open(&self, path: &str, key: &str, headers: &[(&str, &str)]) -> Option<Response<Body>> {
        let request = self.agent.get(format!("{}{path}", self.base));
        let request = request.header("authorization", format!("Bearer {key}"));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value)).call().ok()
    }

    /// What is at an address, if all of it came.
    pub fn content(&self, path: &str, key: &str) -> Option<Content> {
        let response = self.open(path, key, &[]).filter(|response| response.status() == 200)?;
        let tag = response.headers().get("etag")?.to_str().ok()?.trim_matches('"').to_owned();
        match sent(Some(response), None) {
            Sent::Answered { body, .. } => Some(Content { tag, bytes: body }),
            Sent::Broken | Sent::Left => None,
        }
    }

    pub fn post(&self, path: &str, key: &str, name: Name<'_>, body: &Value) -> Sent {
        self.post_and_leave(path, key, name, body, None)
    }

    /// Leaves after so many bytes of the answer, if it has more.
    pub fn post_and_leave(
        &self,
        path: &str,
        key: &str,
        name: Name<'_>,
        body: &Value,
        leave_after: Option<usize>,
    ) -> Sent {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let request = match name {
            Name::None => request,
            Name::Key(key) => {
                request.header("idempotency-key", key).header("x-request-id", format!("sent-{key}"))
            }
            Name::Id(id) => request.header("x-request-id", id),
        };
        sent(request.send(body.to_string()).ok(), leave_after)
    }

    /// A request without a body.
    pub fn ask(&self, path: &str, key: &str) -> Sent {
        let request = self.agent.post(format!("{}{path}", self.base));
        sent(request.header("authorization", format!("Bearer {key}")).send_empty().ok(), None)
    }
}

fn sent(response: Option<Response<Body>>, leave_after: Option<usize>) -> Sent {
    let Some(response) = response else { return Sent::Broken };
    let status = response.status().as_u16();
    let is_replayed = response.headers().contains_key("idempotent-replayed");
    let mut reader = response.into_body().into_reader().take(BODY_BYTES_MAX);
    let mut body = Vec::new();
    if let Some(leave_after) = leave_after {
        let mut piece = [0; 128];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(length) => body.extend_from_slice(&piece[..length]),
                Err(_) => return Sent::Broken,
            }
            if body.len() >= leave_after {
                return Sent::Left;
            }
        }
    }
    match reader.read_to_end(&mut body) {
        Ok(_) => Sent::Answered { status, is_replayed, body },
        Err(_) => Sent::Broken,
    }
}
