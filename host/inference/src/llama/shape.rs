//! The dimensions of a llama model, from the metadata of its file.

use crate::dimension::bad;
use crate::error::ModelError;
use crate::gguf::Header;
use crate::kernels::PageShape;
use crate::llama::Precision;

/// Largest value of any dimension: far above today's models, far below what would overflow a product of two.
const DIMENSION_MAX: u64 = 1 << 24;
const BLOCKS_MAX: u64 = 1024;
/// Positions kept in the rotation tables: beyond any context that fits a CPU.
const CONTEXT_MAX: usize = 1 << 17;

/// Dimensions and constants.
#[derive(Clone, Debug, PartialEq)]
pub struct Shape {
    /// Transformer blocks.
    pub blocks: usize,
    /// Positions, prompt and answer together: those of the file, or as many as are kept.
    pub context: usize,
    /// Width of the hidden state.
    pub width: usize,
    /// Width inside the feed-forward part.
    pub feed_width: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; divides `heads`.
    pub kv_heads: usize,
    /// Width of one head.
    pub head_width: usize,
    /// Tokens in the vocabulary.
    pub vocabulary: usize,
    /// Base of the rotary frequencies.
    pub rope_base: f32,
    /// What positions are divided by.
    pub rope_scale: f32,
    /// What the norms add before dividing.
    pub norm_epsilon: f32,
    /// How exactly it is computed with.
    pub precision: Precision,
}

impl Shape {
    /// Read and check the dimensions of a model that is computed with so exactly.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] for another family or for rotary scaling that is not linear;
    /// [`ModelError::MissingMetadata`] and [`ModelError::BadMetadata`] name the key.
    pub fn from_gguf(header: &Header, vocabulary: usize, precision: Precision) -> Result<Self, ModelError> {
        let family = header.text("general.architecture")?;
        if family != "llama" {
            let found = family.to_owned();
            return Err(ModelError::Unsupported { what: "model family", found, known: "llama" });
        }
        let width = dimension(header, "llama.embedding_length", DIMENSION_MAX)?;
        let heads = dimension(header, "llama.attention.head_count", DIMENSION_MAX)?;
        let kv_heads = match header.get("llama.attention.head_count_kv") {
            Some(_) => dimension(header, "llama.attention.head_count_kv", DIMENSION_MAX)?,
            None => heads,
        };
        if !heads.is_multiple_of(kv_heads) {
            return Err(bad("llama.attention.head_count_kv", kv_heads, "it does not divide the query heads"));
        }
        let head_width = head_width(header, width, heads)?;
        let rotated = header.get("llama.rope.dimension_count").and_then(|value| value.as_u64());
        if rotated.is_some_and(|rotated| rotated != head_width as u64) {
            return Err(bad(
                "llama.rope.dimension_count",
                rotated.unwrap_or(0),
                "only whole heads are rotated",
            ));
        }
        let rope_base = match header.get("llama.rope.freq_base") {
            Some(_) => header.real("llama.rope.freq_base")?,
            None => 10_000.0,
        };
        if !(1.0..=1e12).contains(&rope_base) {
            return Err(bad("llama.rope.freq_base", rope_base, "it is not from 1 to 1e12"));
        }
        let norm_epsilon = header.real("llama.attention.layer_norm_rms_epsilon")?;
        if !(0.0..1.0).contains(&norm_epsilon) {
            return Err(bad("llama.attention.layer_norm_rms_epsilon", norm_epsilon, "it is not from 0 to 1"));
        }
        Ok(Self {
            blocks: dimension(header, "llama.block_count", BLOCKS_MAX)?,
            context: dimension(header, "llama.context_length", u64::from(u32::MAX))?.min(CONTEXT_MAX),
            width,
            feed_width: dimension(header, "llama.feed_forward_length", DIMENSION_MAX)?,
            heads,
            kv_heads,
            head_width,
            vocabulary,
            rope_base: rope_base as f32,
            rope_scale: rope_scale(header)? as f32,
            norm_epsilon: norm_epsilon as f32,
            precision,
        })
    }

    /// What a page of attention cache holds.
    pub fn page(&self) -> PageShape {
        let Self { blocks, kv_heads, head_width, precision, .. } = *self;
        PageShape { blocks, kv_heads, head_width, precision }
    }

    /// Bytes of the rotation tables.
    pub fn rotation_bytes(&self) -> u64 {
        (self.context * self.head_width * size_of::<f32>()) as u64
    }
}

/// What positions are divided by: the factor of linear scaling, which is also meant where a factor has no type.
fn rope_scale(header: &Header) -> Result<f64, ModelError> {
    // The second is the older name.
    const FACTORS: [&str; 2] = ["llama.rope.scaling.factor", "llama.rope.scale_linear"];
    match header.get("llama.rope.scaling.type").and_then(|value| value.as_str()).unwrap_or("linear") {
        "none" => return Ok(1.0),
        "linear" => {}
        other => {
            let found = other.to_owned();
            return Err(ModelError::Unsupported { what: "rotary scaling", found, known: "none and linear" });
        }
    }
    let Some(key) = FACTORS.into_iter().find(|key| header.get(key).is_some()) else {
        return Ok(1.0);
    };
    let factor = header.real(key)?;
    if (1.0..=1e6).contains(&factor) { Ok(factor) } else { Err(bad(key, factor, "it is not from 1 to 1e6")) }
}

/// The width of a head, which some files name and in others is the width's even share.
fn head_width(header: &Header, width: usize, heads: usize) -> Result<usize, ModelError> {
    const KEY: &str = "llama.attention.key_length";
    const VALUE: &str = "llama.attention.value_length";
    let named = |key: &str| header.get(key).map(|_| dimension(header, key, DIMENSION_MAX)).transpose();
    let (key, value) = (named(KEY)?, named(VALUE)?);
    let head_width = match key {
        Some(key) => key,
        None if width.is_multiple_of(heads) => width / heads,
        None => return Err(bad("llama.attention.head_count", heads, "the width does not divide into heads")),
    };
    if !head_width.is_multiple_of(2) {
        return Err(bad("llama.attention.head_count", heads, "heads are not of an even width"));
    }
    if value.unwrap_or(head_width) != head_width {
        return Err(bad(VALUE, value.unwrap_or(0), "keys and values are not of one width"));
    }
    Ok(head_width)
}

fn dimension(header: &Header, key: &str, max: u64) -> Result<usize, ModelError> {
    let value = header.number(key)?;
    if (1..=max).contains(&value) {
        Ok(value as usize)
    } else {
        Err(bad(key, value, &format!("it is not from 1 to {max}")))
    }
}
