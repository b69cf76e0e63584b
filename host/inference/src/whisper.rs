//! Speech recognition by models of the Whisper family (Radford et al., “Robust Speech Recognition via Large-Scale Weak
//! Supervision”, arXiv:2212.04356) on the CPU, from CTranslate2's files. English-only models.
//!
//! A recording is heard in windows of 30 s. Each becomes a spectrogram, which the encoder turns into what was heard at each moment,
//! from which the decoder writes text and times.

mod alignment;
mod attention;
mod config;
mod decoder;
mod decoding;
mod encoder;
mod rules;
mod segments;
mod session;
mod shape;
mod spectrogram;
mod vocabulary;
mod weights;

use std::path::Path;

use crate::ctranslate2::{Dtype, Header, Limits, VariableReader};
use crate::error::ModelError;
use crate::gguf::Encoding;
use crate::kernels::cpu::Cpu;
use crate::kernels::{Kernels, PAGE_TOKENS};
use crate::llama::Precision;
use crate::planner::{Layer, Needs};
use crate::running::Described;
use crate::{folder, kernels};
use decoder::Decoder;
use encoder::Encoder;
use rules::Suppressed;
pub(crate) use session::Session;
pub use session::{Heard, Manner, Segment, Sound, Word};
pub use shape::{SAMPLE_RATE, Shape};
use spectrogram::Spectrogram;
use vocabulary::Vocabulary;
use weights::Weights;

/// The variables in a model's folder.
const WEIGHTS: &str = "model.bin";
const CONFIG: &str = "config.json";
const CONFIG_BYTES_MAX: u64 = 1 << 20;
const TOKENIZER: &str = "tokenizer.json";
/// Room for a vocabulary of a million pieces.
const TOKENIZER_BYTES_MAX: u64 = 64 << 20;

/// What a speech recogniser is and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WhisperInfo {
    /// Dimensions.
    pub shape: Shape,
    /// Weights, counted singly.
    pub parameters: u64,
    /// Bytes for weights, vocabulary and working space: what a loaded model takes before any request.
    pub memory_bytes: u64,
}

/// A loaded speech recogniser. Computing with it blocks; [`crate::Transcriber`] does so on a thread of its own.
#[derive(Debug)]
pub struct WhisperModel {
    info: WhisperInfo,
    shape: Shape,
    kernels: Cpu,
    spectrogram: Spectrogram<Cpu>,
    encoder: Encoder<Cpu>,
    decoder: Decoder<Cpu>,
    vocabulary: Vocabulary,
    suppressed: Suppressed,
    /// Heads of blocks of the decoder whose attention follows the sound.
    alignment_heads: Vec<(usize, usize)>,
}

impl WhisperModel {
    /// Load a folder as CTranslate2's converter makes it: `model.bin`, `config.json`, and beside them `tokenizer.json`. Blocks while it
    /// reads.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong; a damaged or hostile file takes no more memory than its length and its limits allow.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Ok(Self::load_planned(folder, None, |_, _| Ok::<_, ModelError>(()))?.0)
    }

    /// As [`WhisperModel::load`], on so many threads. `admit` decides from what is needed, before weights are read, and gives what is to be
    /// kept beside the model.
    pub(crate) fn load_planned<R, E: From<ModelError>>(
        folder: &Path,
        threads: Option<usize>,
        admit: impl FnOnce(&WhisperInfo, Needs) -> Result<R, E>,
    ) -> Result<(Self, R), E> {
        let (mut file, tokenizer, info, needs) = Self::described(folder)?;
        let shape = info.shape;
        let admitted = admit(&info, needs)?;
        let (suppressed, alignment_heads) =
            config::read(&folder::read(&folder.join(CONFIG), CONFIG_BYTES_MAX)?, &shape)?;
        let vocabulary = Vocabulary::from_json(&tokenizer, shape.vocabulary)?;
        drop(tokenizer);
        let kernels = Cpu::new(threads)?;
        let mut weights = Weights { kernels: &kernels, file: &mut file };
        let encoder = Encoder::load(&mut weights, shape)?;
        let decoder = Decoder::load(&mut weights, shape)?;
        let spectrogram = Spectrogram::new(&kernels, shape.mels)?;
        let model = Self {
            info,
            shape,
            kernels,
            spectrogram,
            encoder,
            decoder,
            vocabulary,
            suppressed,
            alignment_heads,
        };
        Ok((model, admitted))
    }

    /// What a folder's model is and takes, from its descriptions alone.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with them.
    pub fn inspect(folder: &Path) -> Result<WhisperInfo, ModelError> {
        Self::described(folder).map(|(_, _, info, _)| info)
    }

    fn described(folder: &Path) -> Result<(VariableReader, Vec<u8>, WhisperInfo, Needs), ModelError> {
        let mut file = VariableReader::open(&folder.join(WEIGHTS), Limits::default())?;
        let shape = Shape::of(&mut file)?;
        let tokenizer = folder::read(&folder.join(TOKENIZER), TOKENIZER_BYTES_MAX)?;
        let needs = needs(&shape, tokenizer.len(), encoding(file.header()));
        let info = WhisperInfo { shape, parameters: shape.parameters(), memory_bytes: needs.whole_bytes() };
        Ok((file, tokenizer, info, needs))
    }

    /// What the model is and what it takes.
    pub fn info(&self) -> &WhisperInfo {
        &self.info
    }

    /// The spectrogram of a whole window: a row for every 10 ms, a column for every band.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where `samples` are not those of a window.
    pub fn spectrogram(&self, samples: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.kernels.read(&self.bands(samples)?)
    }

    /// What the encoder hears at each moment of a whole window.
    ///
    /// # Errors
    /// As [`WhisperModel::spectrogram`].
    pub fn moments(&self, samples: &[f32]) -> Result<Vec<f32>, ModelError> {
        self.kernels.read(&self.hear(samples)?)
    }

    /// Scores for what follows each of `tokens`, in a whole window.
    ///
    /// # Errors
    /// As [`WhisperModel::spectrogram`], and where there are more tokens than positions or one is outside the vocabulary.
    pub fn scores(&self, samples: &[f32], tokens: &[u32]) -> Result<Vec<f32>, ModelError> {
        if tokens.iter().any(|token| *token as usize >= self.shape.vocabulary) {
            return Err(ModelError::Compute { reason: "a token is outside the vocabulary".to_owned() });
        }
        let mut window = self.decoder.window(&self.kernels, &self.hear(samples)?)?;
        let (scores, _) = self.decoder.read(&self.kernels, &mut window, tokens, tokens.len(), None)?;
        Ok(scores)
    }

    fn bands(&self, samples: &[f32]) -> Result<kernels::cpu::Tensor, ModelError> {
        let wanted = self.shape.window_samples();
        if samples.len() != wanted {
            let reason = format!("a window has {} samples, not {wanted}", samples.len());
            return Err(ModelError::Compute { reason });
        }
        self.spectrogram.of(&self.kernels, samples, self.shape.mels)
    }

    fn hear(&self, samples: &[f32]) -> Result<kernels::cpu::Tensor, ModelError> {
        self.encoder.encode(&self.kernels, &self.bands(samples)?)
    }
}

impl Described for WhisperModel {
    type Info = WhisperInfo;

    fn info(&self) -> &WhisperInfo {
        &self.info
    }
}

/// What no matrix of the file takes more than.
fn encoding(header: &Header) -> Encoding {
    let mut matrices = header.variables().filter(|(_, variable)| variable.shape.len() == 2);
    match matrices.all(|(_, variable)| matches!(variable.dtype, Dtype::F16 | Dtype::BF16)) {
        true => Encoding::F16,
        false => Encoding::F32,
    }
}

/// What the model takes: weights by the kernels' layout, the vocabulary, and one window at a time. Nothing overflows: every dimension
/// is bounded.
fn needs(shape: &Shape, tokenizer_bytes: usize, encoding: Encoding) -> Needs {
    let Shape { mels, moments, width, heads, feed_width, positions, vocabulary, .. } = *shape;
    let float = size_of::<f32>() as u64;
    let matrix = |rows, columns| Cpu::matrix_bytes(encoding, rows, columns, Precision::Exact);
    let turned = |rows, columns| Cpu::matrix_bytes(Encoding::F32, rows, columns, Precision::Exact);
    let attention = 4 * matrix(width, width) + float * 6 * width as u64;
    let feed =
        matrix(feed_width, width) + matrix(width, feed_width) + float * (3 * width + feed_width) as u64;
    let layer = |attentions: u64| Layer { weights_bytes: attentions * attention + feed, cache_bytes: 0 };
    let layers = [layer(1)].repeat(shape.encoder_blocks).into_iter();
    let pages = (moments.div_ceil(PAGE_TOKENS) + positions.div_ceil(PAGE_TOKENS)) as u64
        * Cpu::page_bytes(shape.page());
    // The finest rows of the encoder, its rows at each moment, their keys and values in pages, and the spectrogram with its sound.
    let fine = shape::FRAMES_PER_MOMENT * moments * (2 * width + 3 * mels + 2 * 402)
        + moments * (8 * width + feed_width)
        + 2 * shape.window_samples();
    // Scores of what may follow, in several forms, and attention that is aligned.
    let written = 4 * vocabulary + (heads * shape.decoder_blocks + 2) * positions * moments;
    Needs {
        ends_bytes: 4 * tokenizer_bytes as u64
            + matrix(vocabulary, width)
            + matrix(positions + moments, width)
            + turned(width, shape::TAPS * (mels + width))
            + Spectrogram::<Cpu>::bytes(mels),
        layers: layers.chain([layer(2)].repeat(shape.decoder_blocks)).collect(),
        workspace_bytes: pages + float * (fine + written) as u64,
        // The largest variable as floats; of the file itself only a piece at a time is in memory.
        staging_bytes: float * vocabulary as u64 * width as u64,
    }
}
