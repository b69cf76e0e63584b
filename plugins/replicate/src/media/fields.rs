//! What a request says, under the names that a model's inputs have. What a model has no input for is refused, not dropped.

use super::file;
use crate::catalog::inputs::Found;
use atelier_plugin_sdk::media::{Input, Request};
use atelier_plugin_sdk::{Failure, json};

const COUNT: &[&str] = &["num_outputs", "number_of_images", "num_images", "max_images"];

/// Write all but the media; `written` gets the names used.
pub fn write(
    body: &mut json::Text<'_>,
    found: &Found,
    request: &Request,
    written: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut put = |names: &[&str], param: &str, value: Option<String>| -> Result<(), Failure> {
        let Some(value) = value else { return Ok(()) };
        let name = found.first(names).ok_or_else(|| no_input(param))?;
        body.key(name).raw(&value);
        written.push(name.to_owned());
        Ok(())
    };
    let text = |value: &Option<String>| value.as_deref().map(quoted);
    put(&["prompt", "text"], "prompt", text(&request.prompt))?;
    put(&["negative_prompt"], "negative_prompt", text(&request.negative_prompt))?;
    put(&["seed"], "seed", request.seed.map(|seed| seed.to_string()))?;
    put(&["aspect_ratio"], "aspect_ratio", text(&request.aspect_ratio))?;
    put(&["quality"], "quality", text(&request.quality))?;
    put(&["output_format", "format"], "format", text(&request.format))?;
    put(&["background"], "background", text(&request.background))?;
    put(&["duration", "seconds"], "duration_ms", request.duration_ms.map(seconds))?;
    if request.count != 1 {
        put(COUNT, "count", Some(request.count.to_string()))?;
    }
    match request.size.as_deref() {
        None | Some("auto") => {}
        Some(size) if found.has("width") && found.has("height") => {
            let (width, height) = pixels(size)?;
            put(&["width"], "size", Some(width.to_string()))?;
            put(&["height"], "size", Some(height.to_string()))?;
        }
        Some(size) => put(&["size", "resolution"], "size", Some(quoted(size)))?,
    }
    Ok(())
}

/// Write the media, each under the first fitting name that is free; a list takes several.
pub fn write_media<'r>(
    body: &mut json::Text<'r>,
    found: &Found,
    request: &'r Request,
    uploads: &[Option<String>],
    written: &mut Vec<String>,
) -> Result<(), Failure> {
    let mut groups: Vec<(String, Vec<(usize, &'r Input)>)> = Vec::new();
    for (index, input) in request.inputs.iter().enumerate() {
        let names = names(&input.role).ok_or_else(|| {
            let message = ["this provider has no inputs of the role ", &input.role].concat();
            Failure::invalid(path(index), message)
        })?;
        let is_free = |name: &&&str| found.is_list(name) || !groups.iter().any(|(taken, _)| taken == **name);
        let name = found.known(names).find(is_free).copied();
        let name = name.ok_or_else(|| no_input(&path(index)))?;
        match groups.iter_mut().find(|(taken, _)| taken == name) {
            Some((_, group)) => group.push((index, input)),
            None => groups.push((name.to_owned(), vec![(index, input)])),
        }
    }
    for (name, group) in groups {
        body.key(&name);
        let is_list = found.is_list(&name);
        if is_list {
            body.begin_array();
        }
        for (index, input) in group {
            file::write(body, &input.media, uploads.get(index).and_then(Option::as_deref));
        }
        if is_list {
            body.end_array();
        }
        written.push(name);
    }
    Ok(())
}

/// The names that models commonly give an input of a role, the likeliest first.
fn names(role: &str) -> Option<&'static [&'static str]> {
    Some(match role {
        "image" => &["image", "input_image", "image_input", "input_images", "images", "image_url", "img"],
        "mask" => &["mask", "mask_image"],
        "first-frame" => &["start_image", "first_frame_image", "first_frame", "image", "input_image"],
        "last-frame" => &["end_image", "last_frame_image", "last_frame", "last_image"],
        "reference" => &[
            "reference_images",
            "reference_image",
            "image_input",
            "input_images",
            "images",
            "subject_reference",
            "style_image",
        ],
        "video" => &["video", "input_video", "video_url", "video_path"],
        "audio" => &["audio", "input_audio", "audio_file", "audio_url"],
        _ => return None,
    })
}

fn path(index: usize) -> String {
    ["inputs.", &index.to_string()].concat()
}

fn no_input(param: &str) -> Failure {
    let message = "this model has no input for this: see the schema of its options";
    Failure::unsupported(message).with_param(param)
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Whole seconds where they are.
fn seconds(ms: u64) -> String {
    if ms.is_multiple_of(1000) { (ms / 1000).to_string() } else { (ms as f64 / 1000.0).to_string() }
}

fn pixels(size: &str) -> Result<(u32, u32), Failure> {
    let parsed = size.split_once('x').and_then(|(width, height)| {
        let (width, height) = (width.parse().ok()?, height.parse().ok()?);
        (width > 0 && height > 0).then_some((width, height))
    });
    parsed.ok_or_else(|| Failure::invalid("size", "a size reads WIDTHxHEIGHT in pixels, e.g. 1024x768"))
}
