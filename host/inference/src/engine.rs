//! The text engine: a port, and the implementation that runs one model on the CPU.

mod admission;
mod card;
mod likelihoods;
mod loaded;
mod meter;
mod prefixes;
mod sequence;
mod turns;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use crate::error::EngineError;
use crate::generation::Generation;
use crate::llama::Precision;
use crate::model::ModelInfo;
use crate::request::{ChatRequest, Message};
use crate::residency::{Budget, ROOM_WAITED_MAX};
use crate::running::{Front, Running};
use crate::weights::{Progress, Pulled, Source};
pub use card::Card;
use loaded::{Loaded, Weights};
use meter::Meter;
pub use meter::TextLoad;
use worker::{Job, Worker};

/// Prompts that are counted at once; more wait.
const COUNTS_MAX: usize = 4;

/// What a text engine does, whatever computes behind it.
#[async_trait]
pub trait TextEngine: Send + Sync {
    /// Begin an answer. Fetches and loads the model first where that has not happened yet.
    ///
    /// # Errors
    /// [`EngineError`]; nothing was generated then.
    async fn generate(&self, request: ChatRequest) -> Result<Generation, EngineError>;

    /// Tokens that these messages take as a prompt, the template's own included: what [`Generation::prompt_tokens`] would say.
    ///
    /// # Errors
    /// [`EngineError`].
    async fn count_tokens(&self, messages: Vec<Message>) -> Result<usize, EngineError>;

    /// Fetch and load the model, unless it is loaded.
    ///
    /// # Errors
    /// [`EngineError::Fetch`] or [`EngineError::Model`].
    async fn warm(&self) -> Result<ModelInfo, EngineError>;

    /// Free the model's memory; running generations end with [`EngineError::Unloaded`]. The next use loads it again.
    async fn unload(&self);

    /// What the engine is doing.
    fn state(&self) -> EngineState;

    /// How much it has done and is doing.
    fn load(&self) -> TextLoad;

    /// How long each kernel took since the engine was made, by its name.
    fn kernel_times(&self) -> Vec<(&'static str, Duration)>;
}

/// Where an engine's weights come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WeightsSource {
    /// A published file, fetched into the folder on first use.
    Published {
        /// Which file.
        source: Source,
        /// The cache folder, as from [`crate::weights::cache_dir`].
        cache_dir: PathBuf,
    },
    /// An operator's own, fetched into the folder beforehand.
    Pulled {
        /// Which files.
        weights: Pulled,
        /// The cache folder.
        cache_dir: PathBuf,
    },
    /// On this machine: a GGUF file, or the folder of a model of several files.
    File(PathBuf),
}

/// Limits of one engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineConfig {
    /// Generations that advance together, a token each in one pass of the model.
    pub concurrent_max: usize,
    /// Generations that wait for one of those places; one more is refused with [`EngineError::Busy`].
    pub queued_max: usize,
    /// Events that a generation holds for a slow reader before it pauses.
    pub unread_events_max: usize,
    /// How long a generation waits for its reader before it ends with [`EngineError::ReaderStalled`].
    pub reader_stall_max: Duration,
    /// Bytes of text in one request.
    pub prompt_bytes_max: usize,
    /// How exactly the model computes.
    pub precision: Precision,
    /// Threads that compute; as many as the processor runs at once where not said.
    pub threads: Option<usize>,
    /// Bytes for weights, working space and all requests' attention caches together, on the processor.
    pub memory_bytes_max: u64,
    /// Whether the model runs on a card.
    pub card: Card,
    /// Bytes of the card's memory for all models together.
    pub card_bytes_max: u64,
    /// Bytes of the attention caches' share of it in which pages are kept once computed, for requests whose prompts begin with the
    /// same tokens. Running requests come first: what they need is taken from pages that none of them uses. 0 turns reuse off.
    ///
    /// [`ChatRequest::scope`] keeps those apart who must not learn of each other's prompts.
    pub prefix_bytes_max: u64,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            concurrent_max: 4,
            queued_max: 32,
            unread_events_max: 64,
            reader_stall_max: Duration::from_secs(60),
            prompt_bytes_max: 1 << 20,
            precision: Precision::Exact,
            threads: None,
            memory_bytes_max: 2 << 30,
            card: Card::Never,
            card_bytes_max: u64::MAX,
            prefix_bytes_max: 512 << 20,
        }
    }
}

/// What an engine is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineState<Info = ModelInfo> {
    /// The weights are not on this machine; the first use fetches them.
    NotFetched,
    /// The weights are being fetched.
    Fetching(Progress),
    /// The weights are on this machine and not in memory; the next use loads them.
    Unloaded,
    /// The weights are being read.
    Loading,
    /// Answers begin at once.
    Ready(Info),
    /// The last attempt to fetch or load failed; the next use tries again, a little later at the earliest.
    Failed {
        /// Why, for the operator.
        reason: String,
    },
}

/// One model on the CPU: a bounded queue in front of a thread of its own. Clones share the model.
///
/// Admitted requests advance together, one token (or one piece of the prompt) each in one pass of the model, so a long
/// answer does not keep a short one waiting, and the weights are read once for all of them. Kernels never run on async threads.
#[derive(Clone, Debug)]
pub struct Engine {
    config: Arc<EngineConfig>,
    front: Front<Loaded, Job>,
    /// Prompts that are being counted: they take no place, but time on threads.
    counts: Arc<Semaphore>,
    meter: Arc<Meter>,
}

impl Engine {
    /// An engine that fetches and loads its model on first use. Several first users share one load, and a user who
    /// leaves does not interrupt it. Must be used within a tokio runtime.
    pub fn lazy(source: WeightsSource, config: EngineConfig) -> Self {
        let budget = Budget::new(config.memory_bytes_max, ROOM_WAITED_MAX);
        Self::within(source, config, budget)
    }

    /// As [`Engine::lazy`], within memory that other models share.
    pub fn within(source: WeightsSource, config: EngineConfig, budget: Budget) -> Self {
        let config = Arc::new(config);
        let concurrent = config.concurrent_max.max(1);
        let places = (concurrent.saturating_add(config.queued_max), concurrent);
        let (limits, meter) = (config.clone(), Arc::new(Meter::default()));
        let counted = meter.clone();
        let front = Front::new(source, budget, places, move |path, rooms, places, pace| {
            let (model, weights, room) = Loaded::load(path, &limits, rooms, &counted.kernels)?;
            let (config, pace, meter) = (limits.clone(), pace.clone(), counted.clone());
            Running::start("text-engine", model, room, places, move |model, queue, unload| match weights {
                Weights::Processor(llama) => {
                    Worker::new(model, *llama, config, pace, meter, unload).run(queue);
                }
                Weights::Card(llama) => Worker::new(model, *llama, config, pace, meter, unload).run(queue),
            })
        });
        Self { config, front, counts: Arc::new(Semaphore::new(COUNTS_MAX)), meter }
    }

    /// How many places, running and queued, are free now.
    pub fn free_places(&self) -> usize {
        self.front.free_places()
    }
}

#[async_trait]
impl TextEngine for Engine {
    async fn generate(&self, request: ChatRequest) -> Result<Generation, EngineError> {
        self.admit(request).await
    }

    async fn count_tokens(&self, messages: Vec<Message>) -> Result<usize, EngineError> {
        self.count(messages).await
    }

    async fn warm(&self) -> Result<ModelInfo, EngineError> {
        self.front.warm().await
    }

    async fn unload(&self) {
        self.front.unload().await;
    }

    fn state(&self) -> EngineState {
        self.front.state()
    }

    fn load(&self) -> TextLoad {
        self.meter.read()
    }

    fn kernel_times(&self) -> Vec<(&'static str, Duration)> {
        self.meter.kernels.all().collect()
    }
}
