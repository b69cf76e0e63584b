//! A text model as one thing: weights, tokenizer and chat template out of one file.

use std::io::BufReader;
use std::path::Path;

use crate::error::ModelError;
use crate::floats;
use crate::gguf::{Header, Limits};
use crate::kernels::cpu::Cpu;
use crate::kernels::{Kernels, PAGE_TOKENS};
use crate::language::Language;
use crate::llama::{KvCache, Llama, Precision, Shape, Slice};
use crate::planner::{Layer, Needs};
use crate::pretrained;
use crate::request::Message;
use crate::tensors::{TensorFile, TensorSource};
use crate::tokenizer::Tokenizer;

/// Tokens that one step of prompt processing takes at most: bounds a step's time and its working memory.
pub const PREFILL_TOKENS_MAX: usize = 64;

/// What a model is and what it takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// The name in the file.
    pub name: String,
    /// Tokens of prompt and answer together.
    pub context_tokens: usize,
    /// Weights, counted singly.
    pub parameters: u64,
    /// Bytes for weights, tables and working space: what a loaded model takes before any request.
    pub memory_bytes: u64,
    /// Whether that is a card's memory, and a card computes.
    pub on_card: bool,
    /// Bytes that each page of [`PAGE_TOKENS`] tokens of a running request adds.
    pub cache_bytes_per_page: u64,
}

impl ModelInfo {
    /// Bytes of attention cache for a request of so many tokens, prompt and answer together.
    pub fn cache_bytes(&self, tokens: usize) -> u64 {
        tokens.div_ceil(PAGE_TOKENS) as u64 * self.cache_bytes_per_page
    }
}

/// The attention cache of one sequence of a [`TextModel`].
pub type TextCache<K = Cpu> = KvCache<<K as Kernels>::Page>;

/// A loaded model. Computing with it blocks; [`crate::Engine`] does so on a thread of its own.
#[derive(Debug)]
pub struct TextModel<K: Kernels = Cpu> {
    info: ModelInfo,
    language: Language,
    llama: Llama<K>,
}

impl TextModel {
    /// Load a GGUF file of the llama family, or a folder as transformers saves it: `config.json`, `tokenizer.json`,
    /// `tokenizer_config.json` and safetensors. Blocks while it reads.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with the file; a damaged or hostile one takes no more memory than its length
    /// and [`Limits`] allow.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, ModelError> {
        Self::load_within(path, Precision::default(), None, u64::MAX)
    }

    /// As [`TextModel::load`] at a chosen precision and on so many threads (else on all cores), but refuse before reading weights
    /// where more than `memory_bytes_max` would be needed.
    ///
    /// # Errors
    /// [`ModelError::DoesNotFit`] with both numbers, and those of [`TextModel::load`].
    pub fn load_within(
        path: impl AsRef<Path>,
        precision: Precision,
        threads: Option<usize>,
        memory_bytes_max: u64,
    ) -> Result<Self, ModelError> {
        let file = TextFile::open(path.as_ref(), precision)?;
        file.needs::<Cpu>().check(memory_bytes_max)?;
        file.load(Cpu::new(threads)?)
    }

    /// What a file's model is and takes on the processor, from its header alone.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with the file.
    pub fn inspect(path: &Path, precision: Precision) -> Result<ModelInfo, ModelError> {
        Ok(TextFile::open(path, precision)?.info::<Cpu>())
    }
}

impl<K: Kernels> TextModel<K> {
    /// As [`TextModel::load`], computed by `kernels`.
    ///
    /// # Errors
    /// Those of [`TextModel::load`], and what the device says.
    pub fn load_on(path: impl AsRef<Path>, kernels: K, precision: Precision) -> Result<Self, ModelError> {
        TextFile::open(path.as_ref(), precision)?.load(kernels)
    }

    /// What the model is and what it takes.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        self.language.tokenizer()
    }

    /// Render a conversation with the model's template and encode it, ready for the answer to follow.
    ///
    /// Control tokens written inside a message stay plain text.
    ///
    /// # Errors
    /// [`ModelError::Template`] where the template refuses the messages, [`ModelError::Tokenizer`] where the text
    /// cannot be encoded.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        self.language.prompt(messages)
    }

    /// An empty cache for a sequence of at most `tokens_max` tokens.
    pub fn new_cache(&self, tokens_max: usize) -> TextCache<K> {
        KvCache::new(self.llama.shape(), tokens_max)
    }

    /// Run `tokens` after what `cache` holds: the scores for the token that follows, one per token of the vocabulary.
    ///
    /// # Errors
    /// [`ModelError::Compute`], as [`Llama::forward`].
    pub fn forward(&self, tokens: &[u32], cache: &mut TextCache<K>) -> Result<Vec<f32>, ModelError> {
        self.llama.forward(&mut [Slice { cache, tokens, scored: true }])
    }

    /// Several sequences in one pass: see [`Llama::forward`].
    ///
    /// # Errors
    /// [`ModelError::Compute`], as [`Llama::forward`].
    pub fn forward_batch(&self, batch: &mut [Slice<'_, K::Page>]) -> Result<Vec<f32>, ModelError> {
        self.llama.forward(batch)
    }

    /// What the engine keeps apart: words for all threads, weights for the one that computes.
    pub(crate) fn into_parts(self) -> (ModelInfo, Language, Llama<K>) {
        (self.info, self.language, self.llama)
    }
}

/// A file, or a folder, of which the header was read, and nothing else yet.
pub(crate) struct TextFile {
    source: TensorSource,
    header: Header,
    shape: Shape,
}

impl TextFile {
    pub(crate) fn open(path: &Path, precision: Precision) -> Result<Self, ModelError> {
        let (header, source) = if path.is_dir() {
            let (header, shards) = pretrained::open(path)?;
            (header, TensorSource::Shards(shards))
        } else {
            let (file, length) =
                floats::open(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
            let header = Header::read(BufReader::new(&file), length, path, Limits::default())?;
            (header, TensorSource::File(file, path.to_owned()))
        };
        let vocabulary =
            header.get("tokenizer.ggml.tokens").and_then(|value| value.as_texts()).map_or(0, <[String]>::len);
        let shape = Shape::from_gguf(&header, vocabulary, precision)?;
        Ok(Self { source, header, shape })
    }

    /// What the model takes with these kernels. Attention cache is not among it yet.
    pub(crate) fn needs<K: Kernels>(&self) -> Needs {
        needs::<K>(&self.header, &self.shape)
    }

    /// What the model is, and what it takes with these kernels.
    pub(crate) fn info<K: Kernels>(&self) -> ModelInfo {
        describe::<K>(&self.header, &self.shape, &self.needs::<K>())
    }

    /// Read the weights.
    pub(crate) fn load<K: Kernels>(self, kernels: K) -> Result<TextModel<K>, ModelError> {
        let info = self.info::<K>();
        let language = Language::from_gguf(&self.header)?;
        let mut tensors = TensorFile::new(self.source, self.header, self.shape.precision);
        let llama = Llama::load(kernels, &mut tensors, self.shape)?;
        Ok(TextModel { info, language, llama })
    }
}

fn needs<K: Kernels>(header: &Header, shape: &Shape) -> Needs {
    let weights = |name: &str| {
        header.tensor(name).map_or(0, |entry| match entry.shape.split_last() {
            // Norms become floats; matrices have the kernels' layout.
            Some((columns, [])) => (columns * size_of::<f32>()) as u64,
            Some((columns, outer)) => {
                K::matrix_bytes(entry.encoding, outer.iter().product(), *columns, shape.precision)
            }
            None => 0,
        })
    };
    let sum = |bytes: u64, name: String| bytes.saturating_add(weights(&name));
    let parts = [
        "attn_norm",
        "attn_q",
        "attn_k",
        "attn_v",
        "attn_output",
        "ffn_norm",
        "ffn_gate",
        "ffn_up",
        "ffn_down",
    ];
    let layer = |index: usize| Layer {
        weights_bytes: parts.iter().map(|part| format!("blk.{index}.{part}.weight")).fold(0, sum),
        cache_bytes: 0,
    };
    // The last product is none where it is tied: scores use the embedding.
    let ends = ["token_embd", "output", "output_norm"].map(|part| format!("{part}.weight"));
    let widest = shape.vocabulary.max(3 * shape.feed_width);
    Needs {
        ends_bytes: ends.into_iter().fold(shape.rotation_bytes(), sum),
        layers: (0..shape.blocks).map(layer).collect(),
        workspace_bytes: (PREFILL_TOKENS_MAX * widest * size_of::<f32>() * 3) as u64
            + Cpu::attention_bytes(shape.context),
        staging_bytes: header.largest_bytes(),
    }
}

fn describe<K: Kernels>(header: &Header, shape: &Shape, needs: &Needs) -> ModelInfo {
    let name = header.get("general.name").and_then(|value| value.as_str()).unwrap_or("unnamed");
    ModelInfo {
        name: name.chars().filter(|c| !c.is_control()).take(256).collect(),
        context_tokens: shape.context,
        parameters: header.parameters(),
        memory_bytes: needs.whole_bytes(),
        on_card: false,
        cache_bytes_per_page: K::page_bytes(shape.page()),
    }
}
