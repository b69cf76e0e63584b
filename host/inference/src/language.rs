//! The words of a text model: which tokens they are, and how a conversation becomes a prompt.

use crate::chat_template::ChatTemplate;
use crate::error::ModelError;
use crate::gguf::Header;
use crate::request::Message;
use crate::tokenizer::Tokenizer;

/// A model's tokenizer and chat template, as its file has them.
#[derive(Debug)]
pub(crate) struct Language {
    tokenizer: Tokenizer,
    template: ChatTemplate,
}

impl Language {
    pub(crate) fn from_gguf(header: &Header) -> Result<Self, ModelError> {
        let tokenizer = Tokenizer::from_gguf(header)?;
        let template =
            ChatTemplate::parse(header.text("tokenizer.chat_template")?, tokenizer.bos(), tokenizer.eos())?;
        Ok(Self { tokenizer, template })
    }

    pub(crate) fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// As [`crate::TextModel::prompt`].
    pub(crate) fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        let suspicious = messages.iter().any(|message| self.tokenizer.has_control_text(&message.text));
        if !suspicious {
            return self.tokenizer.encode_prompt(&self.template.render(messages)?, None);
        }
        // A noncharacter that no message uses is put between the characters of every message, so that nothing in them
        // reads as a control token once rendered; encoding takes it out again.
        let guard = ('\u{FDD0}'..='\u{FDEF}')
            .find(|guard| messages.iter().all(|message| !message.text.contains(*guard)))
            .ok_or_else(|| ModelError::Tokenizer {
                reason: "the messages use every noncharacter".to_owned(),
            })?;
        let guarded: Vec<Message> = messages
            .iter()
            .map(|message| Message::new(message.role, self.guarded(&message.text, guard)))
            .collect();
        self.tokenizer.encode_prompt(&self.template.render(&guarded)?, Some(guard))
    }

    /// Break up every control token's text; text without one is left as it is.
    fn guarded(&self, text: &str, guard: char) -> String {
        if !self.tokenizer.has_control_text(text) {
            return text.to_owned();
        }
        let mut guarded = String::with_capacity(text.len() * 4);
        for (index, character) in text.chars().enumerate() {
            // Not before the first: a template may trim there.
            if index > 0 {
                guarded.push(guard);
            }
            guarded.push(character);
        }
        guarded
    }
}
