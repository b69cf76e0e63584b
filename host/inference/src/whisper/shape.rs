//! The dimensions of a Whisper model, from the variables of its file.

use crate::ctranslate2::VariableReader;
use crate::dimension::{bad, bounded};
use crate::error::ModelError;
use crate::kernels::PageShape;
use crate::llama::Precision;

/// Samples of a second: the only rate that the models hear.
pub const SAMPLE_RATE: usize = 16_000;
/// Samples between two frames of the spectrogram.
pub const HOP_SAMPLES: usize = 160;
/// Frames of the spectrogram that make one moment of the encoder.
pub const FRAMES_PER_MOMENT: usize = 2;
/// Taps of both convolutions.
pub(super) const TAPS: usize = 3;

/// Vocabularies of this size and larger are those of models for many languages.
const MULTILINGUAL_VOCABULARY: usize = 51_865;
const WIDTH_MAX: usize = 1 << 13;
const FEED_WIDTH_MAX: usize = 1 << 15;
const BLOCKS_MAX: usize = 128;
const MOMENTS_MAX: usize = 1 << 13;
const POSITIONS_MAX: usize = 1 << 13;
const MELS_MAX: usize = 512;
const VOCABULARY_MAX: usize = 1 << 20;

/// Dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bands of the spectrogram.
    pub mels: usize,
    /// Moments that the encoder gives for one window.
    pub moments: usize,
    /// Width of the hidden states.
    pub width: usize,
    /// Attention heads; divides `width`.
    pub heads: usize,
    /// Width inside the feed-forward parts.
    pub feed_width: usize,
    /// Blocks of the encoder.
    pub encoder_blocks: usize,
    /// Blocks of the decoder.
    pub decoder_blocks: usize,
    /// Tokens that the decoder reads and writes for one window.
    pub positions: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
}

impl Shape {
    /// Read and check the dimensions.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for another kind of model, [`ModelError::BadTensor`] for one whose variables do not fit together.
    pub fn of(file: &mut VariableReader) -> Result<Self, ModelError> {
        let found = file.header().specification().chars().take(64).collect::<String>();
        if found != "WhisperSpec" {
            return Err(ModelError::Unsupported { what: "model", found, known: "WhisperSpec" });
        }
        let [moments, width] = dimensions(file, "encoder/position_encodings/encodings")?;
        let [positions, _] = dimensions(file, "decoder/position_encodings/encodings")?;
        let [vocabulary, _] = dimensions(file, "decoder/embeddings/weight")?;
        let [_, mels, _] = dimensions(file, "encoder/conv1/weight")?;
        let [feed_width, _] = dimensions(file, "encoder/layer_0/ffn/linear_0/weight")?;
        if vocabulary >= MULTILINGUAL_VOCABULARY {
            let found = format!("of {vocabulary} tokens, for many languages,");
            return Err(ModelError::Unsupported {
                what: "vocabulary",
                found,
                known: "that of English-only models (51864 tokens)",
            });
        }
        expect(file, "encoder/num_heads", None)?;
        let heads = expect(file, "decoder/num_heads", None)?;
        expect(file, "encoder/num_heads", Some(heads))?;
        expect(file, "decoder/pre_norm", Some(1))?;
        // CTranslate2's number of the unit in its exact form.
        expect(file, "decoder/activation", Some(3))?;
        expect(file, "decoder/alibi", Some(0))?;
        expect(file, "decoder/scale_embeddings", Some(0))?;
        let blocks = |part: &str| {
            let has = |index: &usize| {
                let name = format!("{part}/layer_{index}/self_attention/linear_0/weight");
                file.header().variable(&name).is_some()
            };
            (0..=BLOCKS_MAX).take_while(has).count()
        };
        let shape = Self {
            mels: bounded("bands", mels, MELS_MAX)?,
            moments: bounded("moments", moments, MOMENTS_MAX)?,
            width: bounded("width", width, WIDTH_MAX)?,
            heads: bounded("heads", heads.try_into().unwrap_or(0), WIDTH_MAX)?,
            feed_width: bounded("feed-forward width", feed_width, FEED_WIDTH_MAX)?,
            encoder_blocks: bounded("encoder blocks", blocks("encoder"), BLOCKS_MAX)?,
            decoder_blocks: bounded("decoder blocks", blocks("decoder"), BLOCKS_MAX)?,
            positions: bounded("positions", positions, POSITIONS_MAX)?,
            vocabulary: bounded("vocabulary", vocabulary, VOCABULARY_MAX)?,
        };
        if !shape.width.is_multiple_of(shape.heads) {
            return Err(bad("heads", shape.heads, "they do not divide the width"));
        }
        Ok(shape)
    }

    /// Samples of one window.
    pub fn window_samples(&self) -> usize {
        self.moments * FRAMES_PER_MOMENT * HOP_SAMPLES
    }

    /// A page of keys and values for every block of the decoder.
    pub fn page(&self) -> PageShape {
        PageShape {
            blocks: self.decoder_blocks,
            kv_heads: self.heads,
            head_width: self.width / self.heads,
            // The decoder waits for what was heard, which it reads whole for each token.
            precision: Precision::Fast,
        }
    }

    /// Weights, counted singly.
    pub fn parameters(&self) -> u64 {
        let (width, feed) = (self.width, self.feed_width);
        let norm = 2 * width;
        let attention = 4 * (width * width + width) + norm;
        let feed = 2 * width * feed + width + feed + norm;
        let convolutions = TAPS * width * (self.mels + width) + 2 * width;
        let encoder = convolutions + self.moments * width + self.encoder_blocks * (attention + feed) + norm;
        let decoder =
            (self.vocabulary + self.positions) * width + self.decoder_blocks * (2 * attention + feed) + norm;
        (encoder + decoder) as u64
    }
}

/// A variable's dimensions, where it has `N`.
fn dimensions<const N: usize>(file: &VariableReader, name: &str) -> Result<[usize; N], ModelError> {
    let bad = |reason: String| ModelError::BadTensor { name: name.to_owned(), reason };
    let variable = file.header().variable(name).ok_or_else(|| bad("it is missing".to_owned()))?;
    let shape = variable.shape.as_slice();
    shape.try_into().map_err(|_| bad(format!("it has {} dimensions, not {N}", shape.len())))
}

/// A single whole number, which must be the one wanted.
fn expect(file: &mut VariableReader, name: &str, wanted: Option<i16>) -> Result<i16, ModelError> {
    let found = file.whole(name)?;
    match wanted {
        Some(wanted) if wanted != found => Err(bad(name, found, &format!("it is not {wanted}"))),
        _ => Ok(found),
    }
}
