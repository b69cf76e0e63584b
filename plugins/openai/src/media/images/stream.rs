//! Images that are shown while they are made (`stream` with `partial_images`).

use super::{Look, Text, Usage, decoded, kept, lines, output};
use crate::fault;
use atelier_plugin_sdk::http::Events;
use atelier_plugin_sdk::job::{Outcome, Output, Step};
use atelier_plugin_sdk::media::Request;
use atelier_plugin_sdk::progress::{self, Preview};
use atelier_plugin_sdk::{Failure, UsageLine, failure::code, json};
use serde::Deserialize;
use serde_json::value::RawValue;

/// The largest event, in bytes: an image in base64.
pub const EVENT_BYTES_MAX: usize = 48 * 1024 * 1024;

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(borrow)]
    b64_json: Option<Text<'a>>,
    partial_image_index: Option<u32>,
    size: Option<String>,
    quality: Option<String>,
    background: Option<String>,
    usage: Option<Usage>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
}

/// Shows what is unfinished, and keeps what is finished.
pub fn outcome(mut events: Events, request: &Request) -> Result<Step, Failure> {
    let (mut outputs, mut usage) = (Vec::new(), Vec::new());
    while let Some(event) = events.next_event()? {
        if event.data != "[DONE]" {
            take(event.data, request, &mut outputs, &mut usage)?;
        }
    }
    if outputs.is_empty() {
        let message = "the provider broke off before the image was complete: try again";
        return Err(Failure::new(code::UNAVAILABLE, message));
    }
    Ok(Step::Done(Outcome { outputs, usage }))
}

fn take(
    data: &str,
    request: &Request,
    outputs: &mut Vec<Output>,
    usage: &mut Vec<UsageLine>,
) -> Result<(), Failure> {
    let event: Event<'_> = json::parse_text(data)?;
    if let Some(error) = event.error {
        return Err(fault::reported(error.get()));
    }
    let Some(image) = event.b64_json else { return Ok(()) };
    if event.kind.ends_with(".partial_image") {
        let (bytes, content_type) = decoded(&image)?;
        let index = event.partial_image_index.unwrap_or(0);
        progress::show(&Preview { index, content_type: content_type.to_owned(), bytes });
    } else if event.kind.ends_with(".completed") {
        let look = Look { size: event.size, quality: event.quality, background: event.background };
        usage.extend(lines(1, event.usage.as_ref(), &look, request));
        let (source, content_type) = kept(&image)?;
        outputs.push(output(source, content_type, None, &look, request));
    }
    Ok(())
}
