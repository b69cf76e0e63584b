//! Streams: when the first token comes, and whether every frame does.

use std::{
    io::{BufRead, BufReader},
    sync::{Arc, Barrier},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::subject::Subject;
use crate::host;

const LIMIT: Duration = Duration::from_secs(60);
/// Each stream of many has a thread that only waits.
const STACK_BYTES: usize = 256 << 10;

#[derive(Deserialize)]
struct Event {
    choices: Vec<Choice>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Delta,
}

#[derive(Deserialize)]
struct Delta {
    content: Option<String>,
}

/// A stream that came whole.
#[derive(Debug)]
pub struct Streamed {
    pub first_token: Duration,
    /// The text of each event that had some.
    pub frames: Vec<String>,
}

/// One stream from beginning to end; one without `[DONE]` is an error.
fn stream(agent: &ureq::Agent, subject: &Subject, body: &str) -> Result<Streamed> {
    let started = Instant::now();
    let answer = agent
        .post(subject.chat_url())
        .header("authorization", format!("Bearer {}", subject.key))
        .header("content-type", "application/json")
        .send(body)?;
    ensure!(answer.status() == 200, "{} answered {}", subject.name, answer.status());
    let mut reader = BufReader::new(answer.into_body().into_reader());
    let (mut frames, mut first_token, mut is_done) = (Vec::new(), None, false);
    let mut line = String::new();
    while reader.read_line(&mut line)? > 0 {
        match line.trim_end().strip_prefix("data: ") {
            Some("[DONE]") => is_done = true,
            Some(event) => {
                let now = started.elapsed();
                let event: Event = serde_json::from_str(event)
                    .with_context(|| format!("{}: not an event: {event}", subject.name))?;
                let text = event.choices.into_iter().find_map(|choice| choice.delta.content);
                if let Some(text) = text.filter(|text| !text.is_empty()) {
                    first_token.get_or_insert(now);
                    frames.push(text);
                }
            }
            None => {}
        }
        line.clear();
    }
    match first_token {
        Some(first_token) if is_done => Ok(Streamed { first_token, frames }),
        _ => bail!("{}: a stream ended early, after {} frames", subject.name, frames.len()),
    }
}

/// Time to the first token of `count` streams one after another, in microseconds, sorted.
pub fn first_tokens(subject: &Subject, count: usize) -> Result<Vec<f64>> {
    let agent = host::agent(LIMIT);
    let body = subject.body(true);
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        times.push(stream(&agent, subject, &body)?.first_token.as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// `count` streams at once, each on a connection of its own; returns how many came whole and like `expected`.
pub fn at_once(subject: &Arc<Subject>, count: usize, expected: &[String]) -> Result<usize> {
    let gate = Arc::new(Barrier::new(count));
    let body: Arc<str> = subject.body(true).into();
    let threads = (0..count).map(|_| {
        let (subject, gate, body) = (Arc::clone(subject), Arc::clone(&gate), Arc::clone(&body));
        thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
            let agent = host::agent(LIMIT);
            gate.wait();
            stream(&agent, &subject, &body)
        })
    });
    let threads: Vec<_> = threads.collect::<std::io::Result<_>>()?;
    let (mut whole, mut first_error) = (0, None);
    for thread in threads {
        match thread.join() {
            Ok(Ok(streamed)) if streamed.frames == expected => whole += 1,
            Ok(Ok(streamed)) => {
                first_error.get_or_insert(format!(
                    "{} frames, not {}",
                    streamed.frames.len(),
                    expected.len()
                ));
            }
            Ok(Err(error)) => {
                first_error.get_or_insert(format!("{error:#}"));
            }
            Err(_) => bail!("a thread of the load generator panicked"),
        }
    }
    if let Some(error) = first_error {
        crate::progress::say(format_args!(
            "bench: {} of {count} streams came whole; one did not: {error}",
            whole
        ));
    }
    Ok(whole)
}

/// What a stream of `subject` says.
pub fn frames(subject: &Subject) -> Result<Vec<String>> {
    Ok(stream(&host::agent(LIMIT), subject, &subject.body(true))?.frames)
}
