//! Transcription (`POST /v1/speech-to-text`, <https://elevenlabs.io/docs/api-reference/speech-to-text/convert>).

use crate::ElevenLabs;
use crate::api::Api;
use atelier_plugin_sdk::http::Multipart;
use atelier_plugin_sdk::transcription::{Request, Transcript, TranscriptEvent, TranscriptSink};
use atelier_plugin_sdk::{CallContext, Failure, Transcription, json};
use serde_json::value::RawValue;

mod answer;

/// Fields that the request decides, and those that change what an answer is.
const RESERVED: &[&str] = &[
    "file",
    "model_id",
    "language_code",
    "temperature",
    "timestamps_granularity",
    "cloud_storage_url",
    "source_url",
    "webhook",
    "use_multi_channel",
];
const ANSWER_BYTES_MAX: u32 = 32 * 1024 * 1024;

impl Transcription for ElevenLabs {
    fn transcribe(
        context: CallContext,
        request: Request,
        sink: TranscriptSink,
    ) -> Result<Transcript, Failure> {
        let api = Api::new(&context)?;
        let fields = fields(&request)?;
        let mut form = Multipart::new();
        form.blob("file", &request.filename, &request.audio);
        for (name, value) in fields {
            form.text(&name, value);
        }
        let response = api.send(api.post("/v1/speech-to-text", &[]).multipart(form).charging())?;
        let transcript = answer::transcript(
            &response.bytes(ANSWER_BYTES_MAX)?,
            request.word_times,
            request.segment_times || request.speakers,
        )?;
        if request.stream {
            sink.send(&[TranscriptEvent::Text(transcript.text.clone())])?;
        }
        Ok(transcript)
    }
}

/// The form's fields beside the file.
fn fields(request: &Request) -> Result<Vec<(String, String)>, Failure> {
    let refused = |param: &str, message: &str| Err(Failure::unsupported(message).with_param(param));
    if request.translate {
        return refused("translate", "this provider writes what it hears, it does not translate");
    }
    if request.logprobs {
        return refused("logprobs", "this provider does not say how likely its tokens are: leave it out");
    }
    if request.prompt.is_some() {
        return refused("prompt", "this provider takes no prompt: leave it out");
    }
    let mut fields = vec![("model_id".to_owned(), request.model.clone())];
    if let Some(language) = &request.language {
        let language = language.split(['-', '_']).next().unwrap_or(language);
        fields.push(("language_code".to_owned(), language.to_owned()));
    }
    if let Some(temperature) = request.temperature {
        fields.push(("temperature".to_owned(), temperature.to_string()));
    }
    // Segments and the length of the sound are read off the words.
    fields.push(("timestamps_granularity".to_owned(), "word".to_owned()));
    options(&request.options, &mut fields)?;
    if request.speakers && !fields.iter().any(|(name, _)| name == "diarize") {
        fields.push(("diarize".to_owned(), "true".to_owned()));
    }
    Ok(fields)
}

/// Add options as fields: strings as they are, lists as repeated fields, all else as JSON.
fn options(options: &str, fields: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let malformed = || Failure::invalid("options", "the options must be a JSON object");
    for member in json::members(options).ok_or_else(malformed)? {
        if RESERVED.contains(&member.name.as_ref()) {
            let path = ["options.", &member.name].concat();
            return Err(Failure::invalid(
                path,
                "this is decided by the request itself: leave it out of the options",
            ));
        }
        let name = member.name.into_owned();
        if member.value.starts_with('[') {
            let items: Vec<&RawValue> = serde_json::from_str(member.value).map_err(|_| malformed())?;
            fields.extend(items.into_iter().map(|item| (name.clone(), plain(item.get()))));
        } else if member.value != "null" {
            fields.push((name, plain(member.value)));
        }
    }
    Ok(())
}

/// A string's own text, or any other value's JSON.
fn plain(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_fields_and_reserved_ones_are_refused() {
        let mut fields = Vec::new();
        options(r#"{"diarize":true,"keyterms":["a","b"],"file_format":"other","seed":null}"#, &mut fields)
            .unwrap();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(
            fields,
            [("diarize", "true"), ("keyterms", "a"), ("keyterms", "b"), ("file_format", "other")]
        );
        for text in [r#"{"webhook":true}"#, "[]", "{"] {
            assert_eq!(options(text, &mut Vec::new()).unwrap_err().code, "invalid-request", "{text}");
        }
    }
}
