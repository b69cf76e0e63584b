//! The embedding engine: a port, and the implementation that runs one encoder on the CPU.

mod request;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::oneshot;

use crate::bert::{BertInfo, BertModel};
use crate::engine::{EngineState, WeightsSource};
use crate::error::EngineError;
use crate::residency::{Budget, ROOM_WAITED_MAX};
use crate::running::{Front, Running};
use request::invalid;
pub use request::{EmbeddingInput, EmbeddingRequest, Embeddings, TEXT_BYTES_MAX};
use worker::{Job, PACK_TOKENS, Worker};

/// What an embedding engine does, whatever computes behind it.
#[async_trait]
pub trait EmbeddingEngine: Send + Sync {
    /// Turn texts into vectors. Fetches and loads the model first where that has not happened yet. A caller who stops
    /// waiting frees the place.
    ///
    /// # Errors
    /// [`EngineError`].
    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, EngineError>;

    /// Fetch and load the model, unless it is loaded.
    ///
    /// # Errors
    /// [`EngineError::Fetch`] or [`EngineError::Model`].
    async fn warm(&self) -> Result<BertInfo, EngineError>;

    /// Free the model's memory; running requests end with [`EngineError::Unloaded`]. The next use loads it again.
    async fn unload(&self);

    /// What the engine is doing.
    fn state(&self) -> EngineState<BertInfo>;
}

/// Limits of one embedding engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmbedderConfig {
    /// Requests that run or wait; one more is refused with [`EngineError::Busy`]. All that run share each step.
    pub places_max: usize,
    /// Texts in one request.
    pub inputs_max: usize,
    /// Bytes of text in one request.
    pub input_bytes_max: usize,
    /// Bytes for weights, working space, and what waiting requests hold.
    pub memory_bytes_max: u64,
}

impl Default for EmbedderConfig {
    fn default() -> Self {
        Self { places_max: 36, inputs_max: 2048, input_bytes_max: 4 << 20, memory_bytes_max: 2 << 30 }
    }
}

impl EmbedderConfig {
    /// Bytes that requests take while they wait and run: their texts, then tokens and vectors.
    fn requests_bytes(&self, info: &BertInfo) -> u64 {
        let numbers = info.tokens_max + info.dimensions;
        let input_bytes =
            numbers * size_of::<f32>() + size_of::<EmbeddingInput>() + 2 * size_of::<Vec<u32>>();
        self.places_max as u64 * (self.input_bytes_max as u64 + (self.inputs_max * input_bytes) as u64)
    }
}

/// One encoder on the CPU: a bounded queue in front of a thread of its own. Clones share the model.
///
/// Each step takes texts of all admitted requests in turn, up to a number of tokens, and computes them side by side
/// without padding: many small requests cost what one large one does, and a large one does not keep a small one waiting.
#[derive(Clone, Debug)]
pub struct Embedder {
    config: Arc<EmbedderConfig>,
    front: Front<BertModel, Job>,
}

impl Embedder {
    /// An engine that fetches and loads its model on first use: a folder with `config.json`, `tokenizer.json` and
    /// `model.safetensors`. Must be used within a tokio runtime.
    pub fn lazy(source: WeightsSource, config: EmbedderConfig) -> Self {
        let budget = Budget::new(config.memory_bytes_max, ROOM_WAITED_MAX);
        Self::within(source, config, budget)
    }

    /// As [`Embedder::lazy`], within memory that other models share.
    pub fn within(source: WeightsSource, config: EmbedderConfig, budget: Budget) -> Self {
        let config = Arc::new(config);
        let limits = config.clone();
        let front = Front::new(source, budget, (config.places_max, 1), move |folder, rooms, places, pace| {
            let (model, room) = BertModel::load_planned(folder, PACK_TOKENS, None, |info, mut needs| {
                needs.ends_bytes = needs.ends_bytes.saturating_add(limits.requests_bytes(info));
                needs.check(limits.memory_bytes_max)?;
                rooms.take(&needs)
            })?;
            let pace = pace.clone();
            Running::start("embedder", model, room, places, move |model, queue, unload| {
                Worker::new(model, pace, unload).run(queue);
            })
        });
        Self { config, front }
    }

    /// How many places, running and queued, are free now.
    pub fn free_places(&self) -> usize {
        self.front.free_places()
    }
}

#[async_trait]
impl EmbeddingEngine for Embedder {
    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, EngineError> {
        request.validate(self.config.inputs_max, self.config.input_bytes_max)?;
        let place = self.front.place()?;
        let running = self.front.running().await?;
        let encoding = running.clone();
        // The place goes with the work: a caller who leaves does not free it before this ends.
        let encode = move || encode(&encoding.model, request).map(|texts| (texts, place));
        let (texts, place) =
            tokio::task::spawn_blocking(encode).await.map_err(|_| EngineError::Stopped)??;
        let tokens = texts.iter().map(Vec::len).sum();
        let (answer, answered) = oneshot::channel();
        running.submit(Job { texts, answer, place })?;
        let vectors = answered.await.map_err(|_| EngineError::Stopped)??;
        Ok(Embeddings { vectors, tokens })
    }

    async fn warm(&self) -> Result<BertInfo, EngineError> {
        self.front.warm().await
    }

    async fn unload(&self) {
        self.front.unload().await;
    }

    fn state(&self) -> EngineState<BertInfo> {
        self.front.state()
    }
}

/// Tokens of each input. One that is too long is cut or refused.
fn encode(model: &BertModel, request: EmbeddingRequest) -> Result<Vec<Vec<u32>>, EngineError> {
    let tokens_max = model.info().tokens_max;
    let mut texts = Vec::with_capacity(request.inputs.len());
    for (index, input) in request.inputs.into_iter().enumerate() {
        let mut ids = match input {
            EmbeddingInput::Text(text) => model.pieces().encode(&text, tokens_max)?,
            EmbeddingInput::Tokens(ids) => model.pieces().marked(ids).ok_or_else(|| {
                invalid(format!("input[{index}] has a token outside the vocabulary of the model"))
            })?,
        };
        if ids.len() > tokens_max {
            if !request.truncate {
                return Err(EngineError::InputTooLong { index, tokens_max });
            }
            model.pieces().cut(&mut ids, tokens_max);
        }
        ids.shrink_to_fit();
        texts.push(ids);
    }
    Ok(texts)
}
