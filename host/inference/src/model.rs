//! A text model as one thing: weights, tokenizer and chat template out of one file.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use crate::chat_template::ChatTemplate;
use crate::error::ModelError;
use crate::gguf::{Header, Limits};
use crate::kernels::cpu::{Cpu, Page};
use crate::kernels::{Kernels, PAGE_TOKENS};
use crate::llama::{KvCache, Llama, Precision, Shape, Slice};
use crate::planner::{Layer, Needs};
use crate::request::Message;
use crate::tensors::TensorFile;
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
pub type TextCache = KvCache<Page>;

/// A loaded model. Computing with it blocks; [`crate::Engine`] does so on a thread of its own.
#[derive(Debug)]
pub struct TextModel {
    info: ModelInfo,
    llama: Llama<Cpu>,
    tokenizer: Tokenizer,
    template: ChatTemplate,
}

impl TextModel {
    /// Load a GGUF file of the llama family. Blocks while it reads.
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
        let admit = |_: &ModelInfo, needs: Needs| needs.check(memory_bytes_max);
        Ok(Self::load_planned(path.as_ref(), precision, threads, admit)?.0)
    }

    /// What a file's model is and takes, from its header alone.
    ///
    /// # Errors
    /// [`ModelError`] says what is wrong with the file.
    pub fn inspect(path: &Path, precision: Precision) -> Result<ModelInfo, ModelError> {
        let seen =
            Self::load_planned(path, precision, Some(1), |info, _| Err::<(), _>(Seen::Info(info.clone())));
        match seen {
            Err(Seen::Info(info)) => Ok(info),
            Err(Seen::Error(error)) => Err(error),
            Ok(_) => {
                Err(ModelError::Compute { reason: "a model that was only looked at was loaded".to_owned() })
            }
        }
    }

    /// As [`TextModel::load_within`], where `admit` decides from what is needed, before weights are read, and gives what is
    /// to be kept beside the model.
    pub(crate) fn load_planned<R, E: From<ModelError>>(
        path: &Path,
        precision: Precision,
        threads: Option<usize>,
        admit: impl FnOnce(&ModelInfo, Needs) -> Result<R, E>,
    ) -> Result<(Self, R), E> {
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let file = File::open(path).map_err(io)?;
        let metadata = file.metadata().map_err(io)?;
        if !metadata.is_file() {
            return Err(io(std::io::Error::other("not a regular file")).into());
        }
        let header = Header::read(BufReader::new(&file), metadata.len(), path, Limits::default())?;
        let vocabulary =
            header.get("tokenizer.ggml.tokens").and_then(|value| value.as_texts()).map_or(0, <[String]>::len);
        let shape = Shape::from_gguf(&header, vocabulary)?;
        let needs = needs(&header, &shape, precision);
        let info = describe(&header, &shape, &needs);
        let admitted = admit(&info, needs)?;
        let tokenizer = Tokenizer::from_gguf(&header)?;
        let template =
            ChatTemplate::parse(header.text("tokenizer.chat_template")?, tokenizer.bos(), tokenizer.eos())?;
        let mut tensors = TensorFile::new(file, path.to_owned(), header, precision);
        let llama = Llama::load(Cpu::new(threads)?, &mut tensors, shape)?;
        Ok((Self { info, llama, tokenizer, template }, admitted))
    }

    /// What the model is and what it takes.
    pub fn info(&self) -> &ModelInfo {
        &self.info
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// Render a conversation with the model's template and encode it, ready for the answer to follow.
    ///
    /// Control tokens written inside a message stay plain text.
    ///
    /// # Errors
    /// [`ModelError::Template`] where the template refuses the messages, [`ModelError::Tokenizer`] where the text
    /// cannot be encoded.
    pub fn prompt(&self, messages: &[Message]) -> Result<Vec<u32>, ModelError> {
        let suspicious = messages.iter().any(|message| self.tokenizer.has_control_text(&message.text));
        if !suspicious {
            return self.tokenizer.encode_prompt(&self.template.render(messages)?, None);
        }
        // A noncharacter that no message uses is put between the characters of every message, so that nothing in them
        // reads as a control token once rendered; encoding takes it out again.
        let guard = ('\u{FDD0}'..='\u{FDEF}')
            .find(|guard| messages.iter().all(|message| !message.text.contains(*guard)))
            .ok_or_else(|| ModelError::Tokenizer {
                reason: "the messages use every noncharacter".to_owned(),
            })?;
        let guarded: Vec<Message> = messages
            .iter()
            .map(|message| Message::new(message.role, self.guarded(&message.text, guard)))
            .collect();
        self.tokenizer.encode_prompt(&self.template.render(&guarded)?, Some(guard))
    }

    /// Break up every control token's text; text without one is left as it is.
    fn guarded(&self, text: &str, guard: char) -> String {
        if !self.tokenizer.has_control_text(text) {
            return text.to_owned();
        }
        let mut guarded = String::with_capacity(text.len() * 4);
        for (index, character) in text.chars().enumerate() {
            // Not before the first: a template may trim there.
            if index > 0 {
                guarded.push(guard);
            }
            guarded.push(character);
        }
        guarded
    }

    /// An empty cache for a sequence of at most `tokens_max` tokens.
    pub fn new_cache(&self, tokens_max: usize) -> TextCache {
        KvCache::new(self.llama.shape(), tokens_max)
    }

    /// Run `tokens` after what `cache` holds: the scores for the token that follows, one per token of the vocabulary.
    ///
    /// # Errors
    /// [`ModelError::Compute`], as [`Llama::forward`].
    pub fn forward(&self, tokens: &[u32], cache: &mut TextCache) -> Result<Vec<f32>, ModelError> {
        self.llama.forward(&mut [Slice { cache, tokens, scored: true }])
    }

    /// Tokens that the model knows: the length of a row of scores.
    pub fn vocabulary(&self) -> usize {
        self.llama.shape().vocabulary
    }

    /// Several sequences in one pass: see [`Llama::forward`].
    ///
    /// # Errors
    /// [`ModelError::Compute`], as [`Llama::forward`].
    pub fn forward_batch(&self, batch: &mut [Slice<'_, Page>]) -> Result<Vec<f32>, ModelError> {
        self.llama.forward(batch)
    }
}

/// What came of looking at a file.
enum Seen {
    Info(ModelInfo),
    Error(ModelError),
}

impl From<ModelError> for Seen {
    fn from(error: ModelError) -> Self {
        Self::Error(error)
    }
}

/// What the model takes, from the header alone. Attention cache is not among it yet.
fn needs(header: &Header, shape: &Shape, precision: Precision) -> Needs {
    let weights = |name: &str| {
        header.tensor(name).map_or(0, |entry| match entry.shape.split_last() {
            // Norms become floats; matrices have the kernels' layout.
            Some((columns, [])) => (columns * size_of::<f32>()) as u64,
            Some((columns, outer)) => {
                Cpu::matrix_bytes(entry.encoding, outer.iter().product(), *columns, precision)
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
    let widest = shape.vocabulary.max(3 * shape.feed_width).max(shape.heads * shape.context);
    Needs {
        ends_bytes: ends.into_iter().fold(shape.rotation_bytes(), sum),
        layers: (0..shape.blocks).map(layer).collect(),
        workspace_bytes: (PREFILL_TOKENS_MAX * widest * size_of::<f32>() * 3) as u64,
        staging_bytes: header.largest_bytes(),
    }
}

fn describe(header: &Header, shape: &Shape, needs: &Needs) -> ModelInfo {
    let name = header.get("general.name").and_then(|value| value.as_str()).unwrap_or("unnamed");
    ModelInfo {
        name: name.chars().filter(|c| !c.is_control()).take(256).collect(),
        context_tokens: shape.context,
        parameters: header.parameters(),
        memory_bytes: needs.whole_bytes(),
        cache_bytes_per_page: shape.page().bytes(),
    }
}
