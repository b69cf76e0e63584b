//! `POST /v1/images/{generations,edits,variations}`.

use std::sync::Arc;

use axum::Extension;
use serde_json::{Value, json};

use super::{invalid, missing, required};
use crate::answer;
use crate::call::{Call, created_at};
use crate::media::{self, Picture};
use crate::reply::{Answer, Reply, event};

const IMAGES_MAX: u64 = 10;

pub(super) async fn create(Extension(call): Extension<Arc<Call>>) -> Answer {
    let prompt = required(&call, "prompt")?;
    paint(&call, &prompt)
}

/// Edits and variations start from an uploaded image.
pub(super) async fn edit(Extension(call): Extension<Arc<Call>>) -> Answer {
    let image = call.form.list("image").next().ok_or_else(|| missing("image"))?;
    if call.uri.path().ends_with("/variations") {
        return paint(&call, &format!("variation of {} bytes", image.data.len()));
    }
    let prompt = required(&call, "prompt")?;
    paint(&call, &prompt)
}

fn paint(call: &Call, prompt: &str) -> Answer {
    let model = call.model().unwrap_or("dall-e-2");
    super::known(model)?;
    let count = call.number_of("n").unwrap_or(1);
    if !(1..=IMAGES_MAX).contains(&count) {
        return Err(invalid("Invalid 'n': use 1 to 10.", "n", "invalid_value"));
    }
    let size = call.text("size").filter(|size| *size != "auto").unwrap_or("1024x1024");
    let (width, height) = media::dimensions(size)
        .ok_or_else(|| invalid("Invalid 'size': use WIDTHxHEIGHT.", "size", "invalid_value"))?;
    let picture = |index: u64| Picture { width, height, seed: answer::seed(prompt).wrapping_add(index) };
    let linked = match call.text("response_format") {
        Some(format) => format == "url",
        None => model.starts_with("dall-e"),
    };
    let usage = usage(prompt);
    if call.flag("stream") {
        return Ok(partials(call, &picture(0), &usage));
    }
    let data: Vec<Value> = (0..count)
        .map(|index| match linked {
            true => json!({"url": format!("{}{}", call.base_url, picture(index).path())}),
            false => json!({"b64_json": answer::base64(&picture(index).png())}),
        })
        .collect();
    let created = created_at(call.number);
    let body = json!({
        "created": created,
        "data": data,
        "size": size,
        "output_format": "png",
        "quality": call.text("quality").unwrap_or("auto"),
        "background": "opaque",
        "usage": usage,
    });
    Ok(Reply::json(&body).charged())
}

/// The streamed form: as many partial images as asked for, then the whole one.
fn partials(call: &Call, picture: &Picture, usage: &Value) -> Reply {
    let edits = call.uri.path().ends_with("/edits");
    let kind = if edits { "image_edit" } else { "image_generation" };
    let count = call.number_of("partial_images").unwrap_or(0).min(3);
    let image = |name: &str, more: Value| {
        let mut body = json!({
            "type": name,
            "b64_json": answer::base64(&picture.png()),
            "created_at": created_at(call.number),
            "size": format!("{}x{}", picture.width, picture.height),
            "quality": "auto",
            "background": "opaque",
            "output_format": "png",
        });
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), more) {
            body.extend(more);
        }
        event(name, &body)
    };
    let partial = format!("{kind}.partial_image");
    let mut events: Vec<_> =
        (0..count).map(|index| image(&partial, json!({"partial_image_index": index}))).collect();
    events.push(image(&format!("{kind}.completed"), json!({"usage": usage})));
    Reply::events(events).charged()
}

fn usage(prompt: &str) -> Value {
    let words = prompt.split_whitespace().count();
    json!({
        "input_tokens": words,
        "output_tokens": 1056,
        "total_tokens": words + 1056,
        "input_tokens_details": {"text_tokens": words, "image_tokens": 0},
    })
}
