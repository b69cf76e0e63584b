//! A message's content: blocks on the wire, parts in the domain.

use atelier_domain::generation::chat::{
    ChatRole, Message, Part, Thinking, ToolCall, ToolContent, ToolResult,
};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::http::input::{self, Kind};
use crate::http::text_or_parts::TextOrParts;

#[derive(Deserialize, ToSchema)]
#[schema(as = MessageTurn)]
pub(super) struct MessageBody {
    #[schema(inline)]
    role: RoleBody,
    content: Content,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoleBody {
    User,
    Assistant,
    System,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged, from = "TextOrParts<Block>")]
#[schema(as = MessageContent)]
pub(super) enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

impl From<TextOrParts<Block>> for Content {
    fn from(content: TextOrParts<Block>) -> Self {
        match content {
            TextOrParts::Text(text) => Self::Text(text),
            TextOrParts::Parts(blocks) => Self::Blocks(blocks),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = MessageBlock)]
pub(super) enum Block {
    Text {
        text: String,
    },
    Image {
        source: Source,
    },
    Document {
        source: Source,
        title: Option<String>,
    },
    ToolUse {
        id: String,
        name: String,
        input: serde_json::Value,
    },
    ToolResult {
        tool_use_id: String,
        #[schema(no_recursion)]
        content: Option<Content>,
        is_error: Option<bool>,
    },
    Thinking {
        thinking: String,
        signature: Option<String>,
    },
}

#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = MessageSource)]
pub(super) enum Source {
    Base64 { data: String },
    Url { url: String },
}

impl MessageBody {
    /// One message, or two: tools' results are a message of their own before what the user says.
    pub(super) fn into_domain(self, i: usize, messages: &mut Vec<Message>) -> Result<(), ApiError> {
        let role = match self.role {
            RoleBody::User => ChatRole::User,
            RoleBody::Assistant => ChatRole::Assistant,
            RoleBody::System => ChatRole::System,
        };
        let parts = self.content.into_parts(&format!("messages[{i}].content"))?;
        let (results, said): (Vec<_>, Vec<_>) =
            parts.into_iter().partition(|part| matches!(part, Part::ToolResult(_)));
        if !results.is_empty() {
            messages.push(Message { role: ChatRole::Tool, parts: results, name: None });
        }
        if !said.is_empty() {
            messages.push(Message { role, parts: said, name: None });
        }
        Ok(())
    }
}

impl Content {
    pub(super) fn into_parts(self, path: &str) -> Result<Vec<Part>, ApiError> {
        match self {
            Self::Text(text) => Ok(vec![Part::Text(text)]),
            Self::Blocks(blocks) => {
                let parts = blocks.into_iter().enumerate();
                parts.map(|(i, block)| block.into_part(&format!("{path}[{i}]"))).collect()
            }
        }
    }

    fn into_tool_content(self, path: &str) -> Result<Vec<ToolContent>, ApiError> {
        let content = self.into_parts(path)?.into_iter().enumerate().map(|(i, part)| match part {
            Part::Text(text) => Ok(ToolContent::Text(text)),
            Part::Image(image) => Ok(ToolContent::Image(image)),
            Part::File(file) => Ok(ToolContent::File(file)),
            _ => {
                let known = "a tool's result has text, image and document blocks only";
                Err(ApiError::invalid(format!("{path}[{i}].type"), known))
            }
        });
        content.collect()
    }
}

impl Block {
    fn into_part(self, path: &str) -> Result<Part, ApiError> {
        let medium = |source: Source, kind: Kind| match source {
            Source::Base64 { data } => {
                input::encoded_media(&format!("{path}.source.data"), &data, kind, None)
            }
            Source::Url { url } => input::url(&format!("{path}.source.url"), &url, kind),
        };
        Ok(match self {
            Self::Text { text } => Part::Text(text),
            Self::Image { source } => Part::Image(medium(source, Kind::Image)?),
            Self::Document { source, title } => {
                let mut media = medium(source, Kind::Document)?;
                media.name = title;
                Part::File(media)
            }
            Self::ToolUse { id, name, input } => {
                Part::ToolCall(ToolCall { id, name, arguments: input.to_string(), signature: None })
            }
            Self::ToolResult { tool_use_id, content, is_error } => Part::ToolResult(ToolResult {
                tool_call_id: tool_use_id,
                content: match content {
                    Some(content) => content.into_tool_content(&format!("{path}.content"))?,
                    None => Vec::new(),
                },
                is_error: is_error.unwrap_or(false),
            }),
            Self::Thinking { thinking, signature } => Part::Thinking(Thinking { text: thinking, signature }),
        })
    }
}
