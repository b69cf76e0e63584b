//! Sound effects (`POST /v1/sound-generation`, <https://elevenlabs.io/docs/api-reference/text-to-sound-effects/convert>): made
//! within one call.

use crate::ElevenLabs;
use crate::api::{self, Api};
use crate::format;
use atelier_plugin_sdk::job::{
    Cancellation, Estimate, MediaOutput, Outcome, Output, OutputSource, Step, Wake,
};
use atelier_plugin_sdk::media::Request;
use atelier_plugin_sdk::{CallContext, Failure, MediaJobs, failure::code, json, pair};

/// Fields that the request decides, not its options.
const RESERVED: &[&str] = &["text", "duration_seconds", "model_id", "output_format"];

impl MediaJobs for ElevenLabs {
    /// What a sound costs depends on a length that the model may choose: the host's own limits apply.
    fn estimate_usage(_context: CallContext, _request: Request) -> Result<Estimate, Failure> {
        Ok(Vec::new())
    }

    fn submit(context: CallContext, request: Request) -> Result<Step, Failure> {
        let api = Api::new(&context)?;
        let prompt = check(&request)?;
        let (format, media_type) = format::of(request.format.as_deref().unwrap_or("mp3"), None)?;
        let body = body(&request, prompt)?;
        let call = api.post("/v1/sound-generation", &[("output_format", format)]);
        let response = api.send(call.json_text(body)?.charging())?;
        let used = api::used(&response.headers, prompt);
        let told = response.header("content-type").is_some_and(|kind| kind.starts_with("audio/"));
        let blob = response.save((!told).then_some(media_type))?;
        if blob.size() == 0 {
            return Err(Failure::bad_response("the provider sent no sound"));
        }
        let content_type = blob.content_type();
        let output = MediaOutput {
            source: OutputSource::Blob(blob),
            content_type: Some(content_type),
            revised_prompt: None,
            seed: None,
            attributes: request
                .duration_ms
                .map(|ms| pair("duration-ms", ms.to_string()))
                .into_iter()
                .collect(),
        };
        Ok(Step::Done(Outcome { outputs: vec![Output::Media(output)], usage: vec![used] }))
    }

    fn resume(_context: CallContext, _state: Vec<u8>, _wake: Wake) -> Result<Step, Failure> {
        Err(Failure::new(
            code::INTERNAL,
            "this plugin's jobs end when they begin: there is none to go on with",
        ))
    }

    fn cancel(_context: CallContext, _state: Vec<u8>) -> Result<Cancellation, Failure> {
        Ok(Cancellation::Unsupported)
    }
}

/// The prompt, if the request has nothing that this provider knows no field for.
fn check(request: &Request) -> Result<&str, Failure> {
    if request.task != "sound-effect" {
        let message = ["this provider has no task ", &request.task].concat();
        return Err(Failure::unsupported(message).with_param("task"));
    }
    let unknown = [
        (request.negative_prompt.is_some(), "negative_prompt"),
        (!request.inputs.is_empty(), "inputs"),
        (request.count != 1, "count"),
        (request.size.is_some(), "size"),
        (request.aspect_ratio.is_some(), "aspect_ratio"),
        (request.seed.is_some(), "seed"),
        (request.quality.is_some(), "quality"),
        (request.background.is_some(), "background"),
    ];
    if let Some((_, param)) = unknown.into_iter().find(|(given, _)| *given) {
        return Err(Failure::unsupported("a sound effect has no such field: leave it out").with_param(param));
    }
    request.prompt.as_deref().ok_or_else(|| Failure::invalid("prompt", "a sound effect needs a prompt"))
}

fn body<'r>(request: &'r Request, prompt: &'r str) -> Result<json::Text<'r>, Failure> {
    let mut body = json::Text::new();
    body.begin_object().field("text", prompt).field("model_id", &request.model);
    body.optional("duration_seconds", request.duration_ms.map(|ms| ms as f64 / 1000.0).as_ref());
    body.merge(&request.options, RESERVED)?.end_object();
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> Request {
        Request {
            model: "eleven_text_to_sound_v2".to_owned(),
            task: "sound-effect".to_owned(),
            prompt: Some("rain".to_owned()),
            negative_prompt: None,
            inputs: Vec::new(),
            count: 1,
            size: None,
            aspect_ratio: None,
            duration_ms: Some(2_500),
            seed: None,
            quality: None,
            format: None,
            background: None,
            previews: 0,
            end_user: None,
            options: r#"{"loop":true}"#.to_owned(),
        }
    }

    #[test]
    fn everything_asked_for_is_in_the_body() {
        let request = request();
        let body = body(&request, check(&request).unwrap()).unwrap();
        assert_eq!(
            body.into_string().unwrap(),
            r#"{"text":"rain","model_id":"eleven_text_to_sound_v2","duration_seconds":2.5,"loop":true}"#
        );
    }

    #[test]
    fn what_a_sound_does_not_have_is_refused_by_name() {
        let refused = |change: fn(&mut Request)| {
            let mut request = request();
            change(&mut request);
            check(&request).unwrap_err().param.unwrap()
        };
        assert_eq!(refused(|request| request.task = "music".to_owned()), "task");
        assert_eq!(refused(|request| request.seed = Some(1)), "seed");
        assert_eq!(refused(|request| request.count = 2), "count");
        assert_eq!(refused(|request| request.prompt = None), "prompt");
    }
}
