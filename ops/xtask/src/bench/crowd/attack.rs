//! Callers of a plugin that wants to harm.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use serde_json::json;

use crate::{bench::subject::Subject, host};

/// The instance of the hostile plugin.
pub const INSTANCE: &str = "hostile";
/// Its models are attacks.
const ATTACKS: [&str; 2] = ["endless-loop", "endless-host-calls"];
/// Longer than a call may compute.
const LIMIT: Duration = Duration::from_secs(30);
/// After a refusal, as an ordinary client would wait before it tries again.
const PAUSE: Duration = Duration::from_millis(50);

/// Callers that ask again as soon as they are answered.
#[derive(Debug)]
pub struct Attack {
    is_over: Arc<AtomicBool>,
    callers: Vec<JoinHandle<BTreeMap<u16, u32>>>,
}

/// What the callers were answered.
#[derive(Debug, Default)]
pub struct Attacks {
    /// Calls that the sandbox ended.
    pub ended: u32,
    /// Calls that the plugin's breaker did not let begin.
    pub refused: u32,
    /// Calls that never came to the plugin: something is wrong with the measurement.
    pub lost: u32,
}

impl fmt::Display for Attacks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hostile calls were ended, {} not let begin", self.ended, self.refused)
    }
}

impl Attack {
    /// So many callers, until [`Attack::end`].
    pub fn begin(subject: &Subject, callers: usize) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let callers = (0..callers).map(|place| {
            let (is_over, key) = (Arc::clone(&is_over), subject.key.clone());
            let url = subject.chat_url();
            let model = format!("{INSTANCE}/{}", ATTACKS[place % ATTACKS.len()]);
            thread::spawn(move || call_until(&is_over, &url, &key, &model))
        });
        Self { callers: callers.collect(), is_over }
    }

    /// Ends it, once the calls that run have come to their end.
    pub fn end(self) -> Attacks {
        self.is_over.store(true, Ordering::Relaxed);
        let mut all = Attacks::default();
        for (status, count) in self.callers.into_iter().filter_map(|caller| caller.join().ok()).flatten() {
            match status {
                503 => all.refused += count,
                ..500 => all.lost += count,
                _ => all.ended += count,
            }
        }
        all
    }
}

/// How often each status was answered.
fn call_until(is_over: &AtomicBool, url: &str, key: &str, model: &str) -> BTreeMap<u16, u32> {
    let agent = host::agent(LIMIT);
    let body = json!({ "model": model, "messages": [{ "role": "user", "content": "hi" }] }).to_string();
    let mut answers = BTreeMap::new();
    while !is_over.load(Ordering::Relaxed) {
        let request = agent.post(url).header("authorization", format!("Bearer {key}"));
        let Ok(answer) = request.header("content-type", "application/json").send(&body) else { continue };
        let status = answer.status().as_u16();
        *answers.entry(status).or_default() += 1;
        if status == 503 {
            thread::sleep(PAUSE);
        }
    }
    answers
}
