//! The request body, and what it asks of the domain.

use std::borrow::Cow;

use atelier_domain::generation::Json;
use atelier_domain::generation::chat::{
    ChatRequest, Function, JsonSchemaFormat, ResponseFormat, Tool, ToolChoice,
};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::message::MessageBody;
use super::options::Options;
use super::schema::{FormatWord, FunctionWord, ToolChoiceWord};
use crate::http::files::used::{MessagePart, Named};
use crate::http::{ApiError, body, openapi, raw};

const MESSAGES_MAX: usize = 10_000;
const TOOLS_MAX: usize = 512;
const STOP_MAX: usize = 16;
const TOP_LOGPROBS_MAX: u32 = 20;
/// Answers to one question.
const CHOICES_MAX: u32 = 8;

/// A request, understood.
#[derive(Debug)]
pub(super) struct Wanted {
    pub model: String,
    pub request: ChatRequest,
    pub options: Options,
    pub include_usage: bool,
    /// How many answers are wanted.
    pub choices: u32,
    /// Files of the caller's that belong into the messages.
    pub files: Vec<Named<MessagePart>>,
}

/// As OpenAI documents it. It refuses members that it does not know, and so do we.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ChatCompletionRequest)]
pub(super) struct Body<'a> {
    /// `instance/model`, or an alias of the operator's.
    #[serde(borrow)]
    #[schema(value_type = String)]
    model: Cow<'a, str>,
    /// The conversation so far, oldest first.
    #[schema(min_items = 1, max_items = 10000)]
    messages: Vec<MessageBody>,
    /// Answer with events as the text is made.
    stream: Option<bool>,
    /// Only with `stream`.
    stream_options: Option<StreamOptions>,
    /// The older name of `max_completion_tokens`.
    #[schema(minimum = 1)]
    max_tokens: Option<u32>,
    #[schema(minimum = 1)]
    max_completion_tokens: Option<u32>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
    /// How many answers are wanted; one where they are streamed.
    #[schema(minimum = 1, maximum = 8)]
    n: Option<u32>,
    #[schema(inline)]
    stop: Option<Stop>,
    seed: Option<i64>,
    #[schema(minimum = -2, maximum = 2)]
    frequency_penalty: Option<f64>,
    #[schema(minimum = -2, maximum = 2)]
    presence_penalty: Option<f64>,
    logprobs: Option<bool>,
    /// Only with `logprobs`.
    #[schema(maximum = 20)]
    top_logprobs: Option<u32>,
    #[schema(max_items = 512)]
    tools: Option<Vec<ToolBody>>,
    #[schema(inline)]
    tool_choice: Option<ToolChoiceBody>,
    parallel_tool_calls: Option<bool>,
    response_format: Option<ResponseFormatBody>,
    reasoning_effort: Option<String>,
    user: Option<String>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    metadata: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<bool>)]
    #[serde(default, deserialize_with = "raw::flag")]
    store: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    prompt_cache_retention: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    prompt_cache_options: Option<&'a RawValue>,
    safety_identifier: Option<String>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    logit_bias: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    verbosity: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Vec<String>>)]
    #[serde(default, deserialize_with = "raw::texts")]
    modalities: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    audio: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    prediction: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    web_search_options: Option<&'a RawValue>,
    /// As the provider takes it.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    moderation: Option<&'a RawValue>,
    /// Retired and refused: tools took their place.
    #[serde(borrow)]
    #[schema(value_type = Option<Value>, deprecated)]
    functions: Option<&'a RawValue>,
    /// Retired and refused: `tool_choice` took its place.
    #[serde(borrow)]
    #[schema(value_type = Option<Value>, deprecated)]
    function_call: Option<&'a RawValue>,
    /// Ours: provider-specific options by the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatStreamOptions)]
struct StreamOptions {
    /// Send token counts in a last event without choices.
    include_usage: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
enum Stop {
    One(String),
    Many(Vec<String>),
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatTool)]
struct ToolBody {
    #[schema(inline, value_type = FunctionWord)]
    r#type: String,
    #[schema(required, value_type = FunctionBody)]
    function: Option<FunctionBody>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatFunction)]
struct FunctionBody {
    name: String,
    description: Option<String>,
    /// A JSON Schema.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    parameters: Option<Json>,
    strict: Option<bool>,
}

/// `"auto"`, or `{"type": "function", "function": {"name": …}}`; read by hand, since it is one or the other.
#[derive(Deserialize)]
#[serde(untagged)]
enum ToolChoiceBody {
    Word(String),
    Function { function: FunctionName },
}

impl PartialSchema for ToolChoiceBody {
    fn schema() -> RefOr<Schema> {
        openapi::choice([ToolChoiceWord::schema(), openapi::object_with("function", FunctionName::schema())])
    }
}

impl ToSchema for ToolChoiceBody {}

#[derive(Deserialize, ToSchema)]
struct FunctionName {
    name: String,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatResponseFormat)]
struct ResponseFormatBody {
    #[schema(inline, value_type = FormatWord)]
    r#type: String,
    /// Needed by the type `json_schema`.
    json_schema: Option<JsonSchemaBody>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ChatJsonSchema)]
struct JsonSchemaBody {
    name: String,
    description: Option<String>,
    #[schema(required, value_type = Object)]
    #[serde(default, deserialize_with = "raw::object")]
    schema: Option<Json>,
    strict: Option<bool>,
}

impl Wanted {
    /// Reads a body.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let body: Body<'_> = body::parse(bytes)?;
        check(&body)?;
        let options = options(&body);
        let (mut messages, mut files) = (Vec::with_capacity(body.messages.len()), Vec::new());
        for (i, message) in body.messages.into_iter().enumerate() {
            messages.push(message.into_domain(i, &mut files)?);
        }
        let mut request = ChatRequest::new(String::new(), messages);
        request.stream = body.stream.unwrap_or(false);
        request.max_output_tokens = body.max_completion_tokens.or(body.max_tokens);
        request.temperature = body.temperature;
        request.top_p = body.top_p;
        request.seed = body.seed;
        request.frequency_penalty = body.frequency_penalty;
        request.presence_penalty = body.presence_penalty;
        request.parallel_tool_calls = body.parallel_tool_calls;
        request.reasoning_effort = body.reasoning_effort;
        request.end_user = body.safety_identifier.filter(|identifier| !identifier.is_empty()).or(body.user);
        request.top_logprobs = body.logprobs.unwrap_or(false).then_some(body.top_logprobs.unwrap_or(0));
        request.stop = match body.stop {
            None => Vec::new(),
            Some(Stop::One(text)) => vec![text],
            Some(Stop::Many(texts)) => texts,
        };
        if request.stop.len() > STOP_MAX {
            return Err(ApiError::invalid("stop", format!("at most {STOP_MAX} sequences")));
        }
        if let Some(format) = body.response_format {
            request.response_format = response_format(format)?;
        }
        for (i, tool) in body.tools.unwrap_or_default().into_iter().enumerate() {
            request.tools.push(tool.into_domain(i)?);
        }
        if let Some(choice) = body.tool_choice {
            request.tool_choice = tool_choice(choice)?;
        }
        let include_usage = body.stream_options.and_then(|options| options.include_usage).unwrap_or(false);
        let (model, choices) = (body.model.into_owned(), body.n.unwrap_or(1));
        Ok(Self { model, request, options, include_usage, choices, files })
    }
}

/// What can be said of a body without looking further.
fn check(body: &Body<'_>) -> Result<(), ApiError> {
    if body.messages.is_empty() {
        return Err(ApiError::invalid("messages", "at least one message is needed"));
    }
    if body.messages.len() > MESSAGES_MAX {
        return Err(ApiError::invalid("messages", format!("at most {MESSAGES_MAX} messages")));
    }
    if !(1..=CHOICES_MAX).contains(&body.n.unwrap_or(1)) {
        return Err(ApiError::invalid("n", format!("must be from 1 to {CHOICES_MAX}")));
    }
    if body.n.unwrap_or(1) > 1 && body.stream == Some(true) {
        return Err(ApiError::invalid(
            "n",
            "a stream has one answer: leave out `stream`, or send several requests",
        ));
    }
    for (param, given) in [("functions", body.functions), ("function_call", body.function_call)] {
        if given.is_some() {
            return Err(ApiError::invalid(param, "is retired: use `tools` and `tool_choice`"));
        }
    }
    if body.tools.as_ref().is_some_and(|tools| tools.len() > TOOLS_MAX) {
        return Err(ApiError::invalid("tools", format!("at most {TOOLS_MAX} tools")));
    }
    if body.stream_options.is_some() && body.stream != Some(true) {
        return Err(ApiError::invalid("stream_options", "is only allowed with \"stream\": true"));
    }
    if body.top_logprobs.is_some() && body.logprobs != Some(true) {
        return Err(ApiError::invalid("top_logprobs", "is only allowed with \"logprobs\": true"));
    }
    if body.top_logprobs.is_some_and(|top| top > TOP_LOGPROBS_MAX) {
        return Err(ApiError::invalid("top_logprobs", format!("must be from 0 to {TOP_LOGPROBS_MAX}")));
    }
    let within = |param, value: Option<f64>, from: f64, to: f64| match value {
        Some(value) if !(from..=to).contains(&value) => {
            Err(ApiError::invalid(param, format!("must be from {from} to {to}")))
        }
        _ => Ok(()),
    };
    within("temperature", body.temperature, 0.0, 2.0)?;
    within("top_p", body.top_p, 0.0, 1.0)?;
    within("frequency_penalty", body.frequency_penalty, -2.0, 2.0)?;
    within("presence_penalty", body.presence_penalty, -2.0, 2.0)?;
    for (name, tokens) in
        [("max_tokens", body.max_tokens), ("max_completion_tokens", body.max_completion_tokens)]
    {
        if tokens == Some(0) {
            return Err(ApiError::invalid(name, "must be at least 1"));
        }
    }
    Ok(())
}

fn options(body: &Body<'_>) -> Options {
    let mut options = Options::of(body.options.clone());
    for (name, value) in [
        ("logit_bias", body.logit_bias),
        ("verbosity", body.verbosity),
        ("modalities", body.modalities),
        ("audio", body.audio),
        ("prediction", body.prediction),
        ("web_search_options", body.web_search_options),
        ("moderation", body.moderation),
    ] {
        options.want(name, value);
    }
    for (name, value) in [
        ("metadata", body.metadata),
        ("store", body.store),
        ("service_tier", body.service_tier),
        ("prompt_cache_key", body.prompt_cache_key),
        ("prompt_cache_retention", body.prompt_cache_retention),
        ("prompt_cache_options", body.prompt_cache_options),
    ] {
        options.hint(name, value);
    }
    options
}

impl ToolBody {
    fn into_domain(self, i: usize) -> Result<Tool, ApiError> {
        let Some(function) = self.function.filter(|_| self.r#type == "function") else {
            return Err(ApiError::invalid(
                format!("tools[{i}].type"),
                "only tools of the type \"function\" are supported",
            ));
        };
        let no_parameters =
            || serde_json::value::RawValue::from_string("{\"type\":\"object\",\"properties\":{}}".to_owned());
        let parameters = match function.parameters {
            Some(parameters) => parameters,
            None => no_parameters().map_err(|error| ApiError::bug(error.to_string()))?,
        };
        Ok(Tool::Function(Function {
            name: function.name,
            description: function.description,
            parameters,
            strict: function.strict.unwrap_or(false),
        }))
    }
}

fn tool_choice(choice: ToolChoiceBody) -> Result<ToolChoice, ApiError> {
    match choice {
        ToolChoiceBody::Function { function } => Ok(ToolChoice::Named(function.name)),
        ToolChoiceBody::Word(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Automatic),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(ApiError::invalid(
                "tool_choice",
                "must be \"auto\", \"none\", \"required\" or a function's name",
            )),
        },
    }
}

fn response_format(format: ResponseFormatBody) -> Result<ResponseFormat, ApiError> {
    match (format.r#type.as_str(), format.json_schema) {
        ("text", _) => Ok(ResponseFormat::Text),
        ("json_object", _) => Ok(ResponseFormat::JsonObject),
        ("json_schema", Some(JsonSchemaBody { name, description, schema: Some(schema), strict })) => {
            let strict = strict.unwrap_or(false);
            Ok(ResponseFormat::JsonSchema(JsonSchemaFormat { name, description, schema, strict }))
        }
        ("json_schema", _) => {
            Err(ApiError::MissingParameter { param: "response_format.json_schema.schema".to_owned() })
        }
        _ => Err(ApiError::invalid(
            "response_format.type",
            "must be \"text\", \"json_object\" or \"json_schema\"",
        )),
    }
}
