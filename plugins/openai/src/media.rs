//! Images and videos, as jobs. Images are made within one call, videos take minutes.

use crate::OpenAi;
use crate::api::Api;
use atelier_plugin_sdk::job::{Cancellation, Estimate, Step, Wake};
use atelier_plugin_sdk::media::Request;
use atelier_plugin_sdk::{CallContext, Failure, Media, MediaJobs, MediaSource, blobs::Blob};

mod images;
mod size;
mod videos;

impl MediaJobs for OpenAi {
    fn estimate_usage(_context: CallContext, request: Request) -> Result<Estimate, Failure> {
        match request.task.as_str() {
            "video-generation" | "video-remix" => videos::estimate(&request),
            _ => images::estimate(&request),
        }
    }

    fn submit(context: CallContext, request: Request) -> Result<Step, Failure> {
        let api = Api::new(&context)?;
        refuse_unknown_fields(&request)?;
        match request.task.as_str() {
            "image-generation" => images::generate(&api, &request),
            "image-edit" => images::edit(&api, &request),
            "image-variation" => images::vary(&api, &request),
            "video-generation" => videos::generate(&api, &request),
            "video-remix" => videos::remix(&api, &request),
            task => {
                Err(Failure::unsupported(["this provider has no task ", task].concat()).with_param("task"))
            }
        }
    }

    fn resume(context: CallContext, state: Vec<u8>, _wake: Wake) -> Result<Step, Failure> {
        videos::resume(&Api::new(&context)?, &state)
    }

    fn cancel(context: CallContext, state: Vec<u8>) -> Result<Cancellation, Failure> {
        videos::cancel(&Api::new(&context)?, &state)
    }
}

/// What this provider's media models have no field for is refused, not dropped.
fn refuse_unknown_fields(request: &Request) -> Result<(), Failure> {
    let given = if request.negative_prompt.is_some() {
        "negative_prompt"
    } else if request.seed.is_some() {
        "seed"
    } else {
        return Ok(());
    };
    Err(Failure::unsupported("this provider's media models have no such field: leave it out")
        .with_param(given))
}

/// The prompt, for tasks that need one.
fn prompt(request: &Request) -> Result<&str, Failure> {
    request.prompt.as_deref().ok_or_else(|| Failure::invalid("prompt", "this task needs a prompt"))
}

/// An input's bytes, with a file name whose extension fits.
fn file(media: &Media) -> Result<(&Blob, String), Failure> {
    let MediaSource::Blob(blob) = &media.source else {
        let message = "this provider takes uploaded files only: upload it instead of giving its URL";
        return Err(Failure::unsupported(message).with_param("inputs"));
    };
    let name = match &media.name {
        Some(name) => name.clone(),
        None => {
            let content_type = media.content_type.clone().unwrap_or_else(|| blob.content_type());
            ["input.", content_type.split('/').next_back().unwrap_or("bin")].concat()
        }
    };
    Ok((blob, name))
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// A request for two of something.
    pub fn request(model: &str, task: &str) -> Request {
        Request {
            model: model.to_owned(),
            task: task.to_owned(),
            prompt: Some("a cat".to_owned()),
            negative_prompt: None,
            inputs: Vec::new(),
            count: 2,
            size: None,
            aspect_ratio: None,
            duration_ms: None,
            seed: None,
            quality: None,
            format: None,
            background: None,
            previews: 0,
            end_user: None,
            options: "{}".to_owned(),
        }
    }

    #[test]
    fn what_the_provider_cannot_do_is_refused_and_named() {
        let mut unknown = request("gpt-image-1", "image-generation");
        unknown.seed = Some(1);
        assert_eq!(refuse_unknown_fields(&unknown).unwrap_err().param.as_deref(), Some("seed"));
        let link = Media::new(MediaSource::Url("https://x.example".into()), None);
        assert_eq!(file(&link).unwrap_err().code, "unsupported");
    }
}
