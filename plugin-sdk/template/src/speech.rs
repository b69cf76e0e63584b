//! Speech (`POST /speech`), passed on while it is made.

use atelier_plugin_sdk::http::Request;
use atelier_plugin_sdk::speech::{AudioSink, Request as Wanted};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Failure, Speech, UsageLine};
use serde::Serialize;

use crate::Acme;

#[derive(Serialize)]
struct Body<'r> {
    model: &'r str,
    text: &'r str,
    voice: &'r str,
    format: &'r str,
}

impl Speech for Acme {
    fn synthesize(context: CallContext, request: Wanted, sink: AudioSink) -> Result<Vec<UsageLine>, Failure> {
        let media_type = match request.format.as_str() {
            "mp3" => "audio/mpeg",
            "wav" => "audio/wav",
            other => {
                let message = format!("this provider speaks mp3 and wav, not {other}");
                return Err(Failure::unsupported(message).with_param("response_format"));
            }
        };
        let body = Body {
            model: &request.model,
            text: &request.text,
            voice: &request.voice,
            format: &request.format,
        };
        let url = format!("{}/speech", context.base_url);
        let response = Request::post(url).json(&body)?.charging().send()?.success()?;
        sink.start(media_type)?;
        // The bytes stay with the host: they never pass through the plugin's memory.
        if sink.pipe(response.into_body())? == 0 {
            return Err(Failure::bad_response("the provider sent no sound"));
        }
        let characters = request.text.chars().count() as u64;
        Ok(vec![usage::line(meter::CHARACTERS, characters, &[])])
    }
}
