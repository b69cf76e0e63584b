//! What of a request is judged: all its words, whoever is said to have spoken them, since the caller wrote them all; and its pictures.

use std::borrow::Cow;

use atelier_domain::generation::chat::{
    ChatRequest, Function, Message, Part, ResponseFormat, Tool, ToolContent,
};
use atelier_domain::generation::embedding::{EmbeddingInput, EmbeddingRequest};
use atelier_domain::generation::media::{JobRequest, MediaRequest, TrainingRequest};
use atelier_domain::generation::speech::SpeechRequest;
use atelier_domain::generation::transcription::TranscriptionRequest;
use atelier_domain::generation::{Json, Media};

/// Roles of inputs that are pictures, where nobody knows their type (a public address).
const PICTURES: [&str; 5] = ["image", "mask", "first-frame", "last-frame", "reference"];

/// A part of a prompt, with the path of the request's field that it came in.
#[derive(Debug)]
pub(super) struct At<T> {
    pub param: String,
    pub value: T,
}

/// The words and pictures of a request.
#[derive(Debug, Default)]
pub(super) struct Prompt<'a> {
    pub texts: Vec<At<Cow<'a, str>>>,
    pub images: Vec<At<&'a Media>>,
}

impl<'a> Prompt<'a> {
    pub(super) fn of_chat(request: &'a ChatRequest) -> Self {
        let mut prompt = Self::default();
        for (i, message) in request.messages.iter().enumerate() {
            prompt.message(&format!("messages[{i}].content"), message);
        }
        for (i, tool) in request.tools.iter().enumerate() {
            let param = format!("tools[{i}]");
            match tool {
                Tool::Function(Function { name, description, parameters, strict: _ }) => {
                    prompt.text(&param, name);
                    prompt.any_text(&param, description.as_deref());
                    prompt.json(&param, parameters);
                }
                Tool::Other(other) => prompt.json(&param, &other.json),
            }
        }
        match &request.response_format {
            ResponseFormat::Text | ResponseFormat::JsonObject => {}
            ResponseFormat::JsonSchema(format) => {
                prompt.any_text("response_format", format.description.as_deref());
                prompt.json("response_format", &format.schema);
            }
            ResponseFormat::Other(other) => prompt.json("response_format", &other.json),
        }
        prompt.options(&request.options);
        prompt
    }

    pub(super) fn of_speech(request: &'a SpeechRequest) -> Self {
        let mut prompt = Self::default();
        prompt.text("input", &request.text);
        prompt.any_text("instructions", request.instructions.as_deref());
        prompt.options(&request.options);
        prompt
    }

    /// The recording itself is not listened to.
    pub(super) fn of_transcription(request: &'a TranscriptionRequest) -> Self {
        let mut prompt = Self::default();
        prompt.any_text("prompt", request.prompt.as_deref());
        prompt.options(&request.options);
        prompt
    }

    /// Tokens are the words of a tokenizer that only the provider has, and not read.
    pub(super) fn of_embedding(request: &'a EmbeddingRequest) -> Self {
        let mut prompt = Self::default();
        for (i, input) in request.inputs.iter().enumerate() {
            let param = format!("input[{i}]");
            match input {
                EmbeddingInput::Text(text) => prompt.text(&param, text),
                EmbeddingInput::Media(media) => prompt.media(&param, media, false),
                EmbeddingInput::Other(other) => prompt.json(&param, &other.json),
                EmbeddingInput::Tokens(_) => {}
            }
        }
        prompt.options(&request.options);
        prompt
    }

    pub(super) fn of_job(request: &'a JobRequest) -> Self {
        match request {
            JobRequest::Media(request) => Self::of_media(request),
            JobRequest::Training(request) => Self::of_training(request),
        }
    }

    fn of_media(request: &'a MediaRequest) -> Self {
        let mut prompt = Self::default();
        prompt.any_text("prompt", request.prompt.as_deref());
        prompt.any_text("negative_prompt", request.negative_prompt.as_deref());
        for input in &request.inputs {
            prompt.media(&input.role, &input.media, PICTURES.contains(&input.role.as_str()));
        }
        prompt.options(&request.options);
        prompt
    }

    /// The examples to learn from are not read.
    fn of_training(request: &'a TrainingRequest) -> Self {
        let mut prompt = Self::default();
        prompt.any_text("suffix", request.suffix.as_deref());
        prompt.json("hyperparameters", &request.hyperparameters);
        prompt.options(&request.options);
        prompt
    }

    fn message(&mut self, param: &str, message: &'a Message) {
        self.any_text(param, message.name.as_deref());
        for part in &message.parts {
            match part {
                Part::Text(text) | Part::Refusal(text) => self.text(param, text),
                Part::Thinking(thinking) => self.text(param, &thinking.text),
                Part::Image(media) => self.media(param, media, true),
                // Documents and sounds that are pictures after all.
                Part::File(media) | Part::Audio(media) => self.media(param, media, false),
                Part::ToolCall(call) => {
                    self.text(param, &call.name);
                    self.push(param, plain(&call.arguments));
                }
                Part::ToolResult(result) => {
                    for content in &result.content {
                        match content {
                            ToolContent::Text(text) => self.text(param, text),
                            ToolContent::Image(media) => self.media(param, media, true),
                            ToolContent::File(media) => self.media(param, media, false),
                            ToolContent::Other(other) => self.json(param, &other.json),
                        }
                    }
                }
                Part::Other(other) => self.json(param, &other.json),
            }
        }
    }

    fn options(&mut self, options: &'a Json) {
        self.json("options", options);
    }

    fn media(&mut self, param: &str, media: &'a Media, is_picture: bool) {
        let is_picture = media.content_type.as_ref().map_or(is_picture, |kind| kind.starts_with("image/"));
        if is_picture {
            self.images.push(At { param: param.to_owned(), value: media });
        }
    }

    fn any_text(&mut self, param: &str, text: Option<&'a str>) {
        if let Some(text) = text {
            self.text(param, text);
        }
    }

    fn text(&mut self, param: &str, text: &'a str) {
        self.push(param, Cow::Borrowed(text));
    }

    fn json(&mut self, param: &str, json: &'a Json) {
        if json.get() != "{}" {
            self.push(param, plain(json.get()));
        }
    }

    fn push(&mut self, param: &str, text: Cow<'a, str>) {
        if !text.trim().is_empty() {
            self.texts.push(At { param: param.to_owned(), value: text });
        }
    }
}

/// A JSON text without escapes that would hide its words; what is no JSON, as it is.
fn plain(json: &str) -> Cow<'_, str> {
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(value) => Cow::Owned(value.to_string()),
        Err(_) => Cow::Borrowed(json),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use atelier_domain::generation::chat::{ChatRole, JsonSchemaFormat, ToolCall, ToolResult};
    use atelier_domain::generation::{MediaSource, Other};
    use serde_json::value::RawValue;

    fn json(text: &str) -> Json {
        RawValue::from_string(text.to_owned()).expect("JSON")
    }

    fn picture(kind: Option<&str>) -> Media {
        Media::new(MediaSource::Url("https://x.example/a".to_owned()), kind.map(str::to_owned))
    }

    fn words<'a>(prompt: &'a Prompt<'_>) -> Vec<(&'a str, &'a str)> {
        prompt.texts.iter().map(|text| (text.param.as_str(), &*text.value)).collect()
    }

    #[test]
    fn a_conversation_has_words_in_all_its_parts() {
        let call = ToolCall {
            id: "1".into(),
            name: "call".into(),
            arguments: r#"{"a":"\u0062"}"#.into(),
            signature: None,
        };
        let result = ToolResult {
            tool_call_id: "1".into(),
            content: vec![ToolContent::Text("result".into()), ToolContent::Image(picture(None))],
            is_error: false,
        };
        let parts = vec![
            Part::Text("text".into()),
            Part::Refusal("refusal".into()),
            Part::ToolCall(call),
            Part::ToolResult(result),
            Part::Image(picture(Some("image/png"))),
            Part::File(picture(Some("application/pdf"))),
            Part::File(picture(Some("image/webp"))),
            Part::Other(Other { kind: "x".into(), json: json(r#"{"other":"\u0063"}"#) }),
        ];
        let said = Message { role: ChatRole::Assistant, parts, name: Some("name".into()) };
        let mut request = ChatRequest::new("m", vec![said]);
        request.tools = vec![Tool::Function(Function {
            name: "tool".into(),
            description: Some("describes".into()),
            parameters: json(r#"{"d":1}"#),
            strict: false,
        })];
        request.response_format = ResponseFormat::JsonSchema(JsonSchemaFormat {
            name: "f".into(),
            description: Some("format".into()),
            schema: json("true"),
            strict: false,
        });
        request.options = json(r#"{ "e" : 1 }"#);
        let prompt = Prompt::of_chat(&request);
        let content = "messages[0].content";
        let expected = [
            (content, "name"),
            (content, "text"),
            (content, "refusal"),
            (content, "call"),
            (content, r#"{"a":"b"}"#),
            (content, "result"),
            (content, r#"{"other":"c"}"#),
            ("tools[0]", "tool"),
            ("tools[0]", "describes"),
            ("tools[0]", r#"{"d":1}"#),
            ("response_format", "format"),
            ("response_format", "true"),
            ("options", r#"{"e":1}"#),
        ];
        assert_eq!(words(&prompt), expected);
        assert_eq!(prompt.images.len(), 3);
    }

    #[test]
    fn what_has_no_words_is_not_judged() {
        let mut request = MediaRequest::new("m".into(), atelier_domain::model::Task::ImageGeneration);
        request.prompt = Some("  ".to_owned());
        let prompt = Prompt::of_media(&request);
        assert!(prompt.texts.is_empty() && prompt.images.is_empty(), "{prompt:?}");
    }
}
