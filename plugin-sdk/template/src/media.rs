//! Images, as jobs: submitted (`POST /jobs`), asked after (`GET /jobs/ID`), cancelled (`DELETE /jobs/ID`).
//!
//! Between two calls nothing is held but the ticket, whose state here is the job's id.

use atelier_plugin_sdk::http::{Request, escape};
use atelier_plugin_sdk::job::{
    Cancellation, Estimate, MediaOutput, Outcome, Output, OutputSource, Step, Ticket, Wake,
};
use atelier_plugin_sdk::media::Request as Wanted;
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Failure, MediaJobs};
use serde::{Deserialize, Serialize};

use crate::Acme;

const ANSWER_BYTES_MAX: u32 = 1 << 20;
const POLL_AFTER_MS: u64 = 2_000;
/// Raised when the meaning of a ticket's state changes; the manifest's `state-versions` name those that are understood.
const STATE_VERSION: u32 = 1;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    prompt: &'r str,
    count: u32,
}

#[derive(Deserialize)]
struct Job {
    id: String,
    status: String,
    #[serde(default)]
    files: Vec<String>,
    error: Option<String>,
}

impl MediaJobs for Acme {
    fn estimate_usage(_context: CallContext, request: Wanted) -> Result<Estimate, Failure> {
        Ok(vec![usage::line(meter::IMAGES, u64::from(request.count), &[])])
    }

    fn submit(context: CallContext, request: Wanted) -> Result<Step, Failure> {
        let prompt = request.prompt.as_deref();
        let prompt = prompt.ok_or_else(|| Failure::invalid("prompt", "this task needs a prompt"))?;
        let body = Body { model: &request.model, prompt, count: request.count };
        let url = format!("{}/jobs", context.base_url);
        let job = Request::post(url).json(&body)?.charging().send()?.success()?.json(ANSWER_BYTES_MAX)?;
        step(job)
    }

    fn resume(context: CallContext, state: Vec<u8>, _wake: Wake) -> Result<Step, Failure> {
        step(Request::get(address(&context, &state)?).send()?.success()?.json(ANSWER_BYTES_MAX)?)
    }

    fn cancel(context: CallContext, state: Vec<u8>) -> Result<Cancellation, Failure> {
        Request::delete(address(&context, &state)?).send()?.success()?;
        Ok(Cancellation::Canceled(Vec::new()))
    }
}

fn address(context: &CallContext, state: &[u8]) -> Result<String, Failure> {
    let id = std::str::from_utf8(state).map_err(|_| Failure::not_found("this is no ticket of ours"))?;
    Ok(format!("{}/jobs/{}", context.base_url, escape(id)))
}

fn step(job: Job) -> Result<Step, Failure> {
    match job.status.as_str() {
        "done" => {
            let count = job.files.len() as u64;
            let outputs = job.files.into_iter().map(|url| {
                Output::Media(MediaOutput {
                    source: OutputSource::Remote(url),
                    content_type: Some("image/png".to_owned()),
                    revised_prompt: None,
                    seed: None,
                    attributes: Vec::new(),
                })
            });
            let usage = vec![usage::line(meter::IMAGES, count, &[])];
            Ok(Step::Done(Outcome { outputs: outputs.collect(), usage }))
        }
        "failed" => {
            let why = job.error.unwrap_or_else(|| "the provider does not say why".to_owned());
            Err(Failure::new(atelier_plugin_sdk::failure::code::UNAVAILABLE, why))
        }
        _ => Ok(Step::Pending(Ticket {
            state: job.id.clone().into_bytes(),
            state_version: STATE_VERSION,
            poll_after_ms: POLL_AFTER_MS,
            progress: None,
            accepts_webhook: false,
            provider_id: Some(job.id),
        })),
    }
}
