//! Speech (`POST /audio/speech`).

use crate::OpenAi;
use crate::api::Api;
use atelier_plugin_sdk::speech::{AudioSink, Request};
use atelier_plugin_sdk::usage::{self, meter};
use atelier_plugin_sdk::{CallContext, Failure, Speech, UsageLine, json};

const RESERVED: &[&str] =
    &["model", "input", "voice", "response_format", "speed", "instructions", "stream_format"];

impl Speech for OpenAi {
    fn synthesize(
        context: CallContext,
        request: Request,
        sink: AudioSink,
    ) -> Result<Vec<UsageLine>, Failure> {
        let api = Api::new(&context)?;
        let body = body(&request)?;
        let response = api.send(api.post("/audio/speech").json_text(body)?.charging())?;
        let told = response.header("content-type").filter(|kind| kind.starts_with("audio/"));
        sink.start(told.unwrap_or(content_type(&request.format)))?;
        if sink.pipe(response.into_body())? == 0 {
            return Err(Failure::bad_response("the provider sent no sound"));
        }
        Ok(vec![usage::line(meter::CHARACTERS, request.text.chars().count() as u64, &[])])
    }
}

fn body(request: &Request) -> Result<json::Text<'_>, Failure> {
    let mut body = json::Text::new();
    body.begin_object()
        .field("model", &request.model)
        .field("input", &request.text)
        .field("voice", &request.voice);
    body.field("response_format", &request.format).optional("speed", request.speed.as_ref());
    body.optional("instructions", request.instructions.as_ref())
        .merge(&request.options, RESERVED)?
        .end_object();
    Ok(body)
}

/// The media type of a format that the answer does not name itself.
fn content_type(format: &str) -> &'static str {
    match format {
        "mp3" => "audio/mpeg",
        "wav" => "audio/wav",
        "opus" => "audio/ogg",
        "flac" => "audio/flac",
        "aac" => "audio/aac",
        // 24 kHz, 16 bit, little-endian, one channel, no header.
        "pcm" => "audio/pcm",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_asked_for_is_in_the_body() {
        let request = Request {
            model: "gpt-4o-mini-tts".to_owned(),
            text: "Hello \"you\"".to_owned(),
            voice: "coral".to_owned(),
            format: "wav".to_owned(),
            speed: Some(1.1),
            instructions: Some("softly".to_owned()),
            language: Some("en-GB".to_owned()),
            options: r#"{"seed":7}"#.to_owned(),
        };
        assert_eq!(
            body(&request).unwrap().into_string().unwrap(),
            r#"{"model":"gpt-4o-mini-tts","input":"Hello \"you\"","voice":"coral","response_format":"wav","speed":1.1,"instructions":"softly","seed":7}"#
        );
    }
}
