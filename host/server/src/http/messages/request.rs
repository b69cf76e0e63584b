//! The request body, and what it asks of the domain.

use atelier_domain::generation::Json;
use atelier_domain::generation::chat::{
    ChatRequest, ChatRole, JsonSchemaFormat, Message, Part, ResponseFormat, Thinking, Tool, ToolCall,
    ToolChoice, ToolResult,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::chat_completions::options::Options;
use crate::http::input::{self, Kind};
use crate::http::openapi::words;
use crate::http::{ApiError, body};

const MESSAGES_MAX: usize = 10_000;

/// A request, understood.
#[derive(Debug)]
pub(super) struct Wanted {
    pub model: String,
    pub request: ChatRequest,
    pub options: Options,
}

/// As Anthropic documents it. It refuses members that it does not know, and so do we.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MessageRequest)]
pub(super) struct Body<'a> {
    /// `instance/model`, or an alias of the operator's.
    model: String,
    /// The conversation so far, oldest first.
    #[schema(min_items = 1, max_items = 10000)]
    messages: Vec<MessageBody>,
    #[schema(minimum = 1)]
    max_tokens: u32,
    /// Goes before the conversation.
    system: Option<Content>,
    stream: Option<bool>,
    #[schema(minimum = 0, maximum = 1)]
    temperature: Option<f32>,
    top_p: Option<f32>,
    stop_sequences: Option<Vec<String>>,
    tools: Option<Vec<ToolBody>>,
    tool_choice: Option<ToolChoiceBody>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<u32>)]
    top_k: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    cache_control: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    inference_geo: Option<&'a RawValue>,
    output_config: Option<OutputConfig>,
    /// Ours: provider-specific options by the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

/// What form the answer takes, and how much thought goes into it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MessageOutputConfig)]
struct OutputConfig {
    format: Option<OutputFormat>,
    effort: Option<String>,
}

/// Read by hand: a tagged enum cannot hold JSON as it was written.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MessageOutputFormat)]
struct OutputFormat {
    #[schema(inline, value_type = JsonSchemaWord)]
    r#type: String,
    #[schema(value_type = Object)]
    schema: Json,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = MessageTurn)]
struct MessageBody {
    #[schema(inline)]
    role: RoleBody,
    content: Content,
}

#[derive(Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RoleBody {
    User,
    Assistant,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = MessageContent)]
enum Content {
    Text(String),
    Blocks(Vec<Block>),
}

#[derive(Deserialize, ToSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[schema(as = MessageBlock)]
enum Block {
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
enum Source {
    Base64 { data: String },
    Url { url: String },
}

#[derive(Deserialize, ToSchema)]
#[schema(as = MessageTool)]
struct ToolBody {
    name: String,
    description: Option<String>,
    #[schema(value_type = Object)]
    input_schema: Json,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = MessageToolChoice)]
struct ToolChoiceBody {
    #[schema(inline, value_type = ToolChoiceWord)]
    r#type: String,
    /// Needed by the type `tool`.
    name: Option<String>,
    disable_parallel_tool_use: Option<bool>,
}

words! {
    JsonSchemaWord: "json_schema";
    ToolChoiceWord: "auto" | "any" | "none" | "tool";
}

impl Wanted {
    /// Reads a body.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let body: Body<'_> = body::parse(bytes)?;
        if body.messages.is_empty() || body.messages.len() > MESSAGES_MAX {
            return Err(ApiError::invalid("messages", format!("must have 1 to {MESSAGES_MAX} messages")));
        }
        if body.max_tokens == 0 {
            return Err(ApiError::invalid("max_tokens", "must be at least 1"));
        }
        if body.temperature.is_some_and(|temperature| !(0.0..=1.0).contains(&temperature)) {
            return Err(ApiError::invalid("temperature", "must be from 0 to 1"));
        }
        let mut options = Options::of(body.options);
        options.want("top_k", body.top_k);
        options.want("thinking", body.thinking);
        options.hint("metadata", body.metadata);
        options.hint("service_tier", body.service_tier);
        options.hint("cache_control", body.cache_control);
        options.hint("inference_geo", body.inference_geo);
        let mut messages = Vec::with_capacity(body.messages.len() + 1);
        if let Some(system) = body.system {
            let parts = system.into_parts("system")?;
            messages.push(Message { role: ChatRole::System, parts, name: None });
        }
        for (i, message) in body.messages.into_iter().enumerate() {
            message.into_domain(i, &mut messages)?;
        }
        let mut request = ChatRequest::new(String::new(), messages);
        request.stream = body.stream.unwrap_or(false);
        request.max_output_tokens = Some(body.max_tokens);
        request.temperature = body.temperature;
        request.top_p = body.top_p;
        request.stop = body.stop_sequences.unwrap_or_default();
        if let Some(OutputConfig { format, effort }) = body.output_config {
            request.reasoning_effort = effort;
            request.response_format = format.map(OutputFormat::into_domain).transpose()?.unwrap_or_default();
        }
        request.tools = body.tools.unwrap_or_default().into_iter().map(Tool::from).collect();
        if let Some(choice) = body.tool_choice {
            request.parallel_tool_calls = choice.disable_parallel_tool_use.map(|disabled| !disabled);
            request.tool_choice = tool_choice(choice)?;
        }
        Ok(Self { model: body.model, request, options })
    }
}

impl OutputFormat {
    fn into_domain(self) -> Result<ResponseFormat, ApiError> {
        if self.r#type != "json_schema" {
            return Err(ApiError::invalid("output_config.format.type", "must be \"json_schema\""));
        }
        let (name, schema) = ("answer".to_owned(), self.schema);
        Ok(ResponseFormat::JsonSchema(JsonSchemaFormat { name, description: None, schema, strict: true }))
    }
}

impl From<ToolBody> for Tool {
    fn from(tool: ToolBody) -> Self {
        Self { name: tool.name, description: tool.description, parameters: tool.input_schema, strict: false }
    }
}

fn tool_choice(choice: ToolChoiceBody) -> Result<ToolChoice, ApiError> {
    match (choice.r#type.as_str(), choice.name) {
        ("auto", _) => Ok(ToolChoice::Automatic),
        ("any", _) => Ok(ToolChoice::Required),
        ("none", _) => Ok(ToolChoice::None),
        ("tool", Some(name)) => Ok(ToolChoice::Named(name)),
        ("tool", None) => Err(ApiError::MissingParameter { param: "tool_choice.name".to_owned() }),
        _ => Err(ApiError::invalid("tool_choice.type", "must be \"auto\", \"any\", \"none\" or \"tool\"")),
    }
}

impl MessageBody {
    /// One message, or two: tools' results are a message of their own before what the user says.
    fn into_domain(self, i: usize, messages: &mut Vec<Message>) -> Result<(), ApiError> {
        let role = match self.role {
            RoleBody::User => ChatRole::User,
            RoleBody::Assistant => ChatRole::Assistant,
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
    fn into_parts(self, path: &str) -> Result<Vec<Part>, ApiError> {
        match self {
            Self::Text(text) => Ok(vec![Part::Text(text)]),
            Self::Blocks(blocks) => {
                let parts = blocks.into_iter().enumerate();
                parts.map(|(i, block)| block.into_part(&format!("{path}[{i}]"))).collect()
            }
        }
    }

    fn into_text(self, path: &str) -> Result<String, ApiError> {
        let mut text = String::new();
        for part in self.into_parts(path)? {
            let Part::Text(piece) = part else {
                return Err(ApiError::invalid(path, "a tool's result has text blocks only"));
            };
            text.push_str(&piece);
        }
        Ok(text)
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
                Part::ToolCall(ToolCall { id, name, arguments: input.to_string() })
            }
            Self::ToolResult { tool_use_id, content, is_error } => Part::ToolResult(ToolResult {
                tool_call_id: tool_use_id,
                content: match content {
                    Some(content) => content.into_text(&format!("{path}.content"))?,
                    None => String::new(),
                },
                is_error: is_error.unwrap_or(false),
            }),
            Self::Thinking { thinking, signature } => Part::Thinking(Thinking { text: thinking, signature }),
        })
    }
}
