//! Images (`POST /images/generations`, `/images/edits`, `/images/variations`).

use super::{file, prompt, size};
use crate::api::Api;
use crate::form;
use atelier_plugin_sdk::http::{Multipart, Response};
use atelier_plugin_sdk::job::{Estimate, MediaOutput, Outcome, Output, OutputSource, Step};
use atelier_plugin_sdk::media::{Input, Request};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{Failure, UsageLine, base64, blob, json, pair};
use serde::Deserialize;
use std::borrow::Cow;

mod stream;

const RESERVED: &[&str] = &[
    "model",
    "prompt",
    "n",
    "size",
    "quality",
    "output_format",
    "background",
    "response_format",
    "user",
    "safety_identifier",
    "image",
    "mask",
    "stream",
    "partial_images",
];
/// The largest answer, in bytes. Images come in base64.
const ANSWER_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// The largest image, in bytes.
const IMAGE_BYTES_MAX: usize = 32 * 1024 * 1024;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow)]
    data: Vec<Image<'a>>,
    usage: Option<Usage>,
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
}

/// What an answer says of all of its images.
struct Look {
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
}

#[derive(Deserialize)]
struct Image<'a> {
    #[serde(borrow)]
    b64_json: Option<Text<'a>>,
    url: Option<String>,
    revised_prompt: Option<String>,
}

/// A long text, borrowed from the answer.
#[derive(Deserialize)]
pub struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Deserialize)]
pub struct Usage {
    input_tokens: u64,
    output_tokens: u64,
    input_tokens_details: Option<InputDetails>,
}

#[derive(Deserialize)]
struct InputDetails {
    image_tokens: Option<u64>,
}

/// What a request asks for, as names and values that a JSON body and a form share.
fn fields(api: &Api<'_>, request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let older = request.model.starts_with("dall-e");
    if older && request.format.is_some() {
        let message = "this model makes PNG alone: leave the format out";
        return Err(Failure::unsupported(message).with_param("format"));
    }
    let mut fields = Vec::with_capacity(8);
    let mut field = |name: &str, value: Option<&str>| {
        fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    };
    field("model", Some(&request.model));
    field("size", size::wanted(request)?);
    field("quality", request.quality.as_deref());
    field("background", request.background.as_deref());
    field(if api.official && !older { "safety_identifier" } else { "user" }, request.end_user.as_deref());
    // The older models answer with links unless asked, the newer ones know no other way and refuse to be asked.
    if !api.official || older {
        field("response_format", Some("b64_json"));
    }
    field("output_format", request.format.as_deref());
    Ok(fields)
}

pub fn generate(api: &Api<'_>, request: &Request) -> Result<Step, Failure> {
    let body = generation(api, request)?;
    let response = api.send(api.post("/images/generations").json_text(body)?.charging())?;
    outcome(response, request)
}

fn generation<'r>(api: &Api<'_>, request: &'r Request) -> Result<json::Text<'r>, Failure> {
    let mut body = json::Text::new();
    body.begin_object().field("prompt", prompt(request)?).field("n", &request.count);
    for (name, value) in fields(api, request)? {
        body.field(&name, &value);
    }
    if shows(request) {
        body.field("stream", &true).field("partial_images", &request.previews);
    }
    body.merge(&request.options, RESERVED)?.end_object();
    Ok(body)
}

pub fn edit(api: &Api<'_>, request: &Request) -> Result<Step, Failure> {
    let beside = |input: &Input| matches!(input.role.as_str(), "mask" | "markup");
    let images: Vec<&Input> = request.inputs.iter().filter(|input| !beside(input)).collect();
    let name = if images.len() == 1 { "image" } else { "image[]" };
    let mut form = form(api, request)?;
    form.text("prompt", prompt(request)?);
    for input in images {
        let (blob, filename) = file(&input.media)?;
        form.blob(name, &filename, blob);
    }
    for input in request.inputs.iter().filter(|input| beside(input)) {
        let (blob, filename) = file(&input.media)?;
        form.blob(&input.role, &filename, blob);
    }
    outcome(api.send(api.post("/images/edits").multipart(form).charging())?, request)
}

pub fn vary(api: &Api<'_>, request: &Request) -> Result<Step, Failure> {
    let [input] = request.inputs.as_slice() else {
        return Err(Failure::invalid("inputs", "a variation is of exactly one image"));
    };
    let mut form = form(api, request)?;
    let (blob, filename) = file(&input.media)?;
    form.blob("image", &filename, blob);
    outcome(api.send(api.post("/images/variations").multipart(form).charging())?, request)
}

fn form<'b>(api: &Api<'_>, request: &'b Request) -> Result<Multipart<'b>, Failure> {
    if request.inputs.is_empty() {
        return Err(Failure::invalid("inputs", "this task needs an image"));
    }
    let mut fields = fields(api, request)?;
    form::options(&request.options, RESERVED, &mut fields)?;
    let mut form = Multipart::new();
    form.text("n", request.count.to_string());
    for (name, value) in fields {
        form.text(&name, value);
    }
    if shows(request) {
        form.text("stream", "true").text("partial_images", request.previews.to_string());
    }
    Ok(form)
}

/// Whether the model is asked for unfinished images: the older ones know none.
fn shows(request: &Request) -> bool {
    request.previews > 0 && request.task != "image-variation" && !request.model.starts_with("dall-e")
}

/// The images of an answer, each kept as a blob.
fn outcome(response: Response, request: &Request) -> Result<Step, Failure> {
    if response.header("content-type").is_some_and(|kind| kind.starts_with("text/event-stream")) {
        return stream::outcome(response.sse(stream::EVENT_BYTES_MAX), request);
    }
    let body = response.bytes(ANSWER_BYTES_MAX)?;
    let answer: Answer<'_> = json::parse(&body)?;
    if answer.data.is_empty() {
        return Err(Failure::bad_response("the provider's answer has no images"));
    }
    let look = Look { size: answer.size, quality: answer.quality, background: answer.background };
    let usage = lines(answer.data.len(), answer.usage.as_ref(), &look, request);
    let mut outputs = Vec::with_capacity(answer.data.len());
    for image in answer.data {
        let (source, content_type) = match (image.b64_json, image.url) {
            (Some(text), _) => kept(&text)?,
            (None, Some(url)) => (OutputSource::Remote(url), None),
            (None, None) => return Err(Failure::bad_response("the provider's answer lacks an image")),
        };
        outputs.push(output(source, content_type, image.revised_prompt, &look, request));
    }
    Ok(Step::Done(Outcome { outputs, usage }))
}

/// An image's bytes and media type.
fn decoded(text: &Text<'_>) -> Result<(Vec<u8>, &'static str), Failure> {
    let bytes = base64::decode(&text.0, IMAGE_BYTES_MAX)?;
    let content_type = blob::image_type(&bytes)
        .ok_or_else(|| Failure::bad_response("the provider sent data that is no image"))?;
    Ok((bytes, content_type))
}

fn kept(text: &Text<'_>) -> Result<(OutputSource, Option<String>), Failure> {
    let (bytes, content_type) = decoded(text)?;
    Ok((OutputSource::Blob(blob::keep(content_type, &bytes)?), Some(content_type.to_owned())))
}

fn output(
    source: OutputSource,
    content_type: Option<String>,
    revised_prompt: Option<String>,
    look: &Look,
    request: &Request,
) -> Output {
    let told = [
        ("size", look.size.as_ref().or(request.size.as_ref())),
        ("quality", look.quality.as_ref()),
        ("background", look.background.as_ref()),
    ];
    let attributes = told.into_iter().filter_map(|(name, value)| Some(pair(name, value?))).collect();
    Output::Media(MediaOutput { source, content_type, revised_prompt, seed: None, attributes })
}

/// Images with what their price may depend on, and tokens where the model counts them.
fn lines(count: usize, tokens: Option<&Usage>, look: &Look, request: &Request) -> Vec<UsageLine> {
    let size = look.size.as_deref().or(request.size.as_deref());
    let quality = look.quality.as_deref().or(request.quality.as_deref());
    let mut lines = vec![images(count as u64, size, quality)];
    if let Some(usage) = tokens {
        let seen = usage.input_tokens_details.as_ref().and_then(|details| details.image_tokens).unwrap_or(0);
        let seen = seen.min(usage.input_tokens);
        lines.push(usage::line(meter::INPUT_TOKENS, usage.input_tokens - seen, &[]));
        if seen > 0 {
            lines.push(usage::line(meter::INPUT_TOKENS, seen, &[("modality", "image")]));
        }
        lines.push(usage::line(meter::OUTPUT_TOKENS, usage.output_tokens, &[("modality", "image")]));
    }
    lines
}

fn images(count: u64, size: Option<&str>, quality: Option<&str>) -> UsageLine {
    let mut attributes = Vec::with_capacity(2);
    attributes.extend(size.map(|size| ("size", size)));
    attributes.extend(quality.map(|quality| ("quality", quality)));
    usage::line(meter::IMAGES, count, &attributes)
}

/// The most that images of a request can use. The tokens of an image are those of
/// <https://platform.openai.com/docs/guides/image-generation#cost-and-latency>; for input images the host's own limits apply.
pub fn estimate(request: &Request) -> Result<Estimate, Failure> {
    let size = size::wanted(request)?;
    let mut lines = vec![images(u64::from(request.count), size, request.quality.as_deref())];
    if request.model.starts_with("gpt-image-1") {
        let square = size == Some("1024x1024");
        let tokens: u64 = match request.quality.as_deref() {
            Some("low") => {
                if square {
                    272
                } else {
                    408
                }
            }
            Some("medium") => {
                if square {
                    1056
                } else {
                    1584
                }
            }
            _ => {
                if square {
                    4160
                } else {
                    6240
                }
            }
        };
        let total = tokens.saturating_mul(u64::from(request.count));
        lines.push(usage::line(meter::OUTPUT_TOKENS, total, &[("modality", "image")]));
    }
    Ok(lines)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::tests::context;
    use crate::media::tests::request;

    fn written(base_url: &str, request: &Request) -> String {
        let context = context(base_url, "{}");
        generation(&Api::new(&context).unwrap(), request).unwrap().into_string().unwrap()
    }

    #[test]
    fn each_generation_of_models_is_asked_in_its_own_way() {
        let official = "https://api.openai.com/v1";
        let mut request = request("gpt-image-1", "image-generation");
        request.format = Some("webp".to_owned());
        request.background = Some("transparent".to_owned());
        request.options = r#"{"moderation":"low"}"#.to_owned();
        assert_eq!(
            written(official, &request),
            r#"{"prompt":"a cat","n":2,"model":"gpt-image-1","background":"transparent","output_format":"webp","moderation":"low"}"#
        );
        let mut request = self::request("dall-e-3", "image-generation");
        request.quality = Some("hd".to_owned());
        assert_eq!(
            written(official, &request),
            r#"{"prompt":"a cat","n":2,"model":"dall-e-3","quality":"hd","response_format":"b64_json"}"#
        );
        let mut shown = self::request("gpt-image-1", "image-generation");
        shown.previews = 2;
        assert!(written(official, &shown).ends_with(r#""stream":true,"partial_images":2}"#));
        assert!(
            written("http://localhost/v1", &self::request("flux", "image-generation"))
                .contains(r#""response_format":"b64_json""#)
        );
    }

    #[test]
    fn usage_counts_images_and_splits_tokens() {
        let body = r#"{"created":1,"data":[{"b64_json":"AA=="}],"size":"1024x1024","quality":"high","output_format":"png",
            "usage":{"total_tokens":100,"input_tokens":50,"output_tokens":50,"input_tokens_details":{"text_tokens":10,"image_tokens":40}}}"#;
        let answer: Answer<'_> = json::parse(body.as_bytes()).unwrap();
        let request = request("gpt-image-1", "image-generation");
        let lines = lines(
            answer.data.len(),
            answer.usage.as_ref(),
            &Look { size: answer.size, quality: answer.quality, background: answer.background },
            &request,
        );
        let counts: Vec<_> =
            lines.iter().map(|line| (line.meter.as_str(), line.quantity, line.attributes.len())).collect();
        assert_eq!(
            counts,
            [("images", 1, 2), ("input-tokens", 10, 0), ("input-tokens", 40, 1), ("output-tokens", 50, 1)]
        );
    }

    #[test]
    fn an_estimate_is_never_below_what_the_largest_image_takes() {
        let mut request = request("gpt-image-1", "image-generation");
        assert_eq!(estimate(&request).unwrap()[1].quantity, 2 * 6240);
        request.quality = Some("low".to_owned());
        request.size = Some("1024x1024".to_owned());
        assert_eq!(estimate(&request).unwrap()[1].quantity, 2 * 272);
        assert_eq!(estimate(&self::request("dall-e-3", "image-generation")).unwrap().len(), 1);
    }
}
