//! The request body, and what it asks of the domain.

use atelier_domain::generation::Json;
use atelier_domain::generation::chat::{
    ChatRequest, ChatRole, Function, JsonSchemaFormat, Message, ResponseFormat, Tool, ToolChoice,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::message::{Content, MessageBody};
use crate::http::chat_completions::options::Options;
use crate::http::openapi::words;
use crate::http::{ApiError, body, raw};

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
    /// How many tokens the answer may have.
    #[schema(required, minimum = 1, value_type = u32)]
    max_tokens: Option<u32>,
    /// Goes before the conversation.
    system: Option<Content>,
    stream: Option<bool>,
    #[schema(minimum = 0, maximum = 1)]
    temperature: Option<f64>,
    top_p: Option<f64>,
    stop_sequences: Option<Vec<String>>,
    tools: Option<Vec<ToolBody>>,
    tool_choice: Option<ToolChoiceBody>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<u32>)]
    #[serde(default, deserialize_with = "raw::count")]
    top_k: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    thinking: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    cache_control: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    inference_geo: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    speed: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    diagnostics: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Value>)]
    container: Option<&'a RawValue>,
    /// Refused: it names something in an account of Anthropic's.
    #[schema(value_type = Option<Value>)]
    user_profile_id: Option<Json>,
    /// Refused likewise.
    #[schema(value_type = Option<Value>)]
    workspace_id: Option<Json>,
    output_config: Option<OutputConfig>,
    /// Ours: provider-specific options by the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

/// A request to count tokens.
// As `Wanted::read_count` reads it: a message's, without what shapes its answer.
#[derive(ToSchema)]
#[schema(as = CountTokensRequest)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "the schema of what `Body` reads")]
pub(super) struct CountSchema {
    /// `instance/model`, or an alias of the operator's.
    model: String,
    /// The conversation so far, oldest first.
    #[schema(min_items = 1, max_items = 10000)]
    messages: Vec<MessageBody>,
    /// Goes before the conversation.
    system: Option<Content>,
    tools: Option<Vec<ToolBody>>,
    tool_choice: Option<ToolChoiceBody>,
    #[schema(value_type = Option<Object>)]
    thinking: Option<Json>,
    #[schema(value_type = Option<Object>)]
    cache_control: Option<Json>,
    #[schema(value_type = Option<String>)]
    inference_geo: Option<Json>,
    #[schema(value_type = Option<String>)]
    speed: Option<Json>,
    #[schema(value_type = Option<Object>)]
    diagnostics: Option<Json>,
    #[schema(value_type = Option<Value>)]
    container: Option<Json>,
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
    #[serde(deserialize_with = "raw::the_object")]
    schema: Json,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = MessageTool)]
struct ToolBody {
    name: String,
    description: Option<String>,
    #[schema(value_type = Object)]
    #[serde(deserialize_with = "raw::the_object")]
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
        if body.max_tokens.is_none() {
            return Err(ApiError::MissingParameter { param: "max_tokens".to_owned() });
        }
        Self::of(body)
    }

    /// Reads the body of a request to count its tokens: a message without what shapes its answer.
    pub(super) fn read_count(bytes: &[u8]) -> Result<Self, ApiError> {
        let body: Body<'_> = body::parse(bytes)?;
        let answers_alone = [
            ("max_tokens", body.max_tokens.is_some()),
            ("stream", body.stream.is_some()),
            ("temperature", body.temperature.is_some()),
            ("top_p", body.top_p.is_some()),
            ("top_k", body.top_k.is_some()),
            ("stop_sequences", body.stop_sequences.is_some()),
            ("metadata", body.metadata.is_some()),
            ("service_tier", body.service_tier.is_some()),
        ];
        match answers_alone.into_iter().find(|(_, is_given)| *is_given) {
            Some((param, _)) => Err(ApiError::UnknownParameter { param: param.to_owned() }),
            None => Self::of(body),
        }
    }

    fn of(body: Body<'_>) -> Result<Self, ApiError> {
        if body.messages.is_empty() || body.messages.len() > MESSAGES_MAX {
            return Err(ApiError::invalid("messages", format!("must have 1 to {MESSAGES_MAX} messages")));
        }
        if body.max_tokens == Some(0) {
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
        options.hint("speed", body.speed);
        options.hint("diagnostics", body.diagnostics);
        options.want("container", body.container);
        for (param, given) in
            [("user_profile_id", &body.user_profile_id), ("workspace_id", &body.workspace_id)]
        {
            if given.is_some() {
                const WHOSE: &str = "names something in an account of Anthropic's; here the API key says who calls: leave it out";
                return Err(ApiError::invalid(param, WHOSE));
            }
        }
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
        request.max_output_tokens = body.max_tokens;
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
        let ToolBody { name, description, input_schema: parameters } = tool;
        Self::Function(Function { name, description, parameters, strict: false })
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
