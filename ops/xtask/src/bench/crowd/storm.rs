//! Storms: status polls, and callbacks of a provider about jobs that go on.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result, bail, ensure};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use ureq::Agent;

use super::load::Load;
use crate::{bench::subject::Subject, host};

/// The instance whose provider calls back.
pub const INSTANCE: &str = "notifying";
/// What it signs with.
pub const SECRET: &str = "whsec_b3JjaGFyZCB3YWxsIG5pbmUgbGFudGVybnM=";
/// Arguments of an upstream whose jobs neither end nor are told of by itself.
pub const ENDLESS: [&str; 6] =
    ["--webhook-secret", SECRET, "--webhook-step-ms", "3600000", "--polls-to-finish", "4000000000"];
/// Jobs that are polled and called back about.
const JOBS: usize = 16;
const LIMIT: Duration = Duration::from_secs(30);

/// A job that goes on.
#[derive(Clone, Debug)]
struct Job {
    /// The host's.
    id: String,
    /// The provider's.
    prediction: String,
    /// Where its provider calls back, below the host's address.
    hook: String,
}

/// What storms are about.
#[derive(Clone, Debug)]
pub struct Jobs {
    address: SocketAddr,
    key: String,
    jobs: Vec<Job>,
}

impl Jobs {
    /// Begins jobs at the provider at `upstream`.
    ///
    /// # Errors
    /// One does not come there in time.
    pub fn begin(subject: &Subject, upstream: SocketAddr) -> Result<Self> {
        let mut all = Self { address: subject.address, key: subject.key.clone(), jobs: Vec::new() };
        let agent = host::agent(LIMIT);
        for _ in 0..JOBS {
            let wanted = json!({ "model": format!("{INSTANCE}/mock/image"), "task": "image-generation", "prompt": "x" });
            let request = agent.post(format!("http://{}/api/v1/generations", all.address));
            let request = request.header("authorization", format!("Bearer {}", all.key));
            let request = request.header("content-type", "application/json");
            let job = body(request.send(wanted.to_string())?, 202)?;
            let id = job["id"].as_str().context("a job has an id")?.to_owned();
            let known = all.jobs.len();
            let (prediction, hook) = arrived(&agent, upstream, known)?;
            all.jobs.push(Job { id, prediction, hook });
        }
        Ok(all)
    }

    /// Polls as an application would that waits for its jobs.
    pub fn polls(&self, load: Load) -> Storm {
        let all = self.clone();
        Storm::begin(Arc::default(), move || {
            load.offer(|agent, number| {
                let job = &all.jobs[number as usize % all.jobs.len()];
                let request = agent.get(format!("http://{}/api/v1/generations/{}", all.address, job.id));
                body(request.header("authorization", format!("Bearer {}", all.key)).call()?, 200).map(drop)
            })
        })
    }

    /// Calls back, each time with something new to say.
    pub fn callbacks(&self, load: Load) -> Storm {
        let (all, refused) = (self.clone(), Arc::new(AtomicU32::new(0)));
        let counted = refused.clone();
        Storm::begin(refused, move || {
            let key = STANDARD.decode(SECRET.trim_start_matches("whsec_"))?;
            load.offer(|agent, number| {
                let job = &all.jobs[number as usize % all.jobs.len()];
                let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?;
                let id = format!("msg_{}_{number}", seconds.as_nanos());
                let (seconds, content) = (seconds.as_secs(), told(job, number));
                let mac = Hmac::<Sha256>::new_from_slice(&key)?;
                let mac = mac.chain_update(format!("{id}.{seconds}.{content}"));
                let answer = agent
                    .post(format!("http://{}{}", all.address, job.hook))
                    .header("content-type", "application/json")
                    .header("webhook-id", &id)
                    .header("webhook-timestamp", seconds.to_string())
                    .header(
                        "webhook-signature",
                        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())),
                    )
                    .send(&content)?;
                let status = answer.status();
                ensure!(status == 200 || status == 503, "a callback was answered {status}");
                counted.fetch_add(u32::from(status == 503), Ordering::Relaxed);
                Ok(())
            })
        })
    }
}

/// What the provider says: it has come a little further.
fn told(job: &Job, number: u32) -> String {
    json!({ "id": job.prediction, "model": "mock/image", "status": "processing", "input": { "prompt": "x" },
        "logs": format!("step {number}"), "created_at": "2026-11-23T00:00:00Z", "output": null, "error": null })
    .to_string()
}

fn body(mut answer: ureq::http::Response<ureq::Body>, wanted: u16) -> Result<Value> {
    let text = answer.body_mut().read_to_string()?;
    ensure!(answer.status() == wanted, "answered {}: {text}", answer.status());
    Ok(serde_json::from_str(&text)?)
}

/// The provider's id of the newest job, and where it is to call back, once there are more than `known`.
fn arrived(agent: &Agent, upstream: SocketAddr, known: usize) -> Result<(String, String)> {
    let began = Instant::now();
    while began.elapsed() < LIMIT {
        let seen = body(agent.get(format!("http://{upstream}/_mock/requests")).call()?, 200)?;
        let requests = seen["requests"].as_array().context("the upstream lists its requests")?;
        let sent = requests.iter().filter_map(|request| {
            let sent: Value = serde_json::from_str(request["body"].as_str()?).ok()?;
            sent["webhook"].as_str().map(str::to_owned)
        });
        let hooks: Vec<String> = sent.collect();
        let list = agent.get(format!("http://{upstream}/replicate/v1/predictions"));
        let list = body(list.header("authorization", "Bearer r8").call()?, 200)?;
        let newest = list["results"].as_array().filter(|all| all.len() > known).and_then(|all| all.first());
        if let (Some(hook), Some(newest)) = (hooks.get(known), newest) {
            let path =
                hook.find("/hooks/").and_then(|place| hook.get(place..)).context("it names a callback")?;
            let id = newest["id"].as_str().context("a prediction has an id")?;
            return Ok((id.to_owned(), path.to_owned()));
        }
        thread::sleep(Duration::from_millis(20));
    }
    bail!("a job did not come to its provider within {} s", LIMIT.as_secs())
}

/// Requests that are sent beside what is measured.
#[derive(Debug)]
pub struct Storm {
    work: JoinHandle<Result<Vec<f64>>>,
    refused: Arc<AtomicU32>,
}

impl Storm {
    fn begin(refused: Arc<AtomicU32>, work: impl FnOnce() -> Result<Vec<f64>> + Send + 'static) -> Self {
        Self { work: thread::spawn(work), refused }
    }

    /// Waits for its end; returns how long its requests took in microseconds, sorted, and how many were to be sent again.
    ///
    /// # Errors
    /// One of its requests was not answered well.
    pub fn end(self) -> Result<(Vec<f64>, u32)> {
        let times = self.work.join().ok().context("a storm panicked")??;
        Ok((times, self.refused.load(Ordering::Relaxed)))
    }
}
