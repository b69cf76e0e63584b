//! The speech engine: a port, and the implementation that runs one voice on the CPU.

mod request;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

use crate::engine::{EngineState, WeightsSource};
use crate::error::{EngineError, ModelError};
use crate::piper::{Phonemizer, PiperInfo, PiperModel};
use crate::residency::{Budget, ROOM_WAITED_MAX};
use crate::running::{Front, Running};
pub use request::{SPEED_MAX, SPEED_MIN, SpeechRequest};
use worker::{Job, Worker};

/// What a speech engine does, whatever computes behind it.
#[async_trait]
pub trait SpeechEngine: Send + Sync {
    /// Begin to speak a text. Fetches and loads the voice first where that has not happened yet.
    ///
    /// # Errors
    /// [`EngineError`]; nothing was spoken then.
    async fn speak(&self, request: SpeechRequest) -> Result<Speech, EngineError>;

    /// Fetch and load the voice, unless it is loaded, and see that eSpeak NG is there.
    ///
    /// # Errors
    /// [`EngineError::Fetch`] or [`EngineError::Model`].
    async fn warm(&self) -> Result<PiperInfo, EngineError>;

    /// Free the voice's memory; running requests end with [`EngineError::Unloaded`]. The next use loads it again.
    async fn unload(&self);

    /// What the engine is doing.
    fn state(&self) -> EngineState<PiperInfo>;
}

/// A text that is being spoken, as 16-bit samples of one channel. Dropped, it is given up within one sentence, and its place is free.
#[derive(Debug)]
pub struct Speech {
    sample_rate: u32,
    pieces: mpsc::Receiver<Vec<i16>>,
    /// None once it was told.
    outcome: Option<oneshot::Receiver<Result<(), EngineError>>>,
}

impl Speech {
    /// Samples a second.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// The next piece, a sentence as a rule and the pause before it; `None` after the last or an error. A text that was not spoken to its
    /// end always ends with an error, never silently.
    pub async fn next(&mut self) -> Option<Result<Vec<i16>, EngineError>> {
        if let Some(piece) = self.pieces.recv().await {
            return Some(Ok(piece));
        }
        // Taken only when it is known: a caller who gives this up may come again.
        let outcome = self.outcome.as_mut()?.await.unwrap_or(Err(EngineError::Stopped));
        self.outcome = None;
        outcome.err().map(Err)
    }

    /// All samples.
    ///
    /// # Errors
    /// The error that it ended with.
    pub async fn collect(mut self) -> Result<Vec<i16>, EngineError> {
        let mut samples = Vec::new();
        while let Some(piece) = self.next().await {
            samples.extend(piece?);
        }
        Ok(samples)
    }
}

/// Limits of one speech engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SynthesizerConfig {
    /// Where eSpeak NG is.
    pub phonemizer: Phonemizer,
    /// The SHA-256 of a voice's graph that is trusted ([`PiperModel::load`]).
    pub graph_sha256: Option<String>,
    /// Requests that run or wait, one at a time runs; one more is refused with [`EngineError::Busy`].
    pub places_max: usize,
    /// Bytes of one text.
    pub text_bytes_max: usize,
    /// Pieces that are held for a slow reader before the next is spoken.
    pub unread_pieces_max: usize,
    /// How long a piece waits for its reader before the request ends with [`EngineError::ReaderStalled`].
    pub reader_stall_max: Duration,
    /// Silence between sentences.
    pub pause: Duration,
    /// Threads that compute; as many as the processor has cores where it is none.
    pub threads: Option<usize>,
    /// Bytes for weights and working space.
    pub memory_bytes_max: u64,
}

impl Default for SynthesizerConfig {
    fn default() -> Self {
        Self {
            phonemizer: Phonemizer::default(),
            graph_sha256: None,
            places_max: 8,
            text_bytes_max: 16 << 10,
            unread_pieces_max: 2,
            reader_stall_max: Duration::from_secs(30),
            pause: Duration::from_millis(200), // Piper's own
            threads: None,
            memory_bytes_max: 2 << 30,
        }
    }
}

/// One voice on the CPU: a bounded queue in front of a thread of its own. Clones share the voice.
#[derive(Clone, Debug)]
pub struct Synthesizer {
    config: Arc<SynthesizerConfig>,
    front: Front<PiperModel, Job>,
}

impl Synthesizer {
    /// An engine that fetches and loads its voice on first use: a folder with `voice.onnx` and `voice.onnx.json`. Must be used within
    /// a tokio runtime with I/O and time.
    pub fn lazy(source: WeightsSource, config: SynthesizerConfig) -> Self {
        let budget = Budget::new(config.memory_bytes_max, ROOM_WAITED_MAX);
        Self::within(source, config, budget)
    }

    /// As [`Synthesizer::lazy`], within memory that other models share.
    pub fn within(source: WeightsSource, config: SynthesizerConfig, budget: Budget) -> Self {
        let config = Arc::new(config);
        let limits = config.clone();
        let front = Front::new(source, budget, (config.places_max, 1), move |folder, rooms, places, pace| {
            let (model, room) = PiperModel::load_planned(
                folder,
                limits.graph_sha256.as_deref(),
                limits.threads,
                |_, needs| {
                    needs.check(limits.memory_bytes_max)?;
                    rooms.take(&needs)
                },
            )?;
            let (config, pace, runtime) = (limits.clone(), pace.clone(), Handle::current());
            Running::start("voice", model, room, places, move |model, queue, unload| {
                Worker { model, config, pace, unload, runtime }.run(queue);
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
impl SpeechEngine for Synthesizer {
    async fn speak(&self, request: SpeechRequest) -> Result<Speech, EngineError> {
        request.validate(self.config.text_bytes_max)?;
        let place = self.front.place()?;
        let running = self.front.running().await?;
        let voice = &running.model.info().voice;
        request.validate_speaker(voice.speakers)?;
        let sample_rate = voice.sample_rate;
        let (sender, pieces) = mpsc::channel(self.config.unread_pieces_max.max(1));
        let (end, outcome) = oneshot::channel();
        running.submit(Job { request, pieces: sender, end, place })?;
        Ok(Speech { sample_rate, pieces, outcome: Some(outcome) })
    }

    async fn warm(&self) -> Result<PiperInfo, EngineError> {
        let info = self.front.warm().await?;
        let phonemizer = &self.config.phonemizer;
        phonemizer.probe(&info.voice.espeak_voice).await.map_err(ModelError::from)?;
        Ok(info)
    }

    async fn unload(&self) {
        self.front.unload().await;
    }

    fn state(&self) -> EngineState<PiperInfo> {
        self.front.state()
    }
}
