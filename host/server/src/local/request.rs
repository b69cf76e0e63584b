//! A chat as the engine takes it.

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::chat::{
    ChatRequest, ChatRole, Message, Part, ResponseFormat, ToolChoice, ToolContent,
};
use atelier_inference as inference;

use super::failure::reported;
use super::options;

/// How a model draws its words where a request does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Usual {
    pub(crate) temperature: f32,
    pub(crate) top_p: f32,
}

/// The engine's request. What the model cannot do is refused, never silently left out.
pub(super) fn engine_request(
    request: ChatRequest,
    usual: Usual,
) -> Result<inference::ChatRequest, ProviderError> {
    let model = &request.model;
    if !request.tools.is_empty() && request.tool_choice != ToolChoice::None {
        return Err(cannot(model, "tools", "tool calls"));
    }
    let format = match request.response_format {
        ResponseFormat::Text => inference::AnswerFormat::Text,
        ResponseFormat::JsonObject => inference::AnswerFormat::JsonObject,
        ResponseFormat::JsonSchema(format) => {
            inference::AnswerFormat::JsonSchema(format.schema.get().to_owned())
        }
        ResponseFormat::Other(_) => return Err(cannot(model, "response_format", "this form of answer")),
    };
    let top_logprobs = match request.top_logprobs.map(u8::try_from).transpose() {
        Ok(top) => top,
        // The engine says how many it tells of.
        Err(_) => Some(u8::MAX),
    };
    let messages = request.messages.into_iter().enumerate();
    let messages =
        messages.map(|(i, message)| engine_message(model, i, message)).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = inference::ChatRequest {
        max_tokens: request.max_output_tokens,
        temperature: request.temperature.map_or(usual.temperature, |value| value as f32),
        top_p: request.top_p.map_or(usual.top_p, |value| value as f32),
        seed: request.seed.map(i64::cast_unsigned),
        stop: request.stop,
        frequency_penalty: request.frequency_penalty.unwrap_or(0.0) as f32,
        presence_penalty: request.presence_penalty.unwrap_or(0.0) as f32,
        top_logprobs,
        format,
        ..inference::ChatRequest::new(messages)
    };
    options::apply(&request.options, &mut wanted)?;
    Ok(wanted)
}

fn engine_message(model: &str, i: usize, message: Message) -> Result<inference::Message, ProviderError> {
    let role = match message.role {
        ChatRole::System | ChatRole::Developer => inference::Role::System,
        ChatRole::User => inference::Role::User,
        ChatRole::Assistant => inference::Role::Assistant,
        ChatRole::Tool => inference::Role::Tool,
    };
    let other_than_text = || cannot(model, &format!("messages[{i}].content"), "anything but text");
    let mut text = String::new();
    for part in message.parts {
        match part {
            Part::Text(piece) | Part::Refusal(piece) => text.push_str(&piece),
            Part::ToolResult(result) => {
                for content in result.content {
                    let ToolContent::Text(piece) = content else { return Err(other_than_text()) };
                    text.push_str(&piece);
                }
            }
            // Another model's thoughts are not this one's.
            Part::Thinking(_) => {}
            Part::Image(_) | Part::Audio(_) | Part::File(_) | Part::ToolCall(_) | Part::Other(_) => {
                return Err(other_than_text());
            }
        }
    }
    Ok(inference::Message::new(role, text))
}

fn cannot(model: &str, param: &str, what: &str) -> ProviderError {
    reported(FailureCode::Unsupported, format!("{model} does not support {what}"), Some(param))
}
