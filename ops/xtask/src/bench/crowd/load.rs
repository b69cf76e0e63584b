//! Requests at fixed moments.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use ureq::Agent;

use crate::{bench::subject::Subject, host};

/// Connections, and so requests that may be on their way at once.
const SENDERS: usize = 64;
const LIMIT: Duration = Duration::from_secs(30);
/// Each sender has a thread that mostly waits.
const STACK_BYTES: usize = 256 << 10;

/// How much is offered.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Requests a second.
    pub rate: u32,
    pub seconds: u32,
}

impl Load {
    /// Offers it; returns how long each request took in microseconds, sorted. `send` is given a connection and the request's number. A
    /// request is timed from the moment when it was due, so that a stall is not hidden by the requests that it kept from being sent.
    ///
    /// # Errors
    /// The first of `send`.
    pub fn offer(self, send: impl Fn(&Agent, u32) -> Result<()> + Sync) -> Result<Vec<f64>> {
        let (next, all) = (AtomicU32::new(0), self.rate * self.seconds);
        let start = Instant::now() + Duration::from_millis(100);
        let sender = || -> Result<Vec<f64>> {
            let agent = host::agent(LIMIT);
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= all {
                    return Ok(times);
                }
                let due = start + Duration::from_secs(1) * number / self.rate;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                send(&agent, number)?;
                times.push(due.elapsed().as_secs_f64() * 1e6);
            }
        };
        let mut times = thread::scope(|scope| {
            let spawn = |_| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, sender);
            let senders = (0..SENDERS).map(spawn).collect::<std::io::Result<Vec<_>>>()?;
            let joined = senders.into_iter().map(|sender| sender.join().ok().context("a sender panicked")?);
            joined.collect::<Result<Vec<_>>>()
        })?
        .concat();
        times.sort_by(f64::total_cmp);
        Ok(times)
    }

    /// Offers chats.
    ///
    /// # Errors
    /// A chat that was not answered well.
    pub fn chats(self, subject: &Subject) -> Result<Vec<f64>> {
        let body = subject.body(false);
        self.offer(|agent, _| {
            let mut answer = agent
                .post(subject.chat_url())
                .header("authorization", format!("Bearer {}", subject.key))
                .header("content-type", "application/json")
                .send(&body)?;
            let text = answer.body_mut().read_to_string()?;
            ensure!(answer.status() == 200, "{} answered {}: {text}", subject.name, answer.status());
            Ok(())
        })
    }
}

/// Chats for a while, of which nothing is kept.
pub fn warm_up(subject: &Subject, rate: u32, span: Duration) -> Result<()> {
    let seconds = u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    Load { rate, seconds }.chats(subject).map(drop)
}
