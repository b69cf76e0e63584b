//! The request's body.

use super::part;
use super::thinking::{self, Wish};
use crate::api::Api;
use crate::catalog::known;
use atelier_plugin_sdk::chat::{
    ChatRequest, Function, Message, Part, ResponseFormat, Role, Tool, ToolChoice,
};
use atelier_plugin_sdk::{Failure, json};

/// Fields that the request decides, not its options.
const RESERVED: &[&str] = &[
    "model",
    "max_tokens",
    "system",
    "messages",
    "stream",
    "tools",
    "tool_choice",
    "temperature",
    "top_p",
    "stop_sequences",
    "output_format",
];

/// The body of a message. Blobs stay with the host: the text refers to them.
pub fn message<'r>(api: &Api<'_>, request: &'r ChatRequest) -> Result<json::Text<'r>, Failure> {
    refuse_unknown_fields(request)?;
    let max_tokens = max_tokens(api, request);
    let mut body = json::Text::new();
    body.begin_object().field("model", &request.model).field("max_tokens", &max_tokens);
    write_system(&mut body, &request.messages)?;
    write_turns(&mut body, &request.messages)?;
    if request.stream {
        body.field("stream", &true);
    }
    write_tools(&mut body, request)?;
    let mut reserved = RESERVED.to_vec();
    let wish = thinking::wish(api, request, max_tokens)?;
    write_thinking(&mut body, &wish, &mut reserved);
    write_output_config(&mut body, &wish, &request.response_format, &mut reserved)?;
    // 1 is the default; models that no longer take other values refuse the field.
    body.optional("temperature", request.temperature.filter(|value| *value != 1.0).as_ref())
        .optional("top_p", request.top_p.filter(|value| *value != 1.0).as_ref());
    if !request.stop.is_empty() {
        body.field("stop_sequences", &request.stop);
    }
    if let Some(user) = &request.end_user {
        body.key("metadata").begin_object().field("user_id", user).end_object();
        reserved.push("metadata");
    }
    body.merge(&request.options, &reserved)?.end_object();
    Ok(body)
}

/// The body of a request to count a message's tokens: what goes in, without what shapes the answer.
pub fn count<'r>(api: &Api<'_>, request: &'r ChatRequest) -> Result<json::Text<'r>, Failure> {
    let mut body = json::Text::new();
    body.begin_object().field("model", &request.model);
    write_system(&mut body, &request.messages)?;
    write_turns(&mut body, &request.messages)?;
    write_tools(&mut body, request)?;
    let mut reserved = RESERVED.to_vec();
    let wish = thinking::wish(api, request, max_tokens(api, request))?;
    write_thinking(&mut body, &wish, &mut reserved);
    write_output_config(&mut body, &wish, &request.response_format, &mut reserved)?;
    body.merge(&request.options, &reserved)?.end_object();
    Ok(body)
}

/// What this API has no field for is refused, not dropped.
fn refuse_unknown_fields(request: &ChatRequest) -> Result<(), Failure> {
    let penalty = |value: Option<f64>| value.is_some_and(|value| value != 0.0);
    let given = if request.seed.is_some() {
        "seed"
    } else if penalty(request.frequency_penalty) {
        "frequency_penalty"
    } else if penalty(request.presence_penalty) {
        "presence_penalty"
    } else if request.top_logprobs.is_some() {
        "top_logprobs"
    } else {
        return Ok(());
    };
    Err(Failure::unsupported("this provider has no such field: leave it out").with_param(given))
}

/// The longest answer; the API wants it named.
fn max_tokens(api: &Api<'_>, request: &ChatRequest) -> u32 {
    let limit = || {
        let known = known::find(&request.model)?.limits.output_tokens?;
        u32::try_from(known).ok()
    };
    request.max_output_tokens.or_else(limit).unwrap_or_else(|| api.max_tokens())
}

/// What system and developer say stands apart from the conversation, wherever they said it.
fn write_system(body: &mut json::Text<'_>, messages: &[Message]) -> Result<(), Failure> {
    let mut texts = Vec::new();
    for (index, message) in messages.iter().enumerate().filter(|(_, message)| is_system(message)) {
        for (place, part) in message.parts.iter().enumerate() {
            match part {
                Part::Text(text) if text.is_empty() => {}
                Part::Text(text) => texts.push(text),
                _ => {
                    let failure = Failure::unsupported("this provider takes text alone as instructions");
                    return Err(failure.with_param(path(index, place)));
                }
            }
        }
    }
    match texts.as_slice() {
        [] => {}
        [text] => {
            body.field("system", text);
        }
        texts => {
            body.key("system").begin_array();
            for text in texts {
                body.begin_object().field("type", "text").field("text", text).end_object();
            }
            body.end_array();
        }
    }
    Ok(())
}

fn is_system(message: &Message) -> bool {
    matches!(message.role, Role::System | Role::Developer)
}

fn path(message: usize, part: usize) -> String {
    ["messages.", &message.to_string(), ".parts.", &part.to_string()].concat()
}

/// The turns of user and assistant. What one says in several messages is one turn, so that the results of parallel tool calls
/// stand together, as the API wants them.
fn write_turns<'r>(body: &mut json::Text<'r>, messages: &'r [Message]) -> Result<(), Failure> {
    body.key("messages").begin_array();
    let mut open = None;
    for (index, message) in messages.iter().enumerate().filter(|(_, message)| !is_system(message)) {
        if !message.parts.iter().any(part::is_said) {
            continue;
        }
        let role = if message.role == Role::Assistant { "assistant" } else { "user" };
        if open != Some(role) {
            if open.is_some() {
                body.end_array().end_object();
            }
            body.begin_object().field("role", role).key("content").begin_array();
            open = Some(role);
        }
        // Results come before what the user says to them.
        for results in [true, false] {
            for (place, part) in message.parts.iter().enumerate() {
                if matches!(part, Part::ToolResult(_)) == results && part::is_said(part) {
                    part::write(body, part).map_err(|failure| located(failure, index, place))?;
                }
            }
        }
    }
    if open.is_some() {
        body.end_array().end_object();
    }
    body.end_array();
    Ok(())
}

/// A failure within one part, its field named from the root of the request.
fn located(mut failure: Failure, message: usize, part: usize) -> Failure {
    let place = path(message, part);
    let path = match failure.param.take() {
        Some(within) => [&place, ".", &within].concat(),
        None => place,
    };
    failure.with_param(path)
}

fn write_tools(body: &mut json::Text<'_>, request: &ChatRequest) -> Result<(), Failure> {
    if request.tools.is_empty() {
        return Ok(());
    }
    body.key("tools").begin_array();
    for (index, tool) in request.tools.iter().enumerate() {
        match tool {
            Tool::Function(Function { name, description, parameters, strict }) => {
                body.begin_object().field("name", name).optional("description", description.as_ref());
                body.key("input_schema").raw(parameters);
                if *strict {
                    body.field("strict", &true);
                }
                body.end_object();
            }
            // One that runs at the provider.
            Tool::Other(other) if other.kind.starts_with("anthropic.") => {
                body.raw(&other.json);
            }
            Tool::Other(other) => {
                let message = ["there is no tool of the kind ", &other.kind, " at this provider"].concat();
                let path = ["tools.", &index.to_string()].concat();
                return Err(Failure::unsupported(message).with_param(path));
            }
        }
    }
    body.end_array();
    let one_at_a_time = request.parallel_tool_calls == Some(false);
    let (kind, name) = match &request.tool_choice {
        ToolChoice::Automatic if !one_at_a_time => return Ok(()),
        ToolChoice::Automatic => ("auto", None),
        ToolChoice::None => ("none", None),
        ToolChoice::Required => ("any", None),
        ToolChoice::Named(name) => ("tool", Some(name)),
    };
    body.key("tool_choice").begin_object().field("type", kind).optional("name", name);
    if one_at_a_time && kind != "none" {
        body.field("disable_parallel_tool_use", &true);
    }
    body.end_object();
    Ok(())
}

fn write_thinking(body: &mut json::Text<'_>, wish: &Wish<'_>, reserved: &mut Vec<&str>) {
    match wish {
        Wish::Default => return,
        Wish::Off => body.key("thinking").raw(r#"{"type":"disabled"}"#),
        // Newer models leave the text out unless it is asked for.
        Wish::Effort(_) => body.key("thinking").raw(r#"{"type":"adaptive","display":"summarized"}"#),
        Wish::Budget(tokens) => {
            body.key("thinking").begin_object().field("type", "enabled");
            body.field("budget_tokens", tokens).end_object()
        }
    };
    reserved.push("thinking");
}

/// Effort, and the schema that an answer must follow
/// (<https://platform.claude.com/docs/en/build-with-claude/structured-outputs>).
fn write_output_config(
    body: &mut json::Text<'_>,
    wish: &Wish<'_>,
    format: &ResponseFormat,
    reserved: &mut Vec<&str>,
) -> Result<(), Failure> {
    let effort = match wish {
        Wish::Effort(effort) => Some(effort),
        _ => None,
    };
    let schema = match format {
        ResponseFormat::Text => None,
        ResponseFormat::JsonObject => {
            let message = "this provider answers in JSON by a schema only: give one";
            return Err(Failure::unsupported(message).with_param("response_format"));
        }
        ResponseFormat::JsonSchema(schema) => Some(&schema.schema),
        ResponseFormat::Other(other) => {
            let message = ["there is no answer of the kind ", &other.kind, " at this provider"].concat();
            return Err(Failure::unsupported(message).with_param("response_format"));
        }
    };
    if effort.is_none() && schema.is_none() {
        return Ok(());
    }
    body.key("output_config").begin_object().optional("effort", effort);
    if let Some(schema) = schema {
        body.key("format").begin_object().field("type", "json_schema").key("schema").raw(schema).end_object();
    }
    body.end_object();
    reserved.push("output_config");
    Ok(())
}

#[cfg(test)]
pub mod tests;
