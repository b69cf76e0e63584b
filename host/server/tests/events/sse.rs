//! A reader of server-sent events (WHATWG HTML §9.2.6) that knows what browsers know.

use reqwest::{RequestBuilder, Response};
use serde_json::Value;

use crate::PATIENCE;

/// An event as it was dispatched.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub id: String,
    pub name: String,
    pub data: Value,
}

impl Event {
    pub fn sequence(&self) -> u64 {
        self.id.parse().expect("a number")
    }

    pub fn job(&self) -> &str {
        self.data["data"]["id"].as_str().expect("a job")
    }
}

pub struct Reader {
    response: Response,
    buffer: String,
}

impl Reader {
    /// Opens a feed, going on after `last` as browsers ask for it.
    pub async fn open(request: RequestBuilder, last: Option<u64>) -> Self {
        let request = match last {
            Some(last) => request.header("last-event-id", last.to_string()),
            None => request,
        };
        let response = request.header("accept", "text/event-stream").send().await.expect("answered");
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        Self { response, buffer: String::new() }
    }

    /// The next event; `None` when the feed has ended or the connection broke.
    pub async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.buffer = rest;
                if let Some(event) = dispatched(&block) {
                    return Some(event);
                }
                continue;
            }
            let chunk = tokio::time::timeout(PATIENCE, self.response.chunk()).await.expect("in time");
            let chunk = chunk.ok().flatten()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).expect("UTF-8, whole frames"));
        }
    }
}

/// A block without data is no event: a comment, or the time to wait.
fn dispatched(block: &str) -> Option<Event> {
    let field = |name: &str| {
        block
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    };
    let data = serde_json::from_str(field("data")?).expect("JSON");
    Some(Event { id: field("id")?.to_owned(), name: field("event")?.to_owned(), data })
}
