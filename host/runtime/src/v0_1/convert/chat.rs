//! Conversations.

use atelier_domain::generation::chat as domain;

use super::{media, other, to_other, usage};
use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::chat_types as wit;

fn role(role: domain::ChatRole) -> wit::Role {
    match role {
        domain::ChatRole::System => wit::Role::System,
        domain::ChatRole::Developer => wit::Role::Developer,
        domain::ChatRole::User => wit::Role::User,
        domain::ChatRole::Assistant => wit::Role::Assistant,
        domain::ChatRole::Tool => wit::Role::Tool,
    }
}

fn part(part: domain::Part, state: &mut CallState) -> wasmtime::Result<wit::Part> {
    Ok(match part {
        domain::Part::Text(text) => wit::Part::Text(text),
        domain::Part::Image(image) => wit::Part::Image(media(image, state)?),
        domain::Part::Audio(audio) => wit::Part::Audio(media(audio, state)?),
        domain::Part::File(file) => wit::Part::File(media(file, state)?),
        domain::Part::ToolCall(call) => {
            let domain::ToolCall { id, name, arguments, signature } = call;
            wit::Part::ToolCall(wit::ToolCall { id, name, arguments, signature })
        }
        domain::Part::ToolResult(result) => {
            let content: wasmtime::Result<Vec<_>> =
                result.content.into_iter().map(|each| tool_content(each, state)).collect();
            let (tool_call_id, is_error) = (result.tool_call_id, result.is_error);
            wit::Part::ToolResult(wit::ToolResult { tool_call_id, content: content?, is_error })
        }
        domain::Part::Thinking(thinking) => {
            wit::Part::Thinking(wit::Thinking { text: thinking.text, signature: thinking.signature })
        }
        domain::Part::Refusal(text) => wit::Part::Refusal(text),
        domain::Part::Other(other) => wit::Part::Other(to_other(other)),
    })
}

fn tool_content(content: domain::ToolContent, state: &mut CallState) -> wasmtime::Result<wit::ToolContent> {
    Ok(match content {
        domain::ToolContent::Text(text) => wit::ToolContent::Text(text),
        domain::ToolContent::Image(image) => wit::ToolContent::Image(media(image, state)?),
        domain::ToolContent::File(file) => wit::ToolContent::File(media(file, state)?),
        domain::ToolContent::Other(other) => wit::ToolContent::Other(to_other(other)),
    })
}

fn tool(tool: domain::Tool) -> wit::Tool {
    match tool {
        domain::Tool::Function(function) => wit::Tool::Function(wit::Function {
            name: function.name,
            description: function.description,
            parameters: Box::<str>::from(function.parameters).into(),
            strict: function.strict,
        }),
        domain::Tool::Other(other) => wit::Tool::Other(to_other(other)),
    }
}

fn message(message: domain::Message, state: &mut CallState) -> wasmtime::Result<wit::Message> {
    let parts: wasmtime::Result<Vec<_>> = message.parts.into_iter().map(|each| part(each, state)).collect();
    Ok(wit::Message { role: role(message.role), parts: parts?, name: message.name })
}

fn format(format: domain::ResponseFormat) -> wit::ResponseFormat {
    match format {
        domain::ResponseFormat::Text => wit::ResponseFormat::Text,
        domain::ResponseFormat::JsonObject => wit::ResponseFormat::JsonObject,
        domain::ResponseFormat::JsonSchema(schema) => wit::ResponseFormat::JsonSchema(wit::JsonSchema {
            name: schema.name,
            description: schema.description,
            schema: Box::<str>::from(schema.schema).into(),
            strict: schema.strict,
        }),
        domain::ResponseFormat::Other(other) => wit::ResponseFormat::Other(to_other(other)),
    }
}

/// A question, with its media in the call's table.
///
/// # Errors
/// The table is full.
pub fn request(request: domain::ChatRequest, state: &mut CallState) -> wasmtime::Result<wit::ChatRequest> {
    let messages: wasmtime::Result<Vec<_>> =
        request.messages.into_iter().map(|each| message(each, state)).collect();
    Ok(wit::ChatRequest {
        model: request.model,
        messages: messages?,
        stream: request.stream,
        tools: request.tools.into_iter().map(tool).collect(),
        tool_choice: match request.tool_choice {
            domain::ToolChoice::Automatic => wit::ToolChoice::Automatic,
            domain::ToolChoice::None => wit::ToolChoice::None,
            domain::ToolChoice::Required => wit::ToolChoice::Required,
            domain::ToolChoice::Named(name) => wit::ToolChoice::Named(name),
        },
        parallel_tool_calls: request.parallel_tool_calls,
        response_format: format(request.response_format),
        max_output_tokens: request.max_output_tokens,
        temperature: request.temperature,
        top_p: request.top_p,
        stop: request.stop,
        seed: request.seed,
        frequency_penalty: request.frequency_penalty,
        presence_penalty: request.presence_penalty,
        top_logprobs: request.top_logprobs,
        reasoning_effort: request.reasoning_effort,
        end_user: request.end_user,
        options: Box::<str>::from(request.options).into(),
    })
}

/// The steps of an answer.
///
/// # Errors
/// One carries malformed JSON.
pub fn events(events: Vec<wit::ChatEvent>) -> Result<Vec<domain::ChatEvent>, String> {
    events.into_iter().map(event).collect()
}

fn event(event: wit::ChatEvent) -> Result<domain::ChatEvent, String> {
    Ok(match event {
        wit::ChatEvent::Started(started) => {
            domain::ChatEvent::Started { id: started.id, model: started.model }
        }
        wit::ChatEvent::Text(text) => domain::ChatEvent::Text(text),
        wit::ChatEvent::Thinking(thinking) => domain::ChatEvent::Thinking(domain::Thinking {
            text: thinking.text,
            signature: thinking.signature,
        }),
        wit::ChatEvent::Refusal(text) => domain::ChatEvent::Refusal(text),
        wit::ChatEvent::ToolCallStart(start) => {
            let wit::ToolCallStart { index, id, name, signature } = start;
            domain::ChatEvent::ToolCallStart { index, id, name, signature }
        }
        wit::ChatEvent::ToolCallDelta(delta) => {
            domain::ChatEvent::ToolCallDelta { index: delta.index, arguments: delta.arguments }
        }
        wit::ChatEvent::Logprobs(tokens) => domain::ChatEvent::Logprobs(logprobs(tokens)),
        wit::ChatEvent::Finished(reason) => domain::ChatEvent::Finished(match reason {
            wit::FinishReason::Stop => domain::FinishReason::Stop,
            wit::FinishReason::Length => domain::FinishReason::Length,
            wit::FinishReason::ToolCalls => domain::FinishReason::ToolCalls,
            wit::FinishReason::ContentFilter => domain::FinishReason::ContentFilter,
            wit::FinishReason::Other(word) => domain::FinishReason::Other(word),
        }),
        wit::ChatEvent::Usage(lines) => domain::ChatEvent::Usage(usage(lines)),
        wit::ChatEvent::Other(unknown) => domain::ChatEvent::Other(other(unknown)?),
    })
}

/// How likely tokens were.
pub fn logprobs(tokens: Vec<wit::TokenLogprob>) -> Vec<domain::TokenLogprob> {
    let top = |top: wit::TopLogprob| domain::TopLogprob {
        token: top.token,
        logprob: top.logprob,
        bytes: top.bytes,
    };
    let token = |token: wit::TokenLogprob| domain::TokenLogprob {
        token: token.token,
        logprob: token.logprob,
        bytes: token.bytes,
        top: token.top.into_iter().map(top).collect(),
    };
    tokens.into_iter().map(token).collect()
}
