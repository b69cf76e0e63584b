//! The request's body.

use crate::api::Api;
use atelier_plugin_sdk::chat::{
    ChatRequest, Function, Message, Part, ResponseFormat, Role, Tool, ToolCall, ToolChoice, ToolContent,
    ToolResult,
};
use atelier_plugin_sdk::{Failure, Media, MediaSource, Other, json};

/// Fields that the request decides, not its options.
const RESERVED: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "tools",
    "tool_choice",
    "functions",
    "function_call",
    "parallel_tool_calls",
    "response_format",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "logprobs",
    "top_logprobs",
    "reasoning_effort",
    "user",
    "safety_identifier",
    "n",
];

/// A chat completion's body. Blobs stay with the host: the text refers to them.
pub fn completion<'r>(api: &Api<'_>, request: &'r ChatRequest) -> Result<json::Text<'r>, Failure> {
    let mut body = json::Text::new();
    body.begin_object().field("model", &request.model).key("messages").begin_array();
    for (index, message) in request.messages.iter().enumerate() {
        write_message(api, &mut body, message).map_err(|failure| located(failure, index))?;
    }
    body.end_array();
    if request.stream {
        body.field("stream", &true);
        if api.stream_usage() {
            body.key("stream_options").raw(r#"{"include_usage":true}"#);
        }
    }
    write_tools(&mut body, request)?;
    write_format(&mut body, &request.response_format)?;
    body.optional(api.max_tokens_field(), request.max_output_tokens.as_ref())
        .optional("temperature", request.temperature.as_ref())
        .optional("top_p", request.top_p.as_ref())
        .optional("seed", request.seed.as_ref())
        .optional("frequency_penalty", request.frequency_penalty.as_ref())
        .optional("presence_penalty", request.presence_penalty.as_ref())
        .optional("reasoning_effort", request.reasoning_effort.as_ref())
        .optional(if api.official { "safety_identifier" } else { "user" }, request.end_user.as_ref());
    if !request.stop.is_empty() {
        body.field("stop", &request.stop);
    }
    if let Some(top) = request.top_logprobs {
        body.field("logprobs", &true).field("top_logprobs", &top);
    }
    body.merge(&request.options, RESERVED)?.end_object();
    Ok(body)
}

/// A failure within one message, its field named from the root of the request.
fn located(mut failure: Failure, index: usize) -> Failure {
    let within = failure.param.take().unwrap_or_default();
    failure.with_param(["messages.", &index.to_string(), ".", &within].concat())
}

fn write_message<'r>(api: &Api<'_>, body: &mut json::Text<'r>, message: &'r Message) -> Result<(), Failure> {
    let mut has_content = false;
    let mut has_calls = false;
    for part in &message.parts {
        match part {
            // Each result is a message of its own, before what the user says to it.
            Part::ToolResult(result) => {
                body.begin_object().field("role", "tool").field("tool_call_id", &result.tool_call_id);
                write_result(body, result)?;
                body.end_object();
            }
            Part::ToolCall(_) => has_calls = true,
            // Chat completions take no thinking back.
            Part::Thinking(_) => {}
            _ => has_content = true,
        }
    }
    if message.role == Role::Tool && (has_content || has_calls) {
        return Err(Failure::invalid("parts", "a message of the role `tool` holds tool results only"));
    }
    if message.role == Role::Tool
        || (!has_content && message.parts.iter().any(|part| matches!(part, Part::ToolResult(_))))
    {
        return Ok(());
    }
    body.begin_object()
        .field("role", role(api, message.role))
        .optional("name", message.name.as_ref())
        .key("content");
    match message.parts.as_slice() {
        [] => body.value(""),
        [Part::Text(text)] => body.value(text),
        _ if !has_content => body.value(&None::<()>),
        parts => write_parts(body, parts)?,
    };
    if has_calls {
        body.key("tool_calls").begin_array();
        for part in &message.parts {
            if let Part::ToolCall(call) = part {
                write_call(body, call);
            }
        }
        body.end_array();
    }
    body.end_object();
    Ok(())
}

/// The word for a role. Compatible servers rarely know `developer`.
fn role(api: &Api<'_>, role: Role) -> &'static str {
    match role {
        Role::Developer if api.official => "developer",
        Role::System | Role::Developer => "system",
        Role::User => "user",
        Role::Assistant => "assistant",
        Role::Tool => "tool",
    }
}

fn write_parts<'b, 'r>(
    body: &'b mut json::Text<'r>,
    parts: &'r [Part],
) -> Result<&'b mut json::Text<'r>, Failure> {
    body.begin_array();
    for (index, part) in parts.iter().enumerate() {
        let path = |failure: Failure| failure.with_param(["parts.", &index.to_string()].concat());
        match part {
            Part::Text(text) => {
                body.begin_object().field("type", "text").field("text", text).end_object();
            }
            Part::Refusal(text) => {
                body.begin_object().field("type", "refusal").field("refusal", text).end_object();
            }
            Part::Image(media) => write_image(body, media),
            Part::Audio(media) => write_audio(body, media).map_err(path)?,
            Part::File(media) => write_file(body, media).map_err(path)?,
            Part::Other(other) if other.kind.starts_with("openai.") => {
                body.raw(&other.json);
            }
            Part::Other(other) => {
                return Err(path(foreign("content", other)));
            }
            Part::ToolCall(_) | Part::ToolResult(_) | Part::Thinking(_) => {}
        }
    }
    Ok(body.end_array())
}

fn write_image<'r>(body: &mut json::Text<'r>, media: &'r Media) {
    body.begin_object().field("type", "image_url").key("image_url").begin_object().key("url");
    match &media.source {
        MediaSource::Url(url) => body.value(url),
        MediaSource::Blob(blob) => body.data_url(&content_type(media), blob),
    };
    body.optional("detail", media.attribute("detail")).end_object().end_object();
}

fn write_audio<'r>(body: &mut json::Text<'r>, media: &'r Media) -> Result<(), Failure> {
    let MediaSource::Blob(blob) = &media.source else {
        return Err(Failure::unsupported(
            "this provider takes audio as data only: upload it instead of giving its URL",
        ));
    };
    let kind = content_type(media);
    let format = match kind.as_str() {
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        "audio/mpeg" | "audio/mp3" => "mp3",
        _ => {
            return Err(Failure::unsupported(
                ["this provider takes wav and mp3 audio, not ", &kind].concat(),
            ));
        }
    };
    body.begin_object()
        .field("type", "input_audio")
        .key("input_audio")
        .begin_object()
        .key("data")
        .base64(blob);
    body.field("format", format).end_object().end_object();
    Ok(())
}

fn write_file<'r>(body: &mut json::Text<'r>, media: &'r Media) -> Result<(), Failure> {
    let MediaSource::Blob(blob) = &media.source else {
        return Err(Failure::unsupported(
            "this provider takes files as data only: upload it instead of giving its URL",
        ));
    };
    body.begin_object().field("type", "file").key("file").begin_object();
    body.field("filename", media.name.as_deref().unwrap_or("file"));
    body.key("file_data").data_url(&content_type(media), blob).end_object().end_object();
    Ok(())
}

/// The media type found by content, or the blob's own.
fn content_type(media: &Media) -> String {
    match (&media.content_type, &media.source) {
        (Some(content_type), _) => content_type.clone(),
        (None, MediaSource::Blob(blob)) => blob.content_type(),
        (None, MediaSource::Url(_)) => "application/octet-stream".to_owned(),
    }
}

fn write_call(body: &mut json::Text<'_>, call: &ToolCall) {
    body.begin_object().field("id", &call.id).field("type", "function").key("function").begin_object();
    body.field("name", &call.name).field("arguments", &call.arguments).end_object();
    if let Some(signature) = &call.signature {
        body.key("extra_content").begin_object().key("google").begin_object();
        body.field("thought_signature", signature).end_object().end_object();
    }
    body.end_object();
}

/// What a tool answered: text is all that this API takes from tools.
fn write_result<'r>(body: &mut json::Text<'r>, result: &'r ToolResult) -> Result<(), Failure> {
    body.key("content");
    match result.content.as_slice() {
        [] => body.value(""),
        [ToolContent::Text(text)] => body.value(text),
        pieces => {
            body.begin_array();
            for (index, piece) in pieces.iter().enumerate() {
                let ToolContent::Text(text) = piece else {
                    let message = "this provider takes text alone from tools: say it in a user's message";
                    let path = ["content.", &index.to_string()].concat();
                    return Err(Failure::unsupported(message).with_param(path));
                };
                body.begin_object().field("type", "text").field("text", text).end_object();
            }
            body.end_array()
        }
    };
    Ok(())
}

fn write_tools(body: &mut json::Text<'_>, request: &ChatRequest) -> Result<(), Failure> {
    if request.tools.is_empty() {
        return Ok(());
    }
    body.key("tools").begin_array();
    for (index, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function(Function { name, description, parameters, strict }) => {
                body.begin_object().field("type", "function").key("function").begin_object();
                body.field("name", name).optional("description", description.as_ref());
                body.key("parameters").raw(parameters);
                if *strict {
                    body.field("strict", &true);
                }
                body.end_object().end_object();
            }
            Tool::Other(other) if other.kind.starts_with("openai.") => {
                body.raw(&other.json);
            }
            Tool::Other(other) => {
                return Err(foreign("tool", other).with_param(["tools.", &index.to_string()].concat()));
            }
        }
    }
    body.end_array();
    match &request.tool_choice {
        ToolChoice::Automatic => {}
        ToolChoice::None => {
            body.field("tool_choice", "none");
        }
        ToolChoice::Required => {
            body.field("tool_choice", "required");
        }
        ToolChoice::Named(name) => {
            body.key("tool_choice").begin_object().field("type", "function").key("function").begin_object();
            body.field("name", name).end_object().end_object();
        }
    }
    body.optional("parallel_tool_calls", request.parallel_tool_calls.as_ref());
    Ok(())
}

/// Something in the shape of another API.
fn foreign(what: &str, other: &Other) -> Failure {
    Failure::unsupported(["there is no ", what, " of the kind ", &other.kind, " at this provider"].concat())
}

fn write_format(body: &mut json::Text<'_>, format: &ResponseFormat) -> Result<(), Failure> {
    match format {
        ResponseFormat::Text => {}
        ResponseFormat::JsonObject => {
            body.key("response_format").raw(r#"{"type":"json_object"}"#);
        }
        ResponseFormat::JsonSchema(schema) => {
            body.key("response_format")
                .begin_object()
                .field("type", "json_schema")
                .key("json_schema")
                .begin_object();
            body.field("name", &schema.name).optional("description", schema.description.as_ref());
            body.key("schema").raw(&schema.schema).field("strict", &schema.strict).end_object().end_object();
        }
        ResponseFormat::Other(other) if other.kind.starts_with("openai.") => {
            body.key("response_format").raw(&other.json);
        }
        ResponseFormat::Other(other) => {
            return Err(foreign("answer", other).with_param("response_format"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
