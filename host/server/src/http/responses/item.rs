//! Items of a conversation.

use atelier_domain::generation::chat::{ChatRole, Message, Part, ToolCall, ToolContent, ToolResult};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::http::chat_completions::extra::ExtraContent;
use crate::http::files::optional_file_id;
use crate::http::files::used::{MessagePart, Named, stand_in};
use crate::http::input::{self, Detail, Kind};
use crate::http::openapi::words;
use crate::http::text_or_parts::TextOrParts;

/// An item of `input`: a message, a call of a tool, or its result. Members that only answers have are let pass, since
/// clients send answers back as they got them.
#[derive(Deserialize, ToSchema)]
#[schema(as = ResponseInputItem)]
pub(super) struct Item {
    /// Absent: a message.
    #[schema(inline, value_type = Option<ItemType>)]
    r#type: Option<String>,
    /// Of a message.
    #[schema(inline)]
    role: Option<RoleBody>,
    /// Of a message.
    #[schema(inline)]
    content: Option<Content>,
    /// Of a call and of its result.
    call_id: Option<String>,
    name: Option<String>,
    arguments: Option<String>,
    extra_content: Option<ExtraContent>,
    /// A call's result.
    #[schema(inline)]
    output: Option<Content>,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoleBody {
    System,
    Developer,
    User,
    Assistant,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged, from = "TextOrParts<PartBody>")]
#[schema(as = ResponseInputContent)]
enum Content {
    Text(String),
    Parts(Vec<PartBody>),
}

impl From<TextOrParts<PartBody>> for Content {
    fn from(content: TextOrParts<PartBody>) -> Self {
        match content {
            TextOrParts::Text(text) => Self::Text(text),
            TextOrParts::Parts(parts) => Self::Parts(parts),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ResponseInputPart)]
struct PartBody {
    #[schema(inline, value_type = PartType)]
    r#type: String,
    text: Option<String>,
    refusal: Option<String>,
    /// A data URL with base64, or an http(s) address that the provider fetches.
    image_url: Option<String>,
    detail: Option<Detail>,
    file_data: Option<String>,
    filename: Option<String>,
    /// A file of yours, in place of `file_data` or `image_url`.
    #[schema(schema_with = optional_file_id)]
    file_id: Option<String>,
}

words! {
    ItemType: "message" | "function_call" | "function_call_output" | "reasoning";
    PartType: "input_text" | "input_image" | "input_file" | "output_text" | "refusal";
}

impl Item {
    /// The message that it is; `None` for what another model thought. `files` takes the files that it names, as those of the message at
    /// this place, where something stands in for them.
    pub(super) fn into_domain(
        self,
        path: &str,
        place: usize,
        files: &mut Vec<Named<MessagePart>>,
    ) -> Result<Option<Message>, ApiError> {
        let missing = |member: &str| ApiError::MissingParameter { param: format!("{path}.{member}") };
        let (role, part) = match self.r#type.as_deref() {
            None | Some("message") => {
                let role = match self.role.ok_or_else(|| missing("role"))? {
                    RoleBody::System => ChatRole::System,
                    RoleBody::Developer => ChatRole::Developer,
                    RoleBody::User => ChatRole::User,
                    RoleBody::Assistant => ChatRole::Assistant,
                };
                let content = self.content.ok_or_else(|| missing("content"))?;
                let path = format!("{path}.content");
                content.name_files(&path, place, files)?;
                let parts = content.into_parts(&path)?;
                return Ok(Some(Message { role, parts, name: None }));
            }
            Some("function_call") => {
                let call = ToolCall {
                    id: self.call_id.ok_or_else(|| missing("call_id"))?,
                    name: self.name.ok_or_else(|| missing("name"))?,
                    arguments: self.arguments.ok_or_else(|| missing("arguments"))?,
                    signature: self.extra_content.and_then(ExtraContent::into_signature),
                };
                (ChatRole::Assistant, Part::ToolCall(call))
            }
            Some("function_call_output") => {
                let result = ToolResult {
                    tool_call_id: self.call_id.ok_or_else(|| missing("call_id"))?,
                    content: self
                        .output
                        .ok_or_else(|| missing("output"))?
                        .into_tool_content(&format!("{path}.output"))?,
                    is_error: false,
                };
                (ChatRole::Tool, Part::ToolResult(result))
            }
            Some("reasoning") => return Ok(None),
            Some(_) => {
                let known =
                    "must be \"message\", \"function_call\", \"function_call_output\" or \"reasoning\"";
                return Err(ApiError::invalid(format!("{path}.type"), known));
            }
        };
        Ok(Some(Message { role, parts: vec![part], name: None }))
    }
}

impl Content {
    fn name_files(
        &self,
        path: &str,
        message: usize,
        files: &mut Vec<Named<MessagePart>>,
    ) -> Result<(), ApiError> {
        let Self::Parts(parts) = self else { return Ok(()) };
        for (i, part) in parts.iter().enumerate() {
            let kind = match (part.r#type.as_str(), &part.file_data, &part.image_url) {
                ("input_image", _, None) => Kind::Image,
                ("input_file", None, _) => Kind::Document,
                _ => continue,
            };
            if let Some(id) = &part.file_id {
                files.push(Named::read(format!("{path}[{i}].file_id"), id, kind, (message, i))?);
            }
        }
        Ok(())
    }

    fn into_parts(self, path: &str) -> Result<Vec<Part>, ApiError> {
        match self {
            Self::Text(text) => Ok(vec![Part::Text(text)]),
            Self::Parts(parts) => parts
                .into_iter()
                .enumerate()
                .map(|(i, part)| part.into_domain(&format!("{path}[{i}]")))
                .collect(),
        }
    }

    fn into_tool_content(self, path: &str) -> Result<Vec<ToolContent>, ApiError> {
        if let Self::Parts(parts) = &self
            && let Some(i) = parts.iter().position(|part| part.file_id.is_some())
        {
            let message = "a tool's result holds its files itself";
            return Err(ApiError::invalid(format!("{path}[{i}].file_id"), message));
        }
        let content = self.into_parts(path)?.into_iter().enumerate().map(|(i, part)| match part {
            Part::Text(text) => Ok(ToolContent::Text(text)),
            Part::Image(image) => Ok(ToolContent::Image(image)),
            Part::File(file) => Ok(ToolContent::File(file)),
            _ => {
                let known = "a tool's result has text, image and file parts only";
                Err(ApiError::invalid(format!("{path}[{i}].type"), known))
            }
        });
        content.collect()
    }
}

impl PartBody {
    fn into_domain(self, path: &str) -> Result<Part, ApiError> {
        let missing = |member: &str| ApiError::MissingParameter { param: format!("{path}.{member}") };
        match self.r#type.as_str() {
            "input_text" | "output_text" => self.text.map(Part::Text).ok_or_else(|| missing("text")),
            "refusal" => self.refusal.map(Part::Refusal).ok_or_else(|| missing("refusal")),
            "input_image" => {
                let mut media = match (self.image_url, self.file_id) {
                    (Some(url), _) => input::url(&format!("{path}.image_url"), &url, Kind::Image)?,
                    (None, Some(_)) => stand_in(),
                    (None, None) => return Err(missing("image_url")),
                };
                media.attributes.extend(self.detail.map(Detail::attribute));
                Ok(Part::Image(media))
            }
            "input_file" => {
                let mut media = match (self.file_data, self.file_id) {
                    (Some(data), _) => input::url(&format!("{path}.file_data"), &data, Kind::Document)?,
                    (None, Some(_)) => stand_in(),
                    (None, None) => return Err(missing("file_data")),
                };
                media.name = self.filename;
                Ok(Part::File(media))
            }
            _ => Err(ApiError::invalid(
                format!("{path}.type"),
                "must be \"input_text\", \"input_image\", \"input_file\", \"output_text\" or \"refusal\"",
            )),
        }
    }
}
