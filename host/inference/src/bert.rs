//! Sentence encoders of the BERT family on the CPU: a text becomes one vector of length 1.
//!
//! The encoder is that of Devlin et al., “BERT: Pre-training of Deep Bidirectional Transformers for Language
//! Understanding” (arXiv:1810.04805); a text's vector is the mean of its tokens' last hidden states, divided by its
//! length, as sentence-transformers does for models with mean pooling (Reimers and Gurevych, arXiv:1908.10084).

mod encoder;
mod folder;
mod shape;
mod word_pieces;

use std::path::Path;

use crate::error::ModelError;
use crate::gguf::Encoding;
use crate::kernels::Kernels;
use crate::kernels::cpu::Cpu;
use crate::llama::Precision;
use crate::planner::{Layer, Needs};
use crate::running::Described;
use crate::safetensors::{Limits, TensorReader};
use encoder::Encoder;
pub use shape::Shape;
pub use word_pieces::WordPieces;

/// What an encoder is and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BertInfo {
    /// Numbers in a vector.
    pub dimensions: usize,
    /// Tokens of one text, the marks that begin and end it included.
    pub tokens_max: usize,
    /// Weights, counted singly.
    pub parameters: u64,
    /// Bytes for weights, vocabulary and working space: what a loaded model takes before any request.
    pub memory_bytes: u64,
}

/// A loaded encoder. Computing with it blocks; [`crate::Embedder`] does so on a thread of its own.
#[derive(Debug)]
pub struct BertModel {
    info: BertInfo,
    pieces: WordPieces,
    encoder: Encoder<Cpu>,
}

impl BertModel {
    /// Load a folder as sentence-transformers has it: `config.json`, `tokenizer.json`, `model.safetensors`, and where they
    /// are there `sentence_bert_config.json` and `1_Pooling/config.json`. Blocks while it reads.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong; a damaged or hostile file takes no more memory than its length and its limits
    /// allow.
    pub fn load(folder: &Path) -> Result<Self, ModelError> {
        Self::load_on(folder, None)
    }

    /// As [`BertModel::load`], on so many threads; as many as the processor runs at once where it is none.
    ///
    /// # Errors
    /// As [`BertModel::load`].
    pub fn load_on(folder: &Path, threads: Option<usize>) -> Result<Self, ModelError> {
        Ok(Self::load_planned(folder, 0, threads, |_, _| Ok::<_, ModelError>(()))?.0)
    }

    /// As [`BertModel::load`], for packs of up to `pack_tokens` tokens or one text. `admit` decides from what is needed,
    /// before weights are read, and gives what is to be kept beside the model.
    pub(crate) fn load_planned<R, E: From<ModelError>>(
        folder: &Path,
        pack_tokens: usize,
        threads: Option<usize>,
        admit: impl FnOnce(&BertInfo, Needs) -> Result<R, E>,
    ) -> Result<(Self, R), E> {
        let (shape, info, needs, vocabulary) = Self::described(folder, pack_tokens)?;
        let tokens_max = info.tokens_max;
        let admitted = admit(&info, needs)?;
        let pieces = WordPieces::from_json(&vocabulary, shape.vocabulary)?;
        drop(vocabulary);
        let mut tensors = TensorReader::open(&folder.join(folder::WEIGHTS), Limits::default())?;
        let encoder = Encoder::load(Cpu::new(threads)?, &mut tensors, shape, tokens_max)?;
        Ok((Self { info, pieces, encoder }, admitted))
    }

    /// What a folder's model is and takes, from its descriptions alone.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with them.
    pub fn inspect(folder: &Path) -> Result<BertInfo, ModelError> {
        Self::described(folder, 0).map(|(_, info, _, _)| info)
    }

    fn described(folder: &Path, pack_tokens: usize) -> Result<(Shape, BertInfo, Needs, Vec<u8>), ModelError> {
        let shape = Shape::from_json(&folder::read_config(folder)?)?;
        let tokens_max = folder::tokens_max(folder, shape.positions)?;
        folder::check_pooling(folder)?;
        let vocabulary = folder::read_tokenizer(folder)?;
        let needs = needs(&shape, tokens_max, tokens_max.max(pack_tokens), vocabulary.len());
        let info = BertInfo {
            dimensions: shape.width,
            tokens_max,
            parameters: shape.parameters(),
            memory_bytes: needs.whole_bytes(),
        };
        Ok((shape, info, needs, vocabulary))
    }

    /// What the model is and what it takes.
    pub fn info(&self) -> &BertInfo {
        &self.info
    }

    /// The tokenizer.
    pub fn pieces(&self) -> &WordPieces {
        &self.pieces
    }

    /// Vectors of texts that are tokens already, marks included. The texts are computed side by side, without padding.
    ///
    /// # Errors
    /// [`ModelError::Compute`] for a text that is empty, too long, or has an unknown token.
    pub fn embed(&self, texts: &[&[u32]]) -> Result<Vec<Vec<f32>>, ModelError> {
        let tokens_max = self.info.tokens_max;
        if let Some(text) = texts.iter().find(|text| text.is_empty() || text.len() > tokens_max) {
            let reason = format!("a text has {} tokens, not 1 to {tokens_max}", text.len());
            return Err(ModelError::Compute { reason });
        }
        self.encoder.embed(texts)
    }
}

impl Described for BertModel {
    type Info = BertInfo;

    fn info(&self) -> &BertInfo {
        &self.info
    }
}

/// What the model takes: weights by the kernels' layout, the vocabulary, a pack of `pack_tokens` tokens in texts of up to
/// `tokens_max`. Nothing overflows: every dimension is bounded.
fn needs(shape: &Shape, tokens_max: usize, pack_tokens: usize, vocabulary_bytes: usize) -> Needs {
    let (float, width, feed) = (size_of::<f32>() as u64, shape.width, shape.feed_width);
    let matrix = |rows, columns| Cpu::matrix_bytes(Encoding::F32, rows, columns, Precision::Exact);
    // Biases of six products, and two norms of two vectors each.
    let vectors = float * (9 * width + feed) as u64;
    let layer = Layer {
        weights_bytes: 4 * matrix(width, width) + matrix(feed, width) + matrix(width, feed) + vectors,
        cache_bytes: 0,
    };
    let row = 10 * width + 3 * feed;
    let scores = 3 * shape.heads as u64 * (tokens_max * tokens_max) as u64;
    let longest = shape.vocabulary.max(shape.positions).max(shape.kinds).max(feed).max(width);
    Needs {
        // A piece's text and its number, in the tables of both directions.
        ends_bytes: 4 * vocabulary_bytes as u64
            + matrix(shape.vocabulary, width)
            + matrix(tokens_max, width)
            + 2 * float * width as u64,
        layers: vec![layer; shape.blocks],
        workspace_bytes: float * (pack_tokens as u64 * row as u64 + scores),
        // The largest tensor as floats; of the file itself only a piece at a time is in memory.
        staging_bytes: float * longest as u64 * width as u64,
    }
}
