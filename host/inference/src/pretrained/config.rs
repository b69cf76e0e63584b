//! `config.json`: dimensions and constants, by the names of transformers' `LlamaConfig`.

use std::collections::HashMap;
use std::f64::consts::TAU;
use std::path::Path;

use serde::Deserialize;

use crate::dimension::{bad, bounded};
use crate::error::ModelError;
use crate::folder;
use crate::gguf::Value;

const CONFIG_BYTES_MAX: u64 = 64 << 10;
/// The largest that a model of today has, many times over.
const BLOCKS_MAX: usize = 1024;
const WIDTH_MAX: usize = 1 << 20;
const VOCABULARY_MAX: usize = 1 << 20;

#[derive(Deserialize)]
struct File {
    model_type: String,
    #[serde(default = "silu")]
    hidden_act: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    max_position_embeddings: usize,
    vocab_size: usize,
    rms_norm_eps: f64,
    rope_theta: Option<f64>,
    rope_scaling: Option<Rope>,
    /// Where newer versions have both.
    rope_parameters: Option<Rope>,
    sliding_window: Option<usize>,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default, rename = "_name_or_path")]
    name: String,
}

/// How positions become angles.
#[derive(Deserialize)]
struct Rope {
    #[serde(alias = "type")]
    rope_type: Option<String>,
    rope_theta: Option<f64>,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
}

fn silu() -> String {
    "silu".to_owned()
}

/// What is needed of it.
pub(super) struct Config {
    pub(super) blocks: usize,
    pub(super) heads: usize,
    pub(super) kv_heads: usize,
    pub(super) vocabulary: usize,
    /// Whether scores use the embedding again.
    pub(super) is_tied: bool,
    /// By which each frequency of a head's rotation is divided.
    pub(super) rope_factors: Option<Vec<f32>>,
    file: File,
    head_width: usize,
    rope_base: f64,
}

pub(super) fn read(folder: &Path) -> Result<Config, ModelError> {
    let text = folder::read(&folder.join("config.json"), CONFIG_BYTES_MAX)?;
    let file: File = folder::parse("config.json", &text)?;
    supported("model family", &file.model_type, &["llama", "mistral"], "llama and mistral")?;
    supported("activation", &file.hidden_act, &["silu"], "silu")?;
    if file.attention_bias || file.mlp_bias {
        let found = "attention_bias or mlp_bias".to_owned();
        return Err(ModelError::Unsupported {
            what: "a product with",
            found,
            known: "products without biases",
        });
    }
    if let Some(window) = file.sliding_window.filter(|window| *window < file.max_position_embeddings) {
        let known = "attention to all that came before";
        return Err(ModelError::Unsupported {
            what: "a sliding window of",
            found: window.to_string(),
            known,
        });
    }
    let heads = bounded("num_attention_heads", file.num_attention_heads, WIDTH_MAX)?;
    let kv_heads = bounded("num_key_value_heads", file.num_key_value_heads.unwrap_or(heads), WIDTH_MAX)?;
    let width = bounded("hidden_size", file.hidden_size, WIDTH_MAX)?;
    let head_width = bounded("head_dim", file.head_dim.unwrap_or(width / heads), WIDTH_MAX)?;
    let rope = file.rope_parameters.as_ref().or(file.rope_scaling.as_ref());
    let theta = file.rope_theta.or(file.rope_parameters.as_ref().and_then(|rope| rope.rope_theta));
    let rope_base = theta.unwrap_or(10_000.0);
    Ok(Config {
        blocks: bounded("num_hidden_layers", file.num_hidden_layers, BLOCKS_MAX)?,
        heads,
        kv_heads,
        vocabulary: bounded("vocab_size", file.vocab_size, VOCABULARY_MAX)?,
        is_tied: file.tie_word_embeddings,
        rope_factors: rope.map(|rope| rope.factors(head_width, rope_base)).transpose()?.flatten(),
        head_width,
        rope_base,
        file,
    })
}

impl Config {
    /// As GGUF has it. Dimensions are checked where that is read.
    pub(super) fn metadata(&self) -> HashMap<String, Value> {
        let file = &self.file;
        let count = |value: usize| Value::Unsigned(value as u64);
        // A path of whoever saved it may stand before the name.
        let name = file.name.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("llama");
        [
            ("general.architecture", Value::Text("llama".to_owned())),
            ("general.name", Value::Text(name.to_owned())),
            ("llama.block_count", count(self.blocks)),
            ("llama.context_length", count(file.max_position_embeddings)),
            ("llama.embedding_length", count(file.hidden_size)),
            ("llama.feed_forward_length", count(file.intermediate_size)),
            ("llama.attention.head_count", count(self.heads)),
            ("llama.attention.head_count_kv", count(self.kv_heads)),
            ("llama.attention.key_length", count(self.head_width)),
            ("llama.attention.value_length", count(self.head_width)),
            ("llama.attention.layer_norm_rms_epsilon", Value::Real(file.rms_norm_eps)),
            ("llama.rope.freq_base", Value::Real(self.rope_base)),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
    }
}

impl Rope {
    /// What each frequency is divided by: Llama 3.1's (transformers, `_compute_llama3_parameters`).
    fn factors(&self, head_width: usize, base: f64) -> Result<Option<Vec<f32>>, ModelError> {
        match self.rope_type.as_deref() {
            None | Some("default") => return Ok(None),
            Some("llama3") => {}
            Some(other) => {
                let found = other.chars().take(32).collect();
                return Err(ModelError::Unsupported {
                    what: "rotary scaling",
                    found,
                    known: "default and llama3",
                });
            }
        }
        let real = |key: &str, value: Option<f64>| {
            let sound = |value: &f64| value.is_finite() && *value > 0.0;
            value
                .filter(sound)
                .ok_or_else(|| ModelError::MissingMetadata { key: format!("rope_scaling.{key}") })
        };
        let factor = real("factor", self.factor)?;
        let low = real("low_freq_factor", self.low_freq_factor)?;
        let high = real("high_freq_factor", self.high_freq_factor)?;
        let context = real("original_max_position_embeddings", self.original_max_position_embeddings)?;
        if high <= low {
            return Err(bad("rope_scaling.high_freq_factor", high, "it is not above low_freq_factor"));
        }
        let of = |pair: usize| {
            let length = TAU * base.powf((2 * pair) as f64 / head_width as f64);
            let divided = if length > context / low {
                factor
            } else if length < context / high {
                1.0
            } else {
                let smooth = (context / length - low) / (high - low);
                1.0 / ((1.0 - smooth) / factor + smooth)
            };
            divided as f32
        };
        Ok(Some((0..head_width / 2).map(of).collect()))
    }
}

fn supported(what: &'static str, found: &str, known: &[&str], names: &'static str) -> Result<(), ModelError> {
    if known.contains(&found) {
        return Ok(());
    }
    Err(ModelError::Unsupported { what, found: found.chars().take(64).collect(), known: names })
}
