//! A job at a provider that takes an idempotency key: what the host may do again after it was killed.

use atelier_plugin_sdk::http::Request;
use atelier_plugin_sdk::job::{Estimate, MediaOutput, Outcome, Output, OutputSource, Step, Ticket};
use atelier_plugin_sdk::{CallContext, Failure, json, media, usage};

pub const MODEL: &str = "steady";
pub const TASK: &str = "video-generation";

const ANSWER_BYTES_MAX: u32 = 1 << 16;
const POLL_MS: u64 = 200;
/// How long the provider's videos are.
const VIDEO_MS: u64 = 4_000;

/// What a video takes: the provider reports nothing, so that this is what it costs.
pub fn estimate() -> Estimate {
    vec![usage::line(usage::meter::VIDEO_MS, VIDEO_MS, &[])]
}

pub fn submit(context: &CallContext, request: &media::Request) -> Result<Step, Failure> {
    let prompt = request.prompt.as_deref().unwrap_or_default();
    let mut body = json::Text::new();
    body.begin_object().field("model", "sora-2").field("prompt", prompt).end_object();
    let request = Request::post(format!("{}/videos", context.base_url)).json_text(body)?;
    let sent = request.charging().idempotency_header("idempotency-key").send()?;
    let answer = sent.success()?.bytes(ANSWER_BYTES_MAX)?;
    let id = member(&answer, "id")?;
    Ok(Step::Pending(ticket(id)))
}

pub fn resume(context: &CallContext, state: Vec<u8>) -> Result<Step, Failure> {
    let id = String::from_utf8(state).map_err(|_| Failure::bad_response("the state is no id"))?;
    let url = format!("{}/videos/{id}", context.base_url);
    let answer = Request::get(url.clone()).send()?.success()?.bytes(ANSWER_BYTES_MAX)?;
    if member(&answer, "status")? != "completed" {
        return Ok(Step::Pending(ticket(id)));
    }
    let content = Request::get(format!("{url}/content")).send()?.success()?.save(None)?;
    let content_type = content.content_type();
    let output = MediaOutput {
        source: OutputSource::Blob(content),
        content_type: Some(content_type),
        revised_prompt: None,
        seed: None,
        attributes: Vec::new(),
    };
    Ok(Step::Done(Outcome { outputs: vec![Output::Media(output)], usage: Vec::new() }))
}

fn ticket(id: String) -> Ticket {
    Ticket {
        state: id.clone().into_bytes(),
        state_version: 1,
        poll_after_ms: POLL_MS,
        progress: None,
        accepts_webhook: false,
        provider_id: Some(id),
    }
}

/// A text member of an answer whose texts have no escapes.
fn member(answer: &[u8], name: &str) -> Result<String, Failure> {
    let text = String::from_utf8_lossy(answer);
    let found = text.split(&format!("\"{name}\":\"")).nth(1).and_then(|rest| rest.split('"').next());
    found.map(str::to_owned).ok_or_else(|| Failure::bad_response(format!("the answer has no {name}")))
}
