//! The request body, and what it asks of the domain.

use atelier_domain::generation::Json;
use atelier_domain::generation::chat::{
    ChatRequest, ChatRole, Function, JsonSchemaFormat, Message, Part, ResponseFormat, Tool, ToolChoice,
};
use atelier_domain::id::ResponseId;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::item::Item;
use super::{items, optional_response_id};
use crate::http::chat_completions::options::Options;
use crate::http::chat_completions::schema::{FormatWord, FunctionWord, ToolChoiceWord};
use crate::http::files::used::{MessagePart, Named};
use crate::http::openapi::{self, null, words};
use crate::http::text_or_parts::TextOrParts;
use crate::http::{ApiError, body, raw};

pub(super) const ITEMS_MAX: usize = 10_000;

/// A request, understood.
#[derive(Debug)]
pub(super) struct Wanted {
    pub model: String,
    pub request: ChatRequest,
    pub options: Options,
    pub echo: Echo,
    /// Files of the caller's that belong into the messages.
    pub files: Vec<Named<MessagePart>>,
    /// The answer that it goes on from.
    pub previous: Option<ResponseId>,
    /// The items of the input as they are kept; `None`: nothing is to be kept.
    pub kept: Option<Vec<String>>,
}

/// What an answer says again.
#[derive(Debug, Default)]
pub(super) struct Echo {
    pub instructions: Option<String>,
    pub max_output_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
    pub parallel_tool_calls: bool,
    pub metadata: Option<Json>,
    pub tools: Option<Json>,
    pub tool_choice: Option<Json>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ResponseRequest)]
pub(super) struct Body<'a> {
    /// `instance/model`, or an alias of the operator's.
    model: String,
    #[schema(inline)]
    input: Input,
    /// Goes before the conversation.
    instructions: Option<String>,
    stream: Option<bool>,
    max_output_tokens: Option<u32>,
    temperature: Option<f64>,
    top_p: Option<f64>,
    #[schema(value_type = Option<Vec<ToolBody>>)]
    tools: Option<Json>,
    #[schema(inline, value_type = Option<ToolChoiceBody>)]
    tool_choice: Option<Json>,
    parallel_tool_calls: Option<bool>,
    text: Option<TextBody>,
    reasoning: Option<ReasoningBody>,
    top_logprobs: Option<u32>,
    user: Option<String>,
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    metadata: Option<Json>,
    /// A kept answer of yours: what was said up to it goes before `input`. Its `instructions` do not.
    #[schema(schema_with = optional_response_id)]
    previous_response_id: Option<String>,
    /// Only `false`.
    background: Option<bool>,
    /// There are none here: send `previous_response_id`, or the whole conversation.
    #[schema(schema_with = null)]
    conversation: Option<Json>,
    /// Whether the answer is kept, to be read and gone on from; so it is if this is not sent, where the operator keeps answers.
    store: Option<bool>,
    /// Nothing of what it names is left out.
    #[serde(rename = "include")]
    _include: Option<Vec<String>>,
    /// Only `disabled`: the conversation is passed on whole.
    #[schema(inline, value_type = Option<DisabledWord>)]
    truncation: Option<String>,
    /// How events are padded.
    #[serde(rename = "stream_options")]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    _stream_options: Option<Json>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    service_tier: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    prompt_cache_key: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    prompt_cache_options: Option<&'a RawValue>,
    #[serde(borrow)]
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    prompt_cache_retention: Option<&'a RawValue>,
    /// As the provider takes it.
    #[serde(borrow)]
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    moderation: Option<&'a RawValue>,
    safety_identifier: Option<String>,
    /// Bounds calls of the provider's own tools, of which none are offered here.
    #[serde(rename = "max_tool_calls")]
    _max_tool_calls: Option<u64>,
    /// Refused, as is each of the next four, with what to do instead.
    #[schema(value_type = Option<Value>)]
    access_programs: Option<Json>,
    #[schema(value_type = Option<Value>)]
    background_options: Option<Json>,
    #[schema(value_type = Option<Value>)]
    context_management: Option<Json>,
    #[schema(value_type = Option<Value>)]
    image: Option<Json>,
    #[schema(value_type = Option<Value>)]
    prompt: Option<Json>,
    /// Ours: provider-specific options by the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged, from = "TextOrParts<Item>")]
enum Input {
    Text(String),
    Items(Vec<Item>),
}

impl From<TextOrParts<Item>> for Input {
    fn from(input: TextOrParts<Item>) -> Self {
        match input {
            TextOrParts::Text(text) => Self::Text(text),
            TextOrParts::Parts(items) => Self::Items(items),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ResponseText)]
struct TextBody {
    format: Option<FormatBody>,
    #[schema(value_type = Option<String>)]
    #[serde(default, deserialize_with = "raw::text")]
    verbosity: Option<Json>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ResponseTextFormat)]
struct FormatBody {
    #[schema(inline, value_type = FormatWord)]
    r#type: String,
    /// Needed by the type `json_schema`.
    name: Option<String>,
    description: Option<String>,
    /// Needed by the type `json_schema`.
    #[schema(value_type = Option<Object>)]
    #[serde(default, deserialize_with = "raw::object")]
    schema: Option<Json>,
    strict: Option<bool>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ResponseReasoning)]
struct ReasoningBody {
    effort: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ResponseTool)]
struct ToolBody {
    #[schema(inline, value_type = FunctionWord)]
    r#type: String,
    #[schema(required, value_type = String)]
    name: Option<String>,
    description: Option<String>,
    /// A JSON Schema.
    #[schema(required, value_type = Object)]
    #[serde(default, deserialize_with = "raw::object")]
    parameters: Option<Json>,
    strict: Option<bool>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ToolChoiceBody {
    Word(String),
    Function { name: String },
}

impl PartialSchema for ToolChoiceBody {
    fn schema() -> RefOr<Schema> {
        openapi::choice([ToolChoiceWord::schema(), openapi::object_with("name", String::schema())])
    }
}

impl ToSchema for ToolChoiceBody {}

words! {
    DisabledWord: "disabled";
}

impl Wanted {
    /// Reads a body.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ApiError> {
        let body: Body<'_> = body::parse(bytes)?;
        refuse_state(&body)?;
        let previous = body.previous_response_id.as_deref().map(super::read).transpose()?;
        let kept = match body.store {
            Some(false) => None,
            Some(true) | None => Some(items::kept(bytes)?),
        };
        let mut options = Options::of(body.options);
        options.hint("service_tier", body.service_tier);
        options.hint("prompt_cache_key", body.prompt_cache_key);
        options.hint("prompt_cache_options", body.prompt_cache_options);
        options.hint("prompt_cache_retention", body.prompt_cache_retention);
        options.want("moderation", body.moderation);
        options.hint("metadata", body.metadata.as_deref());
        let (mut messages, mut files) = (Vec::new(), Vec::new());
        if let Some(instructions) = &body.instructions {
            messages.push(said(ChatRole::System, instructions.clone()));
        }
        match body.input {
            Input::Text(text) => messages.push(said(ChatRole::User, text)),
            Input::Items(items) if items.len() > ITEMS_MAX => {
                return Err(ApiError::invalid("input", format!("at most {ITEMS_MAX} items")));
            }
            Input::Items(items) => {
                for (i, item) in items.into_iter().enumerate() {
                    let place = messages.len();
                    messages.extend(item.into_domain(&format!("input[{i}]"), place, &mut files)?);
                }
            }
        }
        if messages.is_empty() {
            return Err(ApiError::invalid("input", "must not be empty"));
        }
        let mut request = ChatRequest::new(String::new(), messages);
        request.stream = body.stream.unwrap_or(false);
        request.max_output_tokens = body.max_output_tokens;
        request.temperature = body.temperature;
        request.top_p = body.top_p;
        request.parallel_tool_calls = body.parallel_tool_calls;
        request.top_logprobs = body.top_logprobs;
        request.reasoning_effort = body.reasoning.and_then(|reasoning| reasoning.effort);
        request.end_user = body.safety_identifier.filter(|identifier| !identifier.is_empty()).or(body.user);
        request.tools = tools(body.tools.as_deref())?;
        request.tool_choice = tool_choice(body.tool_choice.as_deref())?;
        if let Some(text) = body.text {
            options.want("verbosity", text.verbosity.as_deref());
            request.response_format = text.format.map(format).transpose()?.unwrap_or_default();
        }
        let echo = Echo {
            instructions: body.instructions,
            max_output_tokens: body.max_output_tokens,
            temperature: body.temperature,
            top_p: body.top_p,
            parallel_tool_calls: body.parallel_tool_calls.unwrap_or(true),
            metadata: body.metadata,
            tools: body.tools,
            tool_choice: body.tool_choice,
        };
        Ok(Self { model: body.model, request, options, echo, files, previous, kept })
    }
}

fn said(role: ChatRole, text: String) -> Message {
    Message { role, parts: vec![Part::Text(text)], name: None }
}

/// What would need answers to be kept.
fn refuse_state(body: &Body<'_>) -> Result<(), ApiError> {
    if body.conversation.is_some() {
        let message =
            "there are none here: send `previous_response_id`, or the whole conversation as `input`";
        return Err(ApiError::invalid("conversation", message));
    }
    let elsewhere = [
        ("access_programs", &body.access_programs, "belongs to an account of OpenAI's: leave it out"),
        (
            "background_options",
            &body.background_options,
            "answers are not made in the background: leave it out",
        ),
        (
            "context_management",
            &body.context_management,
            "the conversation is passed on whole: shorten it yourself",
        ),
        ("image", &body.image, "images are passed on as they are: leave it out"),
        ("prompt", &body.prompt, "prompts kept at OpenAI are not known here: send the text as `input`"),
    ];
    if let Some((param, _, why)) = elsewhere.into_iter().find(|(_, given, _)| given.is_some()) {
        return Err(ApiError::invalid(param, why));
    }
    if body.background == Some(true) {
        return Err(ApiError::invalid("background", "is not supported"));
    }
    if body.truncation.as_ref().is_some_and(|truncation| truncation != "disabled") {
        return Err(ApiError::invalid("truncation", "only \"disabled\" is supported"));
    }
    Ok(())
}

fn tools(json: Option<&RawValue>) -> Result<Vec<Tool>, ApiError> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let bodies: Vec<ToolBody> =
        serde_json::from_str(json.get()).map_err(|error| ApiError::invalid("tools", error.to_string()))?;
    let read = bodies.into_iter().enumerate().map(|(i, tool)| {
        match (tool.r#type.as_str(), tool.name, tool.parameters) {
            ("function", Some(name), Some(parameters)) => Ok(Tool::Function(Function {
                name,
                description: tool.description,
                parameters,
                strict: tool.strict.unwrap_or(false),
            })),
            ("function", None, _) => Err(ApiError::MissingParameter { param: format!("tools[{i}].name") }),
            ("function", _, None) => {
                Err(ApiError::MissingParameter { param: format!("tools[{i}].parameters") })
            }
            _ => Err(ApiError::invalid(
                format!("tools[{i}].type"),
                "only tools of the type \"function\" are supported",
            )),
        }
    });
    read.collect()
}

fn tool_choice(json: Option<&RawValue>) -> Result<ToolChoice, ApiError> {
    let Some(json) = json else { return Ok(ToolChoice::Automatic) };
    let invalid =
        || ApiError::invalid("tool_choice", "must be \"auto\", \"none\", \"required\" or a function");
    match serde_json::from_str(json.get()).map_err(|_| invalid())? {
        ToolChoiceBody::Function { name } => Ok(ToolChoice::Named(name)),
        ToolChoiceBody::Word(word) => match word.as_str() {
            "auto" => Ok(ToolChoice::Automatic),
            "none" => Ok(ToolChoice::None),
            "required" => Ok(ToolChoice::Required),
            _ => Err(invalid()),
        },
    }
}

fn format(format: FormatBody) -> Result<ResponseFormat, ApiError> {
    match (format.r#type.as_str(), format.name, format.schema) {
        ("text", _, _) => Ok(ResponseFormat::Text),
        ("json_object", _, _) => Ok(ResponseFormat::JsonObject),
        ("json_schema", Some(name), Some(schema)) => Ok(ResponseFormat::JsonSchema(JsonSchemaFormat {
            name,
            description: format.description,
            schema,
            strict: format.strict.unwrap_or(false),
        })),
        ("json_schema", None, _) => Err(ApiError::MissingParameter { param: "text.format.name".to_owned() }),
        ("json_schema", _, None) => {
            Err(ApiError::MissingParameter { param: "text.format.schema".to_owned() })
        }
        _ => {
            Err(ApiError::invalid("text.format.type", "must be \"text\", \"json_object\" or \"json_schema\""))
        }
    }
}
