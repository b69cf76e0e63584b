//! The tensors of a folder, in one file of safetensors or in several.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::config::Config;
use crate::error::ModelError;
use crate::floats;
use crate::folder;
use crate::gguf::{Encoding, TensorEntry};
use crate::safetensors::{Dtype, Header, Limits};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const INDEX_BYTES_MAX: u64 = 16 << 20;
const SHARDS_MAX: usize = 256;
const FACTORS: &str = "rope_freqs.weight";
/// Parts of a block: what GGUF calls them, and what transformers does.
const PARTS: [(&str, &str); 9] = [
    ("attn_norm", "input_layernorm"),
    ("attn_q", "self_attn.q_proj"),
    ("attn_k", "self_attn.k_proj"),
    ("attn_v", "self_attn.v_proj"),
    ("attn_output", "self_attn.o_proj"),
    ("ffn_norm", "post_attention_layernorm"),
    ("ffn_gate", "mlp.gate_proj"),
    ("ffn_up", "mlp.up_proj"),
    ("ffn_down", "mlp.down_proj"),
];

/// A folder's files of tensors, open.
#[derive(Debug)]
pub(crate) struct Shards {
    files: Vec<(PathBuf, File)>,
    /// By the names that GGUF gives them.
    places: HashMap<String, Place>,
}

#[derive(Debug)]
enum Place {
    /// In a file, from a byte on.
    Stored { file: usize, start: u64, bytes: u64, turn: Option<Turn> },
    /// Of numbers that the configuration says.
    Said(Vec<u8>),
}

/// A matrix whose rows are heads, one above the other.
#[derive(Clone, Copy, Debug)]
struct Turn {
    rows: usize,
    heads: usize,
}

#[derive(Deserialize)]
struct Index {
    weight_map: HashMap<String, String>,
}

impl Shards {
    /// The folder's files, and what is in them as GGUF would have it: where and how long a tensor is matters to [`Shards::read`] alone.
    pub(super) fn open(
        folder: &Path,
        config: &Config,
    ) -> Result<(Self, HashMap<String, TensorEntry>), ModelError> {
        let mut found = HashMap::new();
        let mut files = Vec::new();
        for name in names(folder)? {
            let path = folder.join(&name);
            let io = |source| ModelError::Io { path: path.clone(), source };
            let (file, length) = floats::open(&path).map_err(io)?;
            let header = Header::read(BufReader::new(&file), length, &path, Limits::default())?;
            for (name, entry) in header.tensors() {
                if name.ends_with(".bias") {
                    let reason = "models with biases are not run".to_owned();
                    return Err(ModelError::BadTensor { name: name.to_owned(), reason });
                }
                if found.insert(name.to_owned(), (files.len(), entry.clone())).is_some() {
                    let reason = "it is in two files".to_owned();
                    return Err(ModelError::BadTensor { name: name.to_owned(), reason });
                }
            }
            files.push((path, file));
        }
        let (mut places, mut tensors) = (HashMap::new(), HashMap::new());
        for (name, theirs, heads) in wanted(config) {
            // What is missing is told of by whoever wants it.
            let Some((file, entry)) = found.remove(&theirs) else { continue };
            let encoding = match entry.dtype {
                Dtype::F32 => Encoding::F32,
                Dtype::F16 => Encoding::F16,
                Dtype::BF16 => Encoding::BF16,
                other => {
                    let reason = format!("it is stored as {other:?}, not as F32, F16 or BF16");
                    return Err(ModelError::BadTensor { name: theirs, reason });
                }
            };
            let (start, bytes) = (entry.start, entry.bytes);
            let rows = entry.shape.first().copied().unwrap_or(1);
            let turn = heads.map(|heads| Turn { rows, heads });
            tensors.insert(name.clone(), TensorEntry { shape: entry.shape, encoding, start, bytes });
            places.insert(name, Place::Stored { file, start, bytes, turn });
        }
        if let Some(factors) = &config.rope_factors {
            let bytes: Vec<u8> = factors.iter().flat_map(|factor| factor.to_le_bytes()).collect();
            let (shape, encoding, start) = (vec![factors.len()], Encoding::F32, 0);
            let entry = TensorEntry { shape, encoding, start, bytes: bytes.len() as u64 };
            tensors.insert(FACTORS.to_owned(), entry);
            places.insert(FACTORS.to_owned(), Place::Said(bytes));
        }
        Ok((Self { files, places }, tensors))
    }

    /// A tensor's bytes, in the order of GGUF.
    pub(crate) fn read(&mut self, name: &str) -> Result<Vec<u8>, ModelError> {
        match self.places.get(name) {
            Some(Place::Said(bytes)) => Ok(bytes.clone()),
            Some(&Place::Stored { file, start, bytes, turn }) => {
                let (path, file) = &mut self.files[file];
                let mut read = vec![0; bytes as usize];
                file.seek(SeekFrom::Start(start))
                    .and_then(|_| file.read_exact(&mut read))
                    .map_err(|source| ModelError::Io { path: path.clone(), source })?;
                Ok(match turn {
                    Some(turn) => turn.of(&read),
                    None => read,
                })
            }
            None => {
                let reason = "it is missing".to_owned();
                Err(ModelError::BadTensor { name: name.to_owned(), reason })
            }
        }
    }
}

/// The files that have tensors.
fn names(folder: &Path) -> Result<Vec<String>, ModelError> {
    if folder.join(SINGLE).exists() {
        return Ok(vec![SINGLE.to_owned()]);
    }
    let index: Index = folder::parse(INDEX, &folder::read(&folder.join(INDEX), INDEX_BYTES_MAX)?)?;
    let names: BTreeSet<String> = index.weight_map.into_values().collect();
    let is_plain = |name: &String| Path::new(name).file_name().is_some_and(|plain| plain == name.as_str());
    if names.is_empty() || names.len() > SHARDS_MAX || !names.iter().all(is_plain) {
        let reason = format!("it must name 1 to {SHARDS_MAX} files of the folder itself");
        return Err(ModelError::Malformed { path: folder.join(INDEX), reason });
    }
    Ok(names.into_iter().collect())
}

/// All tensors by GGUF's names and transformers', and how many heads those have that are rotated.
fn wanted(config: &Config) -> impl Iterator<Item = (String, String, Option<usize>)> {
    let ends = [
        ("token_embd.weight", "model.embed_tokens.weight"),
        ("output_norm.weight", "model.norm.weight"),
        ("output.weight", "lm_head.weight"),
    ];
    let ends = ends.into_iter().take(if config.is_tied { 2 } else { 3 });
    let ends = ends.map(|(name, theirs)| (name.to_owned(), theirs.to_owned(), None));
    let (heads, kv_heads) = (config.heads, config.kv_heads);
    let blocks = (0..config.blocks).flat_map(move |block| {
        PARTS.into_iter().map(move |(name, theirs)| {
            let heads = match name {
                "attn_q" => Some(heads),
                "attn_k" => Some(kv_heads),
                _ => None,
            };
            (format!("blk.{block}.{name}.weight"), format!("model.layers.{block}.{theirs}.weight"), heads)
        })
    });
    ends.chain(blocks)
}

impl Turn {
    /// The rows of each head, those that are rotated together beside each other: transformers has the first halves of all pairs before the
    /// second ones. What does not divide is left as it is, and refused for its shape.
    fn of(self, bytes: &[u8]) -> Vec<u8> {
        let Self { rows, heads } = self;
        let pairs = rows / heads / 2;
        if pairs * heads * 2 != rows || rows == 0 {
            return bytes.to_vec();
        }
        let row_bytes = bytes.len() / rows;
        let mut turned = Vec::with_capacity(bytes.len());
        for head in bytes.chunks_exact(2 * pairs * row_bytes) {
            let (first, second) = head.split_at(pairs * row_bytes);
            for (first, second) in first.chunks_exact(row_bytes).zip(second.chunks_exact(row_bytes)) {
                turned.extend_from_slice(first);
                turned.extend_from_slice(second);
            }
        }
        turned
    }
}

#[cfg(test)]
mod tests {
    use super::Turn;

    #[test]
    fn rows_that_are_rotated_together_come_together() {
        let turn = Turn { rows: 8, heads: 2 };
        assert_eq!(turn.of(b"aAbBcCdDeEfFgGhH"), b"aAcCbBdDeEgGfFhH");
        assert_eq!(Turn { rows: 3, heads: 2 }.of(b"abc"), b"abc");
    }
}
