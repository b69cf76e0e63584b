//! The thread that speaks: one text after another, sentence by sentence.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot, watch};

use super::request::invalid;
use super::{SpeechRequest, SynthesizerConfig};
use crate::error::{EngineError, ModelError};
use crate::pace::Pace;
use crate::piper::{Clause, LENGTH_MAX, LENGTH_MIN, PiperModel, Scales, sentences};

/// How often a thread that waits for its reader looks whether the voice is being unloaded.
const LOOK: Duration = Duration::from_millis(50);

/// A request ready to run, with the place that it holds until it ends.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) request: SpeechRequest,
    pub(super) pieces: mpsc::Sender<Vec<i16>>,
    pub(super) end: oneshot::Sender<Result<(), EngineError>>,
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) struct Worker {
    pub(super) model: Arc<PiperModel>,
    pub(super) config: Arc<SynthesizerConfig>,
    pub(super) pace: Arc<Pace>,
    pub(super) unload: watch::Receiver<bool>,
    /// Where eSpeak NG is waited for.
    pub(super) runtime: Handle,
}

/// Why a text is not spoken on.
enum Halt {
    /// Nobody listens any more.
    Left,
    Failed(EngineError),
}

impl From<EngineError> for Halt {
    fn from(error: EngineError) -> Self {
        Self::Failed(error)
    }
}

impl From<ModelError> for Halt {
    fn from(error: ModelError) -> Self {
        Self::Failed(error.into())
    }
}

impl Worker {
    /// Work until the queue is closed and everything admitted has ended; once unloading, everything ends at once.
    pub(super) fn run(self, mut queue: mpsc::Receiver<Job>) {
        while let Some(Job { request, pieces, end, place }) = queue.blocking_recv() {
            let started = Instant::now();
            // A panic in a kernel costs this request, not the engine: a sentence leaves nothing behind.
            let outcome =
                catch_unwind(AssertUnwindSafe(|| self.speak(&request, &pieces))).unwrap_or_else(|_| {
                    Err(ModelError::Compute { reason: "a kernel panicked".to_owned() }.into())
                });
            let outcome = match outcome {
                Ok(()) => {
                    self.pace.record(started.elapsed());
                    Ok(())
                }
                // Who left is told nothing.
                Err(Halt::Left) => Ok(()),
                Err(Halt::Failed(error)) => {
                    if matches!(error, EngineError::Model(_)) {
                        tracing::error!(%error, "speaking failed");
                    }
                    Err(error)
                }
            };
            // The caller may have left meanwhile.
            let _ = end.send(outcome);
            drop((pieces, place));
        }
    }

    fn speak(&self, request: &SpeechRequest, pieces: &mpsc::Sender<Vec<i16>>) -> Result<(), Halt> {
        let voice = &self.model.info().voice;
        let length = (voice.scales.length / request.speed).clamp(LENGTH_MIN, LENGTH_MAX);
        let scales = Scales { length, ..voice.scales };
        let pause = (self.config.pause.as_secs_f64() * f64::from(voice.sample_rate)) as usize;
        let mut is_first = true;
        for sentence in sentences(&request.text) {
            self.go_on(pieces)?;
            let phonemes = self.phonemes(&sentence, pieces)?;
            let mut silence = pause;
            for row in self.model.rows(&phonemes, length) {
                self.go_on(pieces)?;
                let sound = self.model.speak(&row, scales, request.speaker)?;
                // A sentence in several rows has no pause within.
                let mut piece = vec![0; if is_first { 0 } else { std::mem::take(&mut silence) }];
                is_first = false;
                piece.extend(sound.into_iter().map(to_pcm));
                self.send(pieces, piece)?;
            }
        }
        if is_first {
            return Err(invalid("input", "there is nothing in it that can be spoken".to_owned()).into());
        }
        Ok(())
    }

    fn go_on(&self, pieces: &mpsc::Sender<Vec<i16>>) -> Result<(), Halt> {
        if *self.unload.borrow() {
            return Err(EngineError::Unloaded.into());
        }
        if pieces.is_closed() { Err(Halt::Left) } else { Ok(()) }
    }

    /// The phonemes of a sentence, each clause with its mark.
    fn phonemes(&self, sentence: &[Clause], pieces: &mpsc::Sender<Vec<i16>>) -> Result<String, Halt> {
        let voice = &self.model.info().voice.espeak_voice;
        let mut phonemes = String::new();
        for clause in sentence {
            self.go_on(pieces)?;
            let said = self.runtime.block_on(self.config.phonemizer.phonemes(voice, &clause.text));
            let said = said.map_err(ModelError::from)?;
            if said.is_empty() {
                continue;
            }
            if !phonemes.is_empty() {
                phonemes.push(' ');
            }
            phonemes.push_str(&said);
            phonemes.push(clause.mark);
        }
        Ok(phonemes)
    }

    /// Give a piece to a reader who may be slow, for a while.
    fn send(&self, pieces: &mpsc::Sender<Vec<i16>>, mut piece: Vec<i16>) -> Result<(), Halt> {
        let stalled_at = Instant::now() + self.config.reader_stall_max;
        loop {
            match self.runtime.block_on(pieces.send_timeout(piece, LOOK)) {
                Ok(()) => return Ok(()),
                Err(SendTimeoutError::Closed(_)) => return Err(Halt::Left),
                Err(SendTimeoutError::Timeout(kept)) => piece = kept,
            }
            self.go_on(pieces)?;
            if Instant::now() >= stalled_at {
                return Err(EngineError::ReaderStalled { waited: self.config.reader_stall_max }.into());
            }
        }
    }
}

/// A sample from −1 to 1 as a 16-bit one; what is beyond is cut.
fn to_pcm(sample: f32) -> i16 {
    (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16
}
