//! Speech (`POST /v1/text-to-speech/{voice}/stream`, <https://elevenlabs.io/docs/api-reference/text-to-speech/stream>).

use crate::ElevenLabs;
use crate::api::{self, Api};
use crate::format;
use atelier_plugin_sdk::http::escape;
use atelier_plugin_sdk::speech::{AudioSink, Request};
use atelier_plugin_sdk::{CallContext, Failure, Speech, UsageLine, json};

/// Fields that the request decides, not its options.
const RESERVED: &[&str] = &["text", "model_id", "language_code"];

impl Speech for ElevenLabs {
    fn synthesize(
        context: CallContext,
        request: Request,
        sink: AudioSink,
    ) -> Result<Vec<UsageLine>, Failure> {
        let api = Api::new(&context)?;
        let options = Options::read(&request.options)?;
        let (format, media_type) = format::of(&request.format, options.output_format.as_deref())?;
        let body = body(&request, &options)?;
        let call = api.post(&path(&request.voice)?, &[("output_format", format)]);
        let response = api.send(call.json_text(body)?.charging())?;
        let told = response.header("content-type").filter(|kind| kind.starts_with("audio/"));
        sink.start(told.unwrap_or(media_type))?;
        let used = api::used(&response.headers, &request.text);
        if sink.pipe(response.into_body())? == 0 {
            return Err(Failure::bad_response("the provider sent no sound"));
        }
        Ok(vec![used])
    }
}

/// The options, taken apart.
struct Options<'r> {
    /// An exact format of the provider's.
    output_format: Option<String>,
    /// Members of `voice_settings`.
    voice_settings: Vec<json::Member<'r>>,
    /// All else, for the body as it is.
    others: Vec<json::Member<'r>>,
}

impl<'r> Options<'r> {
    fn read(options: &'r str) -> Result<Self, Failure> {
        let malformed = |path: &str, what: &str| Failure::invalid(path, what);
        let members = json::members(options)
            .ok_or_else(|| malformed("options", "the options must be a JSON object"))?;
        let mut read = Self { output_format: None, voice_settings: Vec::new(), others: Vec::new() };
        for member in members {
            match member.name.as_ref() {
                "output_format" => {
                    let text = serde_json::from_str(member.value)
                        .map_err(|_| malformed("options.output_format", "this must be a string"))?;
                    read.output_format = Some(text);
                }
                "voice_settings" => {
                    read.voice_settings = json::members(member.value)
                        .ok_or_else(|| malformed("options.voice_settings", "this must be an object"))?;
                }
                name if RESERVED.contains(&name) => {
                    let path = ["options.", name].concat();
                    return Err(malformed(
                        &path,
                        "this is a field of the request itself: leave it out of the options",
                    ));
                }
                _ => read.others.push(member),
            }
        }
        Ok(read)
    }
}

fn path(voice: &str) -> Result<String, Failure> {
    if matches!(voice, "" | "." | "..") {
        return Err(Failure::invalid("voice", "this is no voice id"));
    }
    Ok(["/v1/text-to-speech/", &escape(voice), "/stream"].concat())
}

fn body<'r>(request: &'r Request, options: &Options<'_>) -> Result<json::Text<'r>, Failure> {
    if request.instructions.is_some() {
        let message = "this provider takes no instructions beside the text: leave them out";
        return Err(Failure::unsupported(message).with_param("instructions"));
    }
    let mut body = json::Text::new();
    body.begin_object().field("text", &request.text).field("model_id", &request.model);
    // ISO 639-1 is the first subtag of BCP 47.
    let language = request.language.as_deref().and_then(|language| language.split(['-', '_']).next());
    body.optional("language_code", language);
    if request.speed.is_some() || !options.voice_settings.is_empty() {
        body.key("voice_settings").begin_object().optional("speed", request.speed.as_ref());
        for member in &options.voice_settings {
            if request.speed.is_some() && member.name == "speed" {
                let message = "the request gives the speed already: leave it out of the options";
                return Err(Failure::invalid("options.voice_settings.speed", message));
            }
            body.key(&member.name).raw(member.value);
        }
        body.end_object();
    }
    for member in &options.others {
        body.key(&member.name).raw(member.value);
    }
    body.end_object();
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(options: &str) -> Request {
        Request {
            model: "eleven_multilingual_v2".to_owned(),
            text: "Hello \"you\"".to_owned(),
            voice: "v1".to_owned(),
            format: "mp3".to_owned(),
            speed: Some(1.1),
            instructions: None,
            language: Some("en-GB".to_owned()),
            options: options.to_owned(),
        }
    }

    fn sent(request: &Request) -> Result<String, Failure> {
        Ok(body(request, &Options::read(&request.options)?)?.into_string().unwrap())
    }

    #[test]
    fn everything_asked_for_is_in_the_body() {
        let request = request(
            r#"{"seed":7,"voice_settings":{"stability":0.4},"output_format":"mp3_22050_32","previous_text":"a"}"#,
        );
        assert_eq!(
            sent(&request).unwrap(),
            r#"{"text":"Hello \"you\"","model_id":"eleven_multilingual_v2","language_code":"en","voice_settings":{"speed":1.1,"stability":0.4},"seed":7,"previous_text":"a"}"#
        );
        assert_eq!(Options::read(&request.options).unwrap().output_format.as_deref(), Some("mp3_22050_32"));
    }

    #[test]
    fn a_plain_text_is_as_small_as_it_can_be() {
        let mut request = request("{}");
        (request.speed, request.language) = (None, None);
        assert_eq!(
            sent(&request).unwrap(),
            r#"{"text":"Hello \"you\"","model_id":"eleven_multilingual_v2"}"#
        );
    }

    #[test]
    fn what_contradicts_the_request_is_refused_and_named() {
        for (options, param) in [
            (r#"{"text":"other"}"#, "options.text"),
            (r#"{"voice_settings":{"speed":2}}"#, "options.voice_settings.speed"),
            (r#"{"voice_settings":7}"#, "options.voice_settings"),
            (r#"{"output_format":7}"#, "options.output_format"),
            ("[]", "options"),
        ] {
            assert_eq!(sent(&request(options)).unwrap_err().param.as_deref(), Some(param), "{options}");
        }
        let mut directed = request("{}");
        directed.instructions = Some("softly".to_owned());
        assert_eq!(sent(&directed).unwrap_err().code, "unsupported");
    }

    #[test]
    fn a_voice_cannot_lead_to_another_address() {
        assert_eq!(path("a/../b?x").unwrap(), "/v1/text-to-speech/a%2F..%2Fb%3Fx/stream");
        assert_eq!(path("..").unwrap_err().code, "invalid-request");
    }
}
