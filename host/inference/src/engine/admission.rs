//! From a request to a job for the worker: its prompt, its room, its way of choosing tokens.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;
use tokio::task::spawn_blocking;

use super::Engine;
use super::loaded::Loaded;
use super::worker::Job;
use crate::error::EngineError;
use crate::generation::Generation;
use crate::request::{ChatRequest, Message};
use crate::sampler::Sampler;

impl Engine {
    pub(super) async fn admit(&self, request: ChatRequest) -> Result<Generation, EngineError> {
        request.validate()?;
        self.check_length(request.text_bytes())?;
        let place = self.front.place()?;
        let running = self.front.running().await?;
        let model = &running.model;
        check_tokens(model, &request)?;

        let (place, request, prompt) = encode(model, place, request).await?;
        let info = &model.info;
        let (prompt_tokens, context_tokens) = (prompt.len(), info.context_tokens);
        if prompt_tokens >= context_tokens {
            return Err(EngineError::ContextTooLong { prompt_tokens, context_tokens });
        }
        let room = context_tokens - prompt_tokens;
        let max_tokens = request.max_tokens.map_or(room, |wanted| room.min(wanted as usize));
        let cache_bytes = info.cache_bytes(prompt_tokens + max_tokens);
        if cache_bytes > model.cache_bytes_max {
            return Err(EngineError::CacheTooSmall {
                needed_bytes: cache_bytes,
                limit_bytes: model.cache_bytes_max,
            });
        }
        let (place, request, prompt, sampler) = sampler(model, place, request, prompt).await?;
        let (sender, generation) = Generation::channel(prompt_tokens, self.config.unread_events_max);
        running.submit(Job { prompt, max_tokens, cache_bytes, request, sampler, sender, place })?;
        Ok(generation)
    }

    pub(super) async fn count(&self, messages: Vec<Message>) -> Result<usize, EngineError> {
        let request = ChatRequest::new(messages);
        request.validate()?;
        self.check_length(request.text_bytes())?;
        let turn = self.counts.clone().acquire_owned().await.map_err(|_| EngineError::Stopped)?;
        let running = self.front.running().await?;
        let (_, _, prompt) = encode(&running.model, turn, request).await?;
        Ok(prompt.len())
    }

    fn check_length(&self, bytes: usize) -> Result<(), EngineError> {
        let bytes_max = self.config.prompt_bytes_max;
        if bytes > bytes_max { Err(EngineError::PromptTooLarge { bytes, bytes_max }) } else { Ok(()) }
    }
}

/// A bias of a token that there is none of would be passed over.
fn check_tokens(model: &Loaded, request: &ChatRequest) -> Result<(), EngineError> {
    let count = model.language.tokenizer().vocabulary_len();
    match request.logit_bias.iter().find(|(token, _)| *token as usize >= count) {
        None => Ok(()),
        Some((token, _)) => Err(EngineError::InvalidRequest {
            parameter: "logit_bias",
            reason: format!(
                "there is no token {token}; this model has tokens 0 to {}",
                count.saturating_sub(1)
            ),
        }),
    }
}

/// The prompt's tokens. The place goes along: a caller who leaves does not free it before the work is done.
async fn encode(
    model: &Arc<Loaded>,
    place: OwnedSemaphorePermit,
    request: ChatRequest,
) -> Result<(OwnedSemaphorePermit, ChatRequest, Vec<u32>), EngineError> {
    let model = model.clone();
    let encoding = spawn_blocking(move || {
        let prompt = model.language.prompt(&request.messages)?;
        Ok((place, request, prompt))
    });
    encoding.await.map_err(|_| EngineError::Stopped)?
}

/// The request's sampler, its format compiled.
async fn sampler(
    model: &Arc<Loaded>,
    place: OwnedSemaphorePermit,
    request: ChatRequest,
    prompt: Vec<u32>,
) -> Result<(OwnedSemaphorePermit, ChatRequest, Vec<u32>, Sampler), EngineError> {
    if request.format == crate::request::AnswerFormat::Text {
        let sampler = Sampler::new(&request, &prompt, None)?;
        return Ok((place, request, prompt, sampler));
    }
    let model = model.clone();
    let compiling = spawn_blocking(move || {
        let constraint = model.grammars()?.compile(&request.format)?;
        let sampler = Sampler::new(&request, &prompt, constraint)?;
        Ok((place, request, prompt, sampler))
    });
    compiling.await.map_err(|_| EngineError::Stopped)?
}
