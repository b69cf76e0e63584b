//! The image engine: a port, and the implementation that runs one image model on the CPU.

mod model;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};

use crate::engine::{EngineState, WeightsSource};
use crate::error::EngineError;
use crate::picture::Picture;
use crate::residency::{Budget, ROOM_WAITED_MAX};
use crate::running::{Front, Running};
use model::ImageModel;
pub use model::{ImageFamily, ImageInfo, ImageRequest};
use worker::{Job, Worker};

/// What an image engine does, whatever computes behind it.
#[async_trait]
pub trait ImageEngine: Send + Sync {
    /// Begin to make a picture. Fetches and loads the model first where that has not happened yet.
    ///
    /// # Errors
    /// [`EngineError`].
    async fn make(&self, request: ImageRequest) -> Result<Making, EngineError>;

    /// Fetch and load the model, unless it is loaded.
    ///
    /// # Errors
    /// [`EngineError::Fetch`] or [`EngineError::Model`].
    async fn warm(&self) -> Result<ImageInfo, EngineError>;

    /// Free the model's memory; running requests end with [`EngineError::Unloaded`]. The next use loads it again.
    async fn unload(&self);

    /// What the engine is doing.
    fn state(&self) -> EngineState<ImageInfo>;
}

/// How far a picture has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PiecesDone {
    /// Pieces that are computed.
    pub done: usize,
    /// Pieces of the picture, which take about as long each; 0 while it waits.
    pub total: usize,
}

/// A picture that is being made. Dropped, it is given up within one piece, and its place is free.
#[derive(Debug)]
pub struct Making {
    answer: oneshot::Receiver<Result<Picture, EngineError>>,
    pieces: watch::Receiver<PiecesDone>,
}

impl Making {
    /// How far it has come, now and whenever that changes.
    pub fn pieces(&self) -> watch::Receiver<PiecesDone> {
        self.pieces.clone()
    }

    /// The picture.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn finish(self) -> Result<Picture, EngineError> {
        self.answer.await.map_err(|_| EngineError::Stopped)?
    }
}

/// Limits of one image engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageConfig {
    /// Requests that run or wait, one at a time runs; one more is refused with [`EngineError::Busy`].
    pub places_max: usize,
    /// Pixels of a picture that comes in.
    pub pixels_max: usize,
    /// Bytes that a tile may take while it is computed.
    pub tile_bytes_max: u64,
    /// Threads that compute; as many as the processor runs at once where it is none.
    pub threads: Option<usize>,
    /// Bytes for weights, working space, and the pictures of waiting requests.
    pub memory_bytes_max: u64,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            places_max: 8,
            // A screen of 1920 × 1080.
            pixels_max: 2 << 20,
            tile_bytes_max: 160 << 20,
            threads: None,
            memory_bytes_max: 2 << 30,
        }
    }
}

impl ImageConfig {
    /// Bytes that pictures take: those that wait, and the one that is being made, of so many pixels for each that comes in.
    fn pictures_bytes(&self, growth: usize) -> u64 {
        let picture = self.pixels_max as u64 * 4;
        picture.saturating_mul(self.places_max as u64 + growth as u64)
    }
}

/// One image model on the CPU: a bounded queue in front of a thread of its own. Clones share the model.
#[derive(Clone, Debug)]
pub struct ImageMaker {
    config: Arc<ImageConfig>,
    front: Front<ImageModel, Job>,
}

impl ImageMaker {
    /// An engine that fetches and loads its model on first use; [`ImageFamily`] says of which files. Must be used within a tokio runtime.
    pub fn lazy(source: WeightsSource, family: ImageFamily, config: ImageConfig) -> Self {
        let budget = Budget::new(config.memory_bytes_max, ROOM_WAITED_MAX);
        Self::within(source, family, config, budget)
    }

    /// As [`ImageMaker::lazy`], within memory that other models share.
    pub fn within(source: WeightsSource, family: ImageFamily, config: ImageConfig, budget: Budget) -> Self {
        let config = Arc::new(config);
        let limits = config.clone();
        let front = Front::new(source, budget, (config.places_max, 1), move |path, rooms, places, pace| {
            let (model, room) = ImageModel::load(path, family, &limits, |needs| rooms.take(needs))?;
            let pace = pace.clone();
            Running::start("images", model, room, places, move |model, queue, unload| {
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
impl ImageEngine for ImageMaker {
    async fn make(&self, request: ImageRequest) -> Result<Making, EngineError> {
        if let Some(picture) = request.picture() {
            let (width, height, pixels_max) = (picture.width(), picture.height(), self.config.pixels_max);
            if width * height > pixels_max {
                let reason = format!("it has {width} × {height} pixels; at most {pixels_max} are read");
                return Err(EngineError::InvalidRequest { parameter: "image", reason });
            }
        }
        let place = self.front.place()?;
        let running = self.front.running().await?;
        running.model.check(&request)?;
        let (answer, answered) = oneshot::channel();
        let (progress, pieces) = watch::channel(PiecesDone::default());
        running.submit(Job { request, answer, progress, place })?;
        Ok(Making { answer: answered, pieces })
    }

    async fn warm(&self) -> Result<ImageInfo, EngineError> {
        self.front.warm().await
    }

    async fn unload(&self) {
        self.front.unload().await;
    }

    fn state(&self) -> EngineState<ImageInfo> {
        self.front.state()
    }
}
