//! What a conversation will take, before it is sent: the provider's own count where it has one, else an estimate.
//!
//! The estimate is a rule of thumb, meant to be on the high side for English: a token for every four bytes of text (names, arguments
//! and schemas of tools included), four for the frame of each message and tool, and 1,600 for an image, which is what one of about
//! 1,100 by 1,100 pixels takes at the providers that publish a rule. Other files count by their size, since they may be text.

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatRequest, Message, Part, Tool, ToolContent};
use atelier_domain::generation::{Media, MediaSource};

use super::{Generations, context};
use crate::ServiceError;
use crate::caller::Caller;
use crate::own_keys;
use crate::registry::Resolved;

pub(super) const BYTES_PER_TOKEN: u64 = 4;
const FRAME_TOKENS: u64 = 4;
pub(super) const IMAGE_TOKENS: u64 = 1_600;

impl Generations {
    /// Input tokens of a conversation with its tools.
    ///
    /// # Errors
    /// A text or an option is refused, or the provider that counts failed.
    pub async fn count_tokens(
        &self,
        caller: &Caller,
        resolved: Resolved,
        mut request: ChatRequest,
    ) -> Result<u64, ServiceError> {
        super::check_conversation(&request)?;
        resolved.model.options().check(&request.options)?;
        request.model.clone_from(&resolved.model.info.id);
        let estimated = estimate(&request);
        let counted = resolved.provider.count_tokens(context(caller, self.budget.other), request);
        match counted.await {
            Ok(tokens) => Ok(tokens),
            Err(ProviderError::Unsupported { .. }) => Ok(estimated),
            Err(error) => Err(own_keys::failed(error, &resolved.model)),
        }
    }
}

/// What a conversation is likely to take.
pub(super) fn estimate(request: &ChatRequest) -> u64 {
    let messages: u64 = request.messages.iter().map(of_message).sum();
    let tools: u64 = request.tools.iter().map(of_tool).sum();
    messages + tools
}

fn of_message(message: &Message) -> u64 {
    FRAME_TOKENS + message.parts.iter().map(of_part).sum::<u64>()
}

fn of_part(part: &Part) -> u64 {
    match part {
        Part::Text(text) | Part::Refusal(text) => of_text(text),
        Part::Thinking(thinking) => of_text(&thinking.text),
        Part::Image(_) => IMAGE_TOKENS,
        Part::Audio(media) | Part::File(media) => of_media(media),
        Part::ToolCall(call) => FRAME_TOKENS + of_text(&call.name) + of_text(&call.arguments),
        Part::ToolResult(result) => {
            let content = result.content.iter().map(|content| match content {
                ToolContent::Text(text) => of_text(text),
                ToolContent::Image(_) => IMAGE_TOKENS,
                ToolContent::File(media) => of_media(media),
                ToolContent::Other(other) => of_text(other.json.get()),
            });
            FRAME_TOKENS + content.sum::<u64>()
        }
        Part::Other(other) => of_text(other.json.get()),
    }
}

fn of_tool(tool: &Tool) -> u64 {
    match tool {
        Tool::Function(function) => {
            let described = function.description.as_deref().map_or(0, of_text);
            FRAME_TOKENS + of_text(&function.name) + described + of_text(function.parameters.get())
        }
        Tool::Other(other) => FRAME_TOKENS + of_text(other.json.get()),
    }
}

fn of_text(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_PER_TOKEN)
}

fn of_media(media: &Media) -> u64 {
    match &media.source {
        MediaSource::Blob(blob) => blob.size.div_ceil(BYTES_PER_TOKEN),
        // Nobody looks behind an address before the request is sent.
        MediaSource::Url(_) => IMAGE_TOKENS,
    }
}

#[cfg(test)]
mod tests {
    use atelier_domain::generation::chat::ChatRole;

    use super::*;

    #[test]
    fn an_estimate_grows_with_texts_images_and_tools() {
        let message = |parts| Message { role: ChatRole::User, parts, name: None };
        let text = Part::Text("How are you today?".to_owned());
        let mut request = ChatRequest::new("m", vec![message(vec![text])]);
        assert_eq!(estimate(&request), 4 + 5);
        let picture = Media::new(MediaSource::Url("https://x.example/a.png".to_owned()), None);
        request.messages.push(message(vec![Part::Image(picture)]));
        assert_eq!(estimate(&request), 9 + 4 + 1_600);
    }
}
