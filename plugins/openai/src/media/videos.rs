//! Videos (`/videos`): created, polled, fetched. Deleting one that is not done ends it.

use super::{file, prompt, size};
use crate::api::Api;
use crate::{fault, form};
use atelier_plugin_sdk::http::{Multipart, escape};
use atelier_plugin_sdk::job::{
    Cancellation, Estimate, MediaOutput, Outcome, Output, OutputSource, Step, Ticket,
};
use atelier_plugin_sdk::media::Request;
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{Failure, UsageLine, failure::code, json, pair};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

const RESERVED: &[&str] = &["model", "prompt", "seconds", "size", "input_reference", "video_id"];
const ANSWER_BYTES_MAX: u32 = 1024 * 1024;
const STATE_VERSION: u32 = 1;
const POLL_MS: u64 = 5_000;
/// When the provider calls back, polling is the safety net.
const POLL_MS_WITH_CALLBACK: u64 = 60_000;
/// The attribute of a result, and of an input that was one, with the provider's id of the video.
const VIDEO_ID: &str = "video-id";
/// What the provider makes when neither size nor length is asked for.
const SIZE_DEFAULT: &str = "720x1280";
const SECONDS_DEFAULT: u64 = 4;

#[derive(Deserialize)]
struct Video<'a> {
    id: String,
    status: String,
    progress: Option<f64>,
    seconds: Option<String>,
    size: Option<String>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// What a ticket keeps.
#[derive(Serialize, Deserialize)]
struct State {
    id: String,
}

pub fn generate(api: &Api<'_>, request: &Request) -> Result<Step, Failure> {
    if request.count != 1 {
        return Err(Failure::invalid("count", "this provider makes one video at a time"));
    }
    let mut fields =
        vec![("model".to_owned(), request.model.clone()), ("prompt".to_owned(), prompt(request)?.to_owned())];
    if let Some(ms) = request.duration_ms {
        fields.push(("seconds".to_owned(), whole_seconds(ms)?.to_string()));
    }
    if let Some(size) = size::wanted(request)? {
        fields.push(("size".to_owned(), size.to_owned()));
    }
    form::options(&request.options, RESERVED, &mut fields)?;
    let mut form = Multipart::new();
    for (name, value) in fields {
        form.text(&name, value);
    }
    match request.inputs.as_slice() {
        [] => {}
        [input] => {
            let (blob, filename) = file(&input.media)?;
            form.blob("input_reference", &filename, blob);
        }
        _ => return Err(Failure::invalid("inputs", "this provider takes one image to begin from")),
    }
    let body = api.send(api.post("/videos").multipart(form).charging())?.bytes(ANSWER_BYTES_MAX)?;
    step(api, &body)
}

/// Another version of a video that the provider made: its input has the provider's id of it, or `options.video_id` names it.
pub fn remix(api: &Api<'_>, request: &Request) -> Result<Step, Failure> {
    let id = remixed(request)?;
    let mut body = json::Text::new();
    body.begin_object().field("prompt", prompt(request)?).end_object();
    let path = ["/videos/", &escape(&id), "/remix"].concat();
    let body = api.send(api.post(&path).json_text(body)?.charging())?.bytes(ANSWER_BYTES_MAX)?;
    step(api, &body)
}

/// The provider's id of the video that is made anew.
fn remixed(request: &Request) -> Result<String, Failure> {
    #[derive(Deserialize)]
    struct Options {
        video_id: Option<String>,
    }
    let attributes = request.inputs.iter().flat_map(|input| &input.media.attributes);
    let known = attributes.into_iter().find(|pair| pair.name == VIDEO_ID).map(|pair| pair.value.clone());
    let named = || serde_json::from_str::<Options>(&request.options).ok()?.video_id;
    known
        .or_else(named)
        .ok_or_else(|| Failure::invalid("inputs", "only a video that this provider made can be made anew"))
}

pub fn resume(api: &Api<'_>, state: &[u8]) -> Result<Step, Failure> {
    step(api, &poll(api, &decoded(state)?.id)?)
}

pub fn cancel(api: &Api<'_>, state: &[u8]) -> Result<Cancellation, Failure> {
    let id = decoded(state)?.id;
    let body = match poll(api, &id) {
        Ok(body) => body,
        Err(failure) if failure.code == code::NOT_FOUND => return Ok(Cancellation::Canceled(Vec::new())),
        Err(failure) => return Err(failure),
    };
    let video: Video<'_> = json::parse(&body)?;
    match video.status.as_str() {
        "completed" => return Ok(Cancellation::Finished(done(api, &video)?)),
        "failed" => return Ok(Cancellation::Canceled(Vec::new())),
        _ => {}
    }
    match api.send(api.delete(&path(&id))) {
        Ok(_) => Ok(Cancellation::Canceled(Vec::new())),
        Err(failure) => match failure.code.as_str() {
            code::NOT_FOUND => Ok(Cancellation::Canceled(Vec::new())),
            code::INVALID_REQUEST | code::UNSUPPORTED => Ok(Cancellation::Unsupported),
            _ => Err(failure),
        },
    }
}

fn poll(api: &Api<'_>, id: &str) -> Result<Vec<u8>, Failure> {
    api.send(api.get(&path(id)))?.bytes(ANSWER_BYTES_MAX)
}

fn path(id: &str) -> String {
    ["/videos/", &escape(id)].concat()
}

fn decoded(state: &[u8]) -> Result<State, Failure> {
    json::parse(state).map_err(|_| Failure::new(code::INTERNAL, "the job's state is not this plugin's"))
}

/// What a video object means for the job.
fn step(api: &Api<'_>, body: &[u8]) -> Result<Step, Failure> {
    let video: Video<'_> = json::parse(body)?;
    match video.status.as_str() {
        "completed" => Ok(Step::Done(done(api, &video)?)),
        "queued" | "in_progress" => Ok(Step::Pending(ticket(api, video)?)),
        "failed" => Err(match video.error {
            Some(error) => fault::reported(error.get()).ends_job(),
            None => Failure::new(code::INTERNAL, "the provider could not make the video"),
        }),
        status => {
            Err(Failure::bad_response(["the provider's video has the unknown status ", status].concat()))
        }
    }
}

/// The finished video, fetched.
fn done(api: &Api<'_>, video: &Video<'_>) -> Result<Outcome, Failure> {
    let content = api.send(api.get(&[&path(&video.id), "/content"].concat()))?.save(None)?;
    let content_type = content.content_type();
    let output = MediaOutput {
        source: OutputSource::Blob(content),
        content_type: Some(content_type),
        revised_prompt: None,
        seed: None,
        attributes: attributes(video),
    };
    Ok(Outcome { outputs: vec![Output::Media(output)], usage: vec![used(video)] })
}

fn ticket(api: &Api<'_>, video: Video<'_>) -> Result<Ticket, Failure> {
    let state = State { id: video.id };
    Ok(Ticket {
        state: serde_json::to_vec(&state)
            .map_err(|_| Failure::new(code::INTERNAL, "the job's state has no JSON form"))?,
        state_version: STATE_VERSION,
        poll_after_ms: if api.calls_back() { POLL_MS_WITH_CALLBACK } else { POLL_MS },
        progress: video.progress.map(|percent| (percent / 100.0).clamp(0.0, 1.0)),
        accepts_webhook: api.calls_back(),
        provider_id: Some(state.id),
    })
}

fn attributes(video: &Video<'_>) -> Vec<atelier_plugin_sdk::Pair> {
    let mut attributes = vec![pair(VIDEO_ID, &*video.id)];
    attributes.extend(video.size.as_deref().map(|size| pair("size", size)));
    attributes.extend(video.seconds.as_deref().map(|seconds| pair("seconds", seconds)));
    attributes
}

fn used(video: &Video<'_>) -> UsageLine {
    let seconds =
        video.seconds.as_deref().and_then(|seconds| seconds.parse().ok()).unwrap_or(SECONDS_DEFAULT);
    line(seconds, video.size.as_deref())
}

fn line(seconds: u64, size: Option<&str>) -> UsageLine {
    let resolution = size::resolution(size.unwrap_or(SIZE_DEFAULT));
    usage::line(meter::VIDEO_MS, seconds.saturating_mul(1000), &[("resolution", &resolution)])
}

fn whole_seconds(ms: u64) -> Result<u64, Failure> {
    if !ms.is_multiple_of(1000) {
        return Err(Failure::invalid("duration_ms", "this provider takes whole seconds"));
    }
    Ok(ms / 1000)
}

/// The most a video can use. How long a remix is, its request does not tell: the host's own limits apply.
pub fn estimate(request: &Request) -> Result<Estimate, Failure> {
    if request.task == "video-remix" {
        return Ok(Vec::new());
    }
    let seconds = request.duration_ms.map(whole_seconds).transpose()?.unwrap_or(SECONDS_DEFAULT);
    Ok(vec![line(seconds, size::wanted(request)?)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::context;
    use crate::media::tests::request;
    use atelier_plugin_sdk::media::Input;
    use atelier_plugin_sdk::{Media, MediaSource};

    fn stepped(body: &str, settings: &str) -> Result<Step, Failure> {
        let context = context("https://api.openai.com/v1", settings);
        step(&Api::new(&context)?, body.as_bytes())
    }

    #[test]
    fn a_video_in_the_making_is_a_ticket_with_its_progress() {
        let body = r#"{"id":"video_1","object":"video","model":"sora-2","status":"in_progress","progress":33,"seconds":"8","size":"1280x720","error":null}"#;
        let Step::Pending(ticket) = stepped(body, "{}").unwrap() else { panic!("it is not done") };
        assert_eq!((ticket.provider_id.as_deref(), ticket.progress), (Some("video_1"), Some(0.33)));
        assert_eq!((ticket.accepts_webhook, ticket.poll_after_ms), (false, POLL_MS));
        assert_eq!(decoded(&ticket.state).unwrap().id, "video_1");

        let Step::Pending(ticket) = stepped(body, r#"{"webhooks":true}"#).unwrap() else {
            panic!("it is not done")
        };
        assert_eq!((ticket.accepts_webhook, ticket.poll_after_ms), (true, POLL_MS_WITH_CALLBACK));
    }

    #[test]
    fn a_refused_video_is_told_from_a_failed_one() {
        let body =
            r#"{"id":"v","status":"failed","error":{"code":"moderation_blocked","message":"blocked"}}"#;
        let failure = stepped(body, "{}").err().unwrap();
        assert_eq!((failure.code.as_str(), failure.message.as_str()), ("content-refused", "blocked"));
        assert_eq!(stepped(r#"{"id":"v","status":"failed"}"#, "{}").err().unwrap().code, "internal");
        let broken = r#"{"id":"v","status":"failed","error":{"code":"server_error","message":"broken"}}"#;
        assert_eq!(stepped(broken, "{}").err().unwrap().code, "internal", "nobody is to ask again");
        assert_eq!(stepped(r#"{"id":"v","status":"paused"}"#, "{}").err().unwrap().code, "bad-response");
    }

    #[test]
    fn a_remix_is_of_a_video_that_the_provider_knows() {
        let mut request = request("sora-2", "video-remix");
        assert_eq!(remixed(&request).unwrap_err().param.as_deref(), Some("inputs"));
        request.options = r#"{"video_id":"video_1"}"#.to_owned();
        assert_eq!(remixed(&request).unwrap(), "video_1");
        let mut media = Media::new(MediaSource::Url("https://x.example".into()), None);
        media.attributes = vec![pair(VIDEO_ID, "video_2")];
        request.inputs = vec![Input { role: "video".to_owned(), media }];
        assert_eq!(remixed(&request).unwrap(), "video_2");
    }

    #[test]
    fn a_foreign_state_is_refused() {
        assert_eq!(decoded(b"{}").err().unwrap().code, "internal");
        assert_eq!(decoded(b"\xff").err().unwrap().code, "internal");
    }

    #[test]
    fn an_estimate_is_the_length_at_the_resolution() {
        let mut request = request("sora-2-pro", "video-generation");
        request.duration_ms = Some(12_000);
        request.size = Some("1792x1024".to_owned());
        let lines = estimate(&request).unwrap();
        assert_eq!((lines[0].quantity, lines[0].attributes[0].value.as_str()), (12_000, "1024p"));
        request.duration_ms = Some(1_500);
        assert_eq!(estimate(&request).unwrap_err().param.as_deref(), Some("duration_ms"));
    }
}
