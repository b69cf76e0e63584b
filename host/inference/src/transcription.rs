//! The transcription engine: a port, and the implementation that runs one recogniser on the CPU.

mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;

use crate::engine::{EngineState, WeightsSource};
use crate::error::EngineError;
use crate::residency::{Budget, ROOM_WAITED_MAX};
use crate::running::{Front, Running};
use crate::whisper::{Heard, Manner, Sound, WhisperInfo, WhisperModel};
use worker::{Job, Progress, Worker};

/// What a transcription engine does, whatever computes behind it.
#[async_trait]
pub trait TranscriptionEngine: Send + Sync {
    /// Begin to write a recording down. Fetches and loads the model first where that has not happened yet.
    ///
    /// # Errors
    /// [`EngineError`]; nothing was read then.
    async fn transcribe(&self, sound: Box<dyn Sound>, manner: Manner) -> Result<Transcription, EngineError>;

    /// Fetch and load the model, unless it is loaded.
    ///
    /// # Errors
    /// [`EngineError::Fetch`] or [`EngineError::Model`].
    async fn warm(&self) -> Result<WhisperInfo, EngineError>;

    /// Free the model's memory; running requests end with [`EngineError::Unloaded`]. The next use loads it again.
    async fn unload(&self);

    /// What the engine is doing.
    fn state(&self) -> EngineState<WhisperInfo>;
}

/// A recording that is being written down. Dropped, it is given up within one token, and its place is free.
#[derive(Debug)]
pub struct Transcription {
    windows: mpsc::Receiver<Result<Progress, EngineError>>,
}

impl Transcription {
    /// What the next window said; none once the recording has ended.
    ///
    /// # Errors
    /// [`EngineError::InvalidRequest`] of `file` where the recording cannot be read or is too long, and other [`EngineError`]s.
    pub async fn next(&mut self) -> Result<Option<Heard>, EngineError> {
        match self.windows.recv().await {
            Some(Ok(Progress::Heard(heard))) => Ok(Some(heard)),
            Some(Ok(Progress::Ended)) => Ok(None),
            Some(Err(error)) => Err(error),
            None => Err(EngineError::Stopped),
        }
    }
}

/// Limits of one transcription engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TranscriberConfig {
    /// Requests that run or wait; one more is refused with [`EngineError::Busy`]. Those that run share the model, a window in turn.
    pub places_max: usize,
    /// Seconds of a recording.
    pub seconds_max: u64,
    /// Bytes of a prompt.
    pub prompt_bytes_max: usize,
    /// Windows that a request holds for a slow reader before it pauses; at least 1.
    pub unread_windows_max: usize,
    /// How long a request waits for its reader before it ends with [`EngineError::ReaderStalled`].
    pub reader_stall_max: Duration,
    /// Threads that compute; as many as the processor runs at once where it is none.
    pub threads: Option<usize>,
    /// Bytes for weights, working space, and what waiting requests hold.
    pub memory_bytes_max: u64,
}

impl Default for TranscriberConfig {
    fn default() -> Self {
        Self {
            places_max: 8,
            seconds_max: 4 * 3600,
            prompt_bytes_max: 16 << 10,
            unread_windows_max: 16,
            reader_stall_max: Duration::from_secs(60),
            threads: None,
            memory_bytes_max: 2 << 30,
        }
    }
}

impl TranscriberConfig {
    /// Bytes of sound that requests hold while they run: a window, and as much that was read ahead.
    fn requests_bytes(&self, info: &WhisperInfo) -> u64 {
        let window = (info.shape.window_samples() * size_of::<f32>()) as u64;
        (self.places_max as u64).saturating_mul(2 * window)
    }
}

/// One recogniser on the CPU: a bounded queue in front of a thread of its own. Clones share the model.
#[derive(Clone, Debug)]
pub struct Transcriber {
    config: Arc<TranscriberConfig>,
    front: Front<WhisperModel, Job>,
}

impl Transcriber {
    /// An engine that fetches and loads its model on first use: a folder as [`WhisperModel::load`] reads it. Must be used within a tokio
    /// runtime.
    pub fn lazy(source: WeightsSource, config: TranscriberConfig) -> Self {
        let budget = Budget::new(config.memory_bytes_max, ROOM_WAITED_MAX);
        Self::within(source, config, budget)
    }

    /// As [`Transcriber::lazy`], within memory that other models share.
    pub fn within(source: WeightsSource, config: TranscriberConfig, budget: Budget) -> Self {
        let config = Arc::new(config);
        let limits = config.clone();
        let front = Front::new(source, budget, (config.places_max, 1), move |folder, rooms, places, pace| {
            let (model, room) = WhisperModel::load_planned(folder, limits.threads, |info, mut needs| {
                needs.ends_bytes = needs.ends_bytes.saturating_add(limits.requests_bytes(info));
                needs.check(limits.memory_bytes_max)?;
                rooms.take(&needs)
            })?;
            let (config, pace) = (limits.clone(), pace.clone());
            Running::start("transcriber", model, room, places, move |model, queue, unload| {
                Worker::new(model, config, pace, unload).run(queue);
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
impl TranscriptionEngine for Transcriber {
    async fn transcribe(&self, sound: Box<dyn Sound>, manner: Manner) -> Result<Transcription, EngineError> {
        let (bytes, bytes_max) =
            (manner.prompt.as_ref().map_or(0, String::len), self.config.prompt_bytes_max);
        if bytes > bytes_max {
            let reason = format!("it has {bytes} bytes; at most {bytes_max} are read");
            return Err(EngineError::InvalidRequest { parameter: "prompt", reason });
        }
        if let Some(temperature) = manner.temperature.filter(|wanted| !(0.0..=2.0).contains(wanted)) {
            let reason = format!("{temperature} is not from 0 to 2");
            return Err(EngineError::InvalidRequest { parameter: "temperature", reason });
        }
        let place = self.front.place()?;
        let running = self.front.running().await?;
        // One place more, for how it ended.
        let (events, windows) = mpsc::channel(self.config.unread_windows_max.max(1) + 1);
        running.submit(Job { sound, manner, events, place })?;
        Ok(Transcription { windows })
    }

    async fn warm(&self) -> Result<WhisperInfo, EngineError> {
        self.front.warm().await
    }

    async fn unload(&self) {
        self.front.unload().await;
    }

    fn state(&self) -> EngineState<WhisperInfo> {
        self.front.state()
    }
}
