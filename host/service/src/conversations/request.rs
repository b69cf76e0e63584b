//! From the messages of a branch to what a model is asked.

use atelier_domain::conversation::{
    Answer, AnswerState, Conversation, MessageFile, MessagePart, StoredMessage,
};
use atelier_domain::generation::chat::{ChatRequest, ChatRole, Message, Part};
use atelier_domain::generation::{Media, MediaSource};
use atelier_domain::id::{ChatMessageId, ConversationId};

use super::{AnswerSettings, ConversationPorts, Inner, NewPart, PARTS_MAX, check_text};
use crate::ServiceError;
use crate::caller::Caller;
use crate::files::opened;

/// Files of one branch, and their bytes: they are sent again with each question.
const FILES_MAX: usize = 32;
const FILE_BYTES_MAX: u64 = 50 << 20;

impl Inner {
    /// The parts of a question, checked.
    pub(super) async fn parts(
        &self,
        caller: &Caller,
        parts: Vec<NewPart>,
    ) -> Result<Vec<MessagePart>, ServiceError> {
        let param = |i: usize| format!("content[{i}]");
        if !(1..=PARTS_MAX).contains(&parts.len()) {
            let message = format!("must have 1 to {PARTS_MAX} parts");
            return Err(ServiceError::Invalid { param: "content".to_owned(), message });
        }
        let mut left = self.settings.message_bytes_max;
        let mut checked = Vec::with_capacity(parts.len());
        for (i, part) in parts.into_iter().enumerate() {
            checked.push(match part {
                NewPart::Text(text) => {
                    check_text(&param(i), &text, left)?;
                    left -= text.len();
                    MessagePart::Text(text)
                }
                NewPart::File(id) => {
                    let file = self.ports.files.owned(caller.user(), id).await?;
                    MessagePart::File(MessageFile {
                        file: file.id,
                        blob: file.blob,
                        size: file.size,
                        content_type: file.content_type,
                        name: file.name,
                    })
                }
            });
        }
        Ok(checked)
    }

    pub(super) fn question(
        &self,
        conversation: ConversationId,
        parent: Option<ChatMessageId>,
        parts: Vec<MessagePart>,
    ) -> StoredMessage {
        StoredMessage {
            id: ChatMessageId::new(),
            conversation,
            parent,
            // The store knows them.
            depth: 0,
            branch_bytes: 0,
            created: self.ports.clock.now(),
            parts,
            answer: None,
        }
    }

    /// An answer that is still to come. `asked` is set if its question is stored already.
    pub(super) fn pending(
        &self,
        conversation: &Conversation,
        asked: Option<ChatMessageId>,
        model: &str,
    ) -> StoredMessage {
        let answer = Answer {
            model: model.to_owned(),
            state: AnswerState::Pending,
            finish_reason: None,
            error: None,
            thinking: String::new(),
            refusal: String::new(),
            usage: Vec::new(),
            finished: None,
            leaf_before: conversation.leaf,
        };
        StoredMessage { answer: Some(answer), ..self.question(conversation.id, asked, Vec::new()) }
    }

    /// The messages from the first of a branch to this one.
    pub(super) async fn branch(
        &self,
        caller: &Caller,
        conversation: ConversationId,
        last: Option<ChatMessageId>,
    ) -> Result<Vec<StoredMessage>, ServiceError> {
        let Some(last) = last else { return Ok(Vec::new()) };
        let ConversationPorts { store, pool, .. } = &self.ports;
        let (store, owner, max) = (store.clone(), caller.user(), self.settings.bounds.depth_max as usize);
        let found = pool.run(move || store.branch_of(owner, conversation, last, max)).await?;
        let mut branch = found.ok_or(ServiceError::NotFound { what: "such message to go on from" })?;
        branch.reverse();
        Ok(branch)
    }

    /// What the model is asked: all that was said on the branch. Answers of which nothing came are left out.
    pub(super) async fn request(
        &self,
        system: Option<&str>,
        branch: &[StoredMessage],
        settings: &AnswerSettings,
    ) -> Result<ChatRequest, ServiceError> {
        let files: Vec<_> = branch.iter().flat_map(StoredMessage::files).collect();
        let bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.size));
        if files.len() > FILES_MAX || bytes > FILE_BYTES_MAX {
            let message = format!(
                "the branch would name more than {FILES_MAX} files, or more than {FILE_BYTES_MAX} bytes of them"
            );
            return Err(ServiceError::Invalid { param: "content".to_owned(), message });
        }
        let said = |role, parts| Message { role, parts, name: None };
        let mut messages = Vec::with_capacity(branch.len() + 1);
        if let Some(system) = system {
            messages.push(said(ChatRole::System, vec![Part::Text(system.to_owned())]));
        }
        for message in branch {
            let mut parts = Vec::with_capacity(message.parts.len());
            for part in &message.parts {
                parts.push(match part {
                    MessagePart::Text(text) => Part::Text(text.clone()),
                    MessagePart::File(file) => self.media(file).await?,
                });
            }
            let role = match &message.answer {
                None => ChatRole::User,
                Some(answer) => {
                    parts.extend(
                        Some(&answer.refusal).filter(|text| !text.is_empty()).cloned().map(Part::Refusal),
                    );
                    ChatRole::Assistant
                }
            };
            if !parts.is_empty() {
                messages.push(said(role, parts));
            }
        }
        let mut request = ChatRequest::new(String::new(), messages);
        request.stream = settings.stream;
        request.max_output_tokens = settings.max_output_tokens;
        request.temperature = settings.temperature;
        Ok(request)
    }

    async fn media(&self, file: &MessageFile) -> Result<Part, ServiceError> {
        let ConversationPorts { blobs, pool, .. } = &self.ports;
        let blob = opened(blobs, pool, "a message's file", file.blob, file.size, &file.content_type).await?;
        let media = Media::new(MediaSource::Blob(blob), Some(file.content_type.clone()));
        let media = Media { name: Some(file.name.clone()), ..media };
        Ok(match file.content_type.split('/').next() {
            Some("image") => Part::Image(media),
            Some("audio") => Part::Audio(media),
            _ => Part::File(media),
        })
    }
}
