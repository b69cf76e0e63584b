//! A client that takes it calmly when its server is gone.

use std::{io::Read, net::SocketAddr, time::Duration};

use anyhow::{Context, Result, bail};
use serde_json::Value;

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
            Self::Broken => bail!("the connection broke"),
        }
    }
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
        Self { agent: host::agent(LIMIT), base: format!("http://{address}") }
    }

    pub fn get(&self, path: &str, key: &str) -> Sent {
        let request = self.agent.get(format!("{}{path}", self.base));
        sent(request.header("authorization", format!("Bearer {key}")).call())
    }

    /// `idempotency` is the request's key, and the end of its request id.
    pub fn post(&self, path: &str, key: &str, idempotency: Option<&str>, body: &Value) -> Sent {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request
            .header("authorization", format!("Bearer {key}"))
            .header("content-type", "application/json");
        let request = match idempotency {
            None => request,
            Some(idempotency) => request
                .header("idempotency-key", idempotency)
                .header("x-request-id", format!("sent-{idempotency}")),
        };
        sent(request.send(body.to_string()))
    }

    /// A request without a body.
    pub fn ask(&self, path: &str, key: &str) -> Sent {
        let request = self.agent.post(format!("{}{path}", self.base));
        sent(request.header("authorization", format!("Bearer {key}")).send_empty())
    }
}

fn sent(outcome: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Sent {
    let Ok(response) = outcome else { return Sent::Broken };
    let status = response.status().as_u16();
    let is_replayed = response.headers().contains_key("idempotent-replayed");
    let mut body = Vec::new();
    match response.into_body().into_reader().take(BODY_BYTES_MAX).read_to_end(&mut body) {
        Ok(_) => Sent::Answered { status, is_replayed, body },
        Err(_) => Sent::Broken,
    }
}
