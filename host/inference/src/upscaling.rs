//! The upscaling engine: a port, and the implementation that runs one network on the CPU.

mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::{oneshot, watch};

use crate::engine::{EngineState, WeightsSource};
use crate::error::EngineError;
use crate::esrgan::{EsrganModel, UpscalerInfo};
use crate::picture::Picture;
use crate::residency::{Budget, ROOM_WAITED_MAX};
use crate::running::{Front, Running};
use worker::{Job, Worker};

/// What an upscaling engine does, whatever computes behind it.
#[async_trait]
pub trait UpscalingEngine: Send + Sync {
    /// Begin to make a picture larger. Fetches and loads the model first where that has not happened yet.
    ///
    /// # Errors
    /// [`EngineError`].
    async fn upscale(&self, picture: Picture) -> Result<Upscaling, EngineError>;

    /// Fetch and load the model, unless it is loaded.
    ///
    /// # Errors
    /// [`EngineError::Fetch`] or [`EngineError::Model`].
    async fn warm(&self) -> Result<UpscalerInfo, EngineError>;

    /// Free the model's memory; running requests end with [`EngineError::Unloaded`]. The next use loads it again.
    async fn unload(&self);

    /// What the engine is doing.
    fn state(&self) -> EngineState<UpscalerInfo>;
}

/// How far a picture has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TilesDone {
    /// Tiles that are computed.
    pub done: usize,
    /// Tiles of the picture; 0 while it waits.
    pub total: usize,
}

/// A picture that is being made larger. Dropped, it is given up within one tile, and its place is free.
#[derive(Debug)]
pub struct Upscaling {
    answer: oneshot::Receiver<Result<Picture, EngineError>>,
    tiles: watch::Receiver<TilesDone>,
}

impl Upscaling {
    /// How far it has come, now and whenever that changes.
    pub fn tiles(&self) -> watch::Receiver<TilesDone> {
        self.tiles.clone()
    }

    /// The larger picture.
    ///
    /// # Errors
    /// [`EngineError`].
    pub async fn finish(self) -> Result<Picture, EngineError> {
        self.answer.await.map_err(|_| EngineError::Stopped)?
    }
}

/// Limits of one upscaling engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpscalerConfig {
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

impl Default for UpscalerConfig {
    fn default() -> Self {
        Self {
            places_max: 8,
            pixels_max: 4 << 20,
            tile_bytes_max: 160 << 20,
            threads: None,
            memory_bytes_max: 2 << 30,
        }
    }
}

impl UpscalerConfig {
    /// Bytes that pictures take: those that wait, and the larger one that is being made.
    fn pictures_bytes(&self, scale: usize) -> u64 {
        let picture = self.pixels_max as u64 * 4;
        picture.saturating_mul(self.places_max as u64 + (scale * scale) as u64)
    }
}

/// One upscaler on the CPU: a bounded queue in front of a thread of its own. Clones share the model.
#[derive(Clone, Debug)]
pub struct Upscaler {
    config: Arc<UpscalerConfig>,
    front: Front<EsrganModel, Job>,
}

impl Upscaler {
    /// An engine that fetches and loads its model on first use: a folder with `model.param` and `model.bin`. Must be used within a tokio
    /// runtime.
    pub fn lazy(source: WeightsSource, config: UpscalerConfig) -> Self {
        let budget = Budget::new(config.memory_bytes_max, ROOM_WAITED_MAX);
        Self::within(source, config, budget)
    }

    /// As [`Upscaler::lazy`], within memory that other models share.
    pub fn within(source: WeightsSource, config: UpscalerConfig, budget: Budget) -> Self {
        let config = Arc::new(config);
        let limits = config.clone();
        let front = Front::new(source, budget, (config.places_max, 1), move |folder, rooms, places, pace| {
            let (tile_bytes, threads) = (limits.tile_bytes_max, limits.threads);
            let (model, room) = EsrganModel::load_planned(folder, tile_bytes, threads, |info, mut needs| {
                needs.ends_bytes = needs.ends_bytes.saturating_add(limits.pictures_bytes(info.scale));
                needs.check(limits.memory_bytes_max)?;
                rooms.take(&needs)
            })?;
            let pace = pace.clone();
            Running::start("upscaler", model, room, places, move |model, queue, unload| {
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
impl UpscalingEngine for Upscaler {
    async fn upscale(&self, picture: Picture) -> Result<Upscaling, EngineError> {
        let (width, height, pixels_max) = (picture.width(), picture.height(), self.config.pixels_max);
        if width * height > pixels_max {
            let reason = format!("it has {width} × {height} pixels; at most {pixels_max} are read");
            return Err(EngineError::InvalidRequest { parameter: "image", reason });
        }
        let place = self.front.place()?;
        let running = self.front.running().await?;
        let (answer, answered) = oneshot::channel();
        let (progress, tiles) = watch::channel(TilesDone::default());
        running.submit(Job { picture, answer, progress, place })?;
        Ok(Upscaling { answer: answered, tiles })
    }

    async fn warm(&self) -> Result<UpscalerInfo, EngineError> {
        self.front.warm().await
    }

    async fn unload(&self) {
        self.front.unload().await;
    }

    fn state(&self) -> EngineState<UpscalerInfo> {
        self.front.state()
    }
}
