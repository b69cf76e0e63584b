//! Messages of a request.

use atelier_domain::generation::chat::{ChatRole, Message, Part, ToolCall, ToolContent, ToolResult};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::http::chat_completions::extra::ExtraContent;
use crate::http::files::optional_file_id;
use crate::http::files::used::{MessagePart, Named, stand_in};
use crate::http::input::{self, Detail, Kind};
use crate::http::openapi::words;
use crate::http::text_or_parts::{ContentPart, TextOrParts};

/// A message. Members that only answers have are let pass, since clients send answers back as they got them.
#[derive(Deserialize, ToSchema)]
#[schema(as = ChatMessage)]
pub(super) struct MessageBody {
    #[schema(inline)]
    role: RoleBody,
    /// Needed but where an assistant's message has calls of tools or a refusal instead.
    content: Option<Content>,
    name: Option<String>,
    /// What the assistant called, in its own messages.
    tool_calls: Option<Vec<ToolCallBody>>,
    /// The call that a message of the role `tool` answers.
    tool_call_id: Option<String>,
    refusal: Option<String>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoleBody {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

type Content = TextOrParts<PartBody>;

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatContentPart)]
struct PartBody {
    #[schema(inline, value_type = PartType)]
    r#type: String,
    text: Option<String>,
    refusal: Option<String>,
    image_url: Option<ImageUrl>,
    input_audio: Option<InputAudio>,
    file: Option<FileBody>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatImage)]
struct ImageUrl {
    /// A data URL with base64, or an http(s) address that the provider fetches.
    url: String,
    detail: Option<Detail>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatAudio)]
struct InputAudio {
    /// Base64.
    data: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatFile)]
struct FileBody {
    /// A data URL, or base64; or `file_id`.
    file_data: Option<String>,
    /// A file of yours.
    #[schema(schema_with = optional_file_id)]
    file_id: Option<String>,
    filename: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatToolCallSent)]
struct ToolCallBody {
    id: String,
    function: CalledFunction,
    extra_content: Option<ExtraContent>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatFunctionCalled)]
struct CalledFunction {
    name: String,
    arguments: String,
}

words! {
    PartType: "text" | "image_url" | "input_audio" | "file" | "refusal";
}

impl ContentPart for PartBody {
    const CONTENT: &'static str = "ChatContent";
}

impl MessageBody {
    /// The message; `files` takes the files that it names, whose parts are still empty.
    pub(super) fn into_domain(
        self,
        i: usize,
        files: &mut Vec<Named<MessagePart>>,
    ) -> Result<Message, ApiError> {
        let role = match self.role {
            RoleBody::System => ChatRole::System,
            RoleBody::Developer => ChatRole::Developer,
            RoleBody::User => ChatRole::User,
            RoleBody::Assistant => ChatRole::Assistant,
            RoleBody::Tool => ChatRole::Tool,
        };
        if role == ChatRole::Tool {
            return self.tool_result(i);
        }
        let calls = self.tool_calls.unwrap_or_default();
        let has_other = !calls.is_empty() || self.refusal.is_some();
        let mut parts = Vec::with_capacity(1);
        match self.content {
            Some(Content::Text(text)) if !(text.is_empty() && has_other) => parts.push(Part::Text(text)),
            Some(Content::Text(_)) => {}
            Some(Content::Parts(bodies)) => {
                for (j, mut body) in bodies.into_iter().enumerate() {
                    let path = format!("messages[{i}].content[{j}]");
                    match body.file.as_mut().and_then(|file| file.file_id.take()) {
                        Some(id) if body.r#type == "file" => {
                            let param = format!("{path}.file.file_id");
                            if body.file.is_some_and(|file| file.file_data.is_some()) {
                                return Err(ApiError::invalid(param, "either this or `file_data`"));
                            }
                            files.push(Named::read(param, &id, Kind::Document, (i, parts.len()))?);
                            parts.push(Part::File(stand_in()));
                        }
                        _ => parts.push(body.into_domain(&path)?),
                    }
                }
            }
            None if has_other => {}
            None => return Err(ApiError::MissingParameter { param: format!("messages[{i}].content") }),
        }
        parts.extend(self.refusal.map(Part::Refusal));
        parts.extend(calls.into_iter().map(|call| {
            Part::ToolCall(ToolCall {
                id: call.id,
                name: call.function.name,
                arguments: call.function.arguments,
                signature: call.extra_content.and_then(ExtraContent::into_signature),
            })
        }));
        Ok(Message { role, parts, name: self.name })
    }

    fn tool_result(self, i: usize) -> Result<Message, ApiError> {
        let missing = |member: &str| ApiError::MissingParameter { param: format!("messages[{i}].{member}") };
        let tool_call_id = self.tool_call_id.ok_or_else(|| missing("tool_call_id"))?;
        let content = match self.content.ok_or_else(|| missing("content"))? {
            Content::Text(text) => vec![ToolContent::Text(text)],
            Content::Parts(parts) => {
                let texts = parts.into_iter().map(|part| part.text.map(ToolContent::Text));
                texts.collect::<Option<Vec<_>>>().ok_or_else(|| {
                    ApiError::invalid(format!("messages[{i}].content"), "a tool's answer has text parts only")
                })?
            }
        };
        let result = Part::ToolResult(ToolResult { tool_call_id, content, is_error: false });
        Ok(Message { role: ChatRole::Tool, parts: vec![result], name: self.name })
    }
}

impl PartBody {
    fn into_domain(self, path: &str) -> Result<Part, ApiError> {
        let missing = |member: &str| ApiError::MissingParameter { param: format!("{path}.{member}") };
        match self.r#type.as_str() {
            "text" => self.text.map(Part::Text).ok_or_else(|| missing("text")),
            "refusal" => self.refusal.map(Part::Refusal).ok_or_else(|| missing("refusal")),
            "image_url" => {
                let ImageUrl { url, detail } = self.image_url.ok_or_else(|| missing("image_url"))?;
                let mut media = input::url(&format!("{path}.image_url.url"), &url, Kind::Image)?;
                media.attributes.extend(detail.map(Detail::attribute));
                Ok(Part::Image(media))
            }
            "input_audio" => {
                let data = self.input_audio.ok_or_else(|| missing("input_audio"))?.data;
                input::encoded_media(&format!("{path}.input_audio.data"), &data, Kind::Audio, None)
                    .map(Part::Audio)
            }
            "file" => {
                let file = self.file.ok_or_else(|| missing("file"))?;
                let data = file.file_data.ok_or_else(|| missing("file.file_data"))?;
                let param = format!("{path}.file.file_data");
                let mut media = if data.starts_with("data:") {
                    input::url(&param, &data, Kind::Document)?
                } else {
                    input::encoded_media(&param, &data, Kind::Document, None)?
                };
                media.name = file.filename;
                Ok(Part::File(media))
            }
            _ => Err(ApiError::invalid(
                format!("{path}.type"),
                "must be \"text\", \"image_url\", \"input_audio\", \"file\" or \"refusal\"",
            )),
        }
    }
}
