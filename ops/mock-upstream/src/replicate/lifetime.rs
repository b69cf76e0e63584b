//! A prediction or training from its creation to its end.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

/// A prediction or training, advanced by polls.
#[derive(Debug, Clone)]
pub(super) struct Run {
    /// The object as the API shows it.
    pub body: Value,
    pub polls: u32,
    /// Why it will fail.
    pub failure: Option<String>,
    /// What it will have made.
    pub output: Value,
    pub deadline: Option<SystemTime>,
}

impl Run {
    pub fn status(&self) -> &str {
        self.body["status"].as_str().unwrap_or_default()
    }

    pub fn ended(&self) -> bool {
        matches!(self.status(), "succeeded" | "failed" | "canceled" | "aborted")
    }

    /// One look at it: starting, then processing, then succeeded or failed.
    pub fn poll(&mut self, polls_to_finish: u32) {
        if self.ended() || self.expire() {
            return;
        }
        self.polls += 1;
        if self.polls < polls_to_finish {
            self.start();
        } else {
            self.finish();
        }
    }

    /// End it now, as `Prefer: wait` sees it.
    pub fn finish(&mut self) {
        if self.ended() {
            return;
        }
        self.start();
        if let Some(failure) = &self.failure {
            self.body["error"] = json!(failure);
            self.body["logs"] = json!(format!("working\n{failure}\n"));
            self.end("failed");
        } else {
            self.body["output"] = self.output.clone();
            self.body["logs"] = json!("working\ndone\n");
            self.end("succeeded");
        }
    }

    pub fn cancel(&mut self) {
        if !self.ended() {
            self.end("canceled");
        }
    }

    /// End it if `Cancel-After` has passed: aborted when it never started, otherwise canceled.
    fn expire(&mut self) -> bool {
        let late = self.deadline.is_some_and(|deadline| deadline <= SystemTime::now());
        if late {
            let status = if self.body["started_at"].is_null() { "aborted" } else { "canceled" };
            self.end(status);
        }
        late
    }

    fn start(&mut self) {
        if self.body["started_at"].is_null() {
            self.body["started_at"] = json!(now());
            self.body["logs"] = json!("working\n");
        }
        self.body["status"] = json!("processing");
    }

    fn end(&mut self, status: &str) {
        self.body["status"] = json!(status);
        self.body["completed_at"] = json!(now());
        // The price of a run is its time: always the same here.
        self.body["metrics"] = json!({"predict_time": 1.5, "total_time": 2.0});
    }
}

/// The present in RFC 3339, as the API writes it.
pub(super) fn now() -> String {
    humantime::format_rfc3339_micros(SystemTime::now()).to_string()
}

/// `Cancel-After`: seconds, or a span such as `1m30s`; at least five seconds in the real API, any here.
pub(super) fn span(text: &str) -> Option<Duration> {
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => humantime::parse_duration(text).ok(),
    }
}
