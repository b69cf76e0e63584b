//! Chats at fixed moments.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{bench::subject::Subject, host};

/// Connections, and so chats that may be on their way at once.
const SENDERS: usize = 64;
const LIMIT: Duration = Duration::from_secs(30);
/// Each sender has a thread that mostly waits.
const STACK_BYTES: usize = 256 << 10;

/// How much is offered.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Chats a second.
    pub rate: u32,
    pub seconds: u32,
}

impl Load {
    /// Offers it; returns how long each chat took in microseconds, sorted. A chat is timed from the moment when it was due, so that a
    /// stall is not hidden by the chats that it kept from being sent.
    ///
    /// # Errors
    /// A chat that was not answered well.
    pub fn offer(self, subject: &Subject) -> Result<Vec<f64>> {
        let all = self.rate * self.seconds;
        let (next, body) = (AtomicU32::new(0), subject.body(false));
        let start = Instant::now() + Duration::from_millis(100);
        let send = || -> Result<Vec<f64>> {
            let agent = host::agent(LIMIT);
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= all {
                    return Ok(times);
                }
                let due = start + Duration::from_secs(1) * number / self.rate;
                thread::sleep(due.saturating_duration_since(Instant::now()));
                chat(&agent, subject, &body)?;
                times.push(due.elapsed().as_secs_f64() * 1e6);
            }
        };
        let mut times = thread::scope(|scope| {
            let spawn = |_| thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, send);
            let senders = (0..SENDERS).map(spawn).collect::<std::io::Result<Vec<_>>>()?;
            let joined = senders.into_iter().map(|sender| sender.join().ok().context("a sender panicked")?);
            joined.collect::<Result<Vec<_>>>()
        })?
        .concat();
        times.sort_by(f64::total_cmp);
        Ok(times)
    }
}

/// The same load for a while, of which nothing is kept.
pub fn warm_up(subject: &Subject, rate: u32, span: Duration) -> Result<()> {
    let seconds = u32::try_from(span.as_secs()).unwrap_or(u32::MAX);
    Load { rate, seconds }.offer(subject).map(drop)
}

fn chat(agent: &ureq::Agent, subject: &Subject, body: &str) -> Result<()> {
    let mut answer = agent
        .post(subject.chat_url())
        .header("authorization", format!("Bearer {}", subject.key))
        .header("content-type", "application/json")
        .send(body)?;
    let text = answer.body_mut().read_to_string()?;
    ensure!(answer.status() == 200, "{} answered {}: {text}", subject.name, answer.status());
    Ok(())
}
