//! The events of a chat folded into one answer.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::generation::Other;
use atelier_domain::generation::chat::{ChatEvent, FinishReason, TokenLogprob, ToolCall};
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use futures::StreamExt;

use super::Live;
use crate::ServiceError;
use crate::registry::ModelEntry;

/// Tool calls in one answer.
const TOOL_CALLS_MAX: u32 = 1024;

/// A whole chat answer.
#[derive(Debug, Default)]
pub struct ChatAnswer {
    /// The provider's id of the answer; empty if it has none.
    pub id: String,
    pub text: String,
    pub thinking: String,
    pub thinking_signature: Option<String>,
    pub refusal: String,
    pub tool_calls: Vec<ToolCall>,
    pub logprobs: Vec<TokenLogprob>,
    pub finish: Option<FinishReason>,
    pub usage: Vec<UsageLine>,
    pub other: Vec<Other>,
    /// How long the provider took.
    pub provider_time: Duration,
    /// Who answered; set once it was read.
    pub model: Option<Arc<ModelEntry>>,
}

impl ChatAnswer {
    /// Reads a call to its end.
    ///
    /// # Errors
    /// The provider's failure, or its answer had no end.
    pub async fn read(mut live: Live<ChatEvent>) -> Result<Self, ServiceError> {
        let mut answer = Self::default();
        while let Some(batch) = live.next().await {
            for event in batch? {
                answer.add(event)?;
            }
        }
        answer.provider_time = live.elapsed();
        answer.model = Some(live.model.clone());
        Ok(answer)
    }

    /// `instance/model` of who answered.
    pub fn model_id(&self) -> &str {
        self.model.as_ref().map_or("", |model| model.id.as_str())
    }

    /// Its token counts, if the provider reported any usage.
    pub fn tokens(&self) -> Option<TokenTotals> {
        (!self.usage.is_empty()).then(|| TokenTotals::of(&self.usage))
    }

    fn add(&mut self, event: ChatEvent) -> Result<(), ServiceError> {
        match event {
            ChatEvent::Started { id, .. } => self.id = id,
            ChatEvent::Text(text) => append(&mut self.text, text),
            ChatEvent::Thinking(thinking) => {
                append(&mut self.thinking, thinking.text);
                if thinking.signature.is_some() {
                    self.thinking_signature = thinking.signature;
                }
            }
            ChatEvent::Refusal(text) => append(&mut self.refusal, text),
            ChatEvent::ToolCallStart { index, id, name, signature } => {
                let call = self.tool_call(index)?;
                (call.id, call.name, call.signature) = (id, name, signature);
            }
            ChatEvent::ToolCallDelta { index, arguments } => {
                append(&mut self.tool_call(index)?.arguments, arguments);
            }
            ChatEvent::Logprobs(more) => self.logprobs.extend(more),
            ChatEvent::Finished(reason) => self.finish = Some(reason),
            ChatEvent::Usage(lines) => self.usage = lines,
            ChatEvent::Other(other) => self.other.push(other),
        }
        Ok(())
    }

    fn tool_call(&mut self, index: u32) -> Result<&mut ToolCall, ServiceError> {
        if index >= TOOL_CALLS_MAX {
            let message =
                format!("the provider began its tool call number {index}; at most {TOOL_CALLS_MAX} are read");
            return Err(ServiceError::JobFailed { code: "bad-response".to_owned(), message });
        }
        let index = index as usize;
        while self.tool_calls.len() <= index {
            self.tool_calls.push(ToolCall {
                id: String::new(),
                name: String::new(),
                arguments: String::new(),
                signature: None,
            });
        }
        Ok(&mut self.tool_calls[index])
    }
}

/// The first piece is taken as it is: most answers of a plain call have only one.
fn append(text: &mut String, piece: String) {
    if text.is_empty() { *text = piece } else { text.push_str(&piece) }
}
