//! Reading the header of a GGUF file.
//!
//! Follows the GGUF specification, versions 2 and 3, little-endian
//! (<https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>). A model file comes from outside, so every count and
//! length in it is checked against what the file can hold and against [`Limits`] before memory is taken for it.

mod cursor;
mod encoding;
mod value;

use std::collections::HashMap;
use std::io::{Read, Seek};
use std::path::Path;

use crate::error::ModelError;
use cursor::Cursor;
pub use encoding::Encoding;
pub(crate) use encoding::{half_at, scale_and_least, word_at};
pub use value::{Array, Value};

const MAGIC: [u8; 4] = *b"GGUF";
const ALIGNMENT_DEFAULT: u64 = 32;
const ALIGNMENT_MAX: u64 = 64 * 1024;
/// The largest rank that the format allows.
const DIMENSIONS_MAX: u32 = 4;

/// What a header may take, whatever it claims.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Metadata pairs.
    pub pairs_max: u64,
    /// Tensor descriptions.
    pub tensors_max: u64,
    /// Bytes of one string.
    pub string_bytes_max: u64,
    /// Bytes of memory for all decoded metadata together.
    pub decoded_bytes_max: u64,
}

impl Default for Limits {
    /// Room for a vocabulary of a million tokens, which is several times that of today's largest.
    fn default() -> Self {
        Self { pairs_max: 4096, tensors_max: 65_536, string_bytes_max: 1 << 20, decoded_bytes_max: 256 << 20 }
    }
}

/// Where one tensor lies and how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// Elements per dimension, outermost first (the file stores the innermost first).
    pub shape: Vec<usize>,
    /// How blocks of elements are encoded.
    pub encoding: Encoding,
    /// First byte, counted from the start of the file.
    pub start: u64,
    /// Length in bytes; `start + bytes` lies within the file.
    pub bytes: u64,
}

/// A checked header: metadata and the place of every tensor.
#[derive(Clone, Debug)]
pub struct Header {
    metadata: HashMap<String, Value>,
    tensors: HashMap<String, TensorEntry>,
}

impl Header {
    /// A header that was made of something else.
    pub(crate) fn new(metadata: HashMap<String, Value>, tensors: HashMap<String, TensorEntry>) -> Self {
        Self { metadata, tensors }
    }

    /// Read and check the header of a file that is `file_bytes` long.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] names what is wrong; [`ModelError::Unsupported`] names a version or encoding that this
    /// reader does not know; [`ModelError::Io`] where reading itself fails.
    pub fn read<R: Read + Seek>(
        reader: R,
        file_bytes: u64,
        path: &Path,
        limits: Limits,
    ) -> Result<Self, ModelError> {
        let mut cursor = Cursor::new(reader, file_bytes, path, limits);
        let magic: [u8; 4] = cursor.bytes()?;
        if magic != MAGIC {
            return Err(cursor.malformed("it does not begin with `GGUF`"));
        }
        let version = cursor.u32()?;
        if !(2..=3).contains(&version) {
            return Err(ModelError::Unsupported {
                what: "GGUF version",
                found: version.to_string(),
                known: "2 and 3",
            });
        }
        let tensor_count = cursor.count("tensors", limits.tensors_max)?;
        let pair_count = cursor.count("metadata pairs", limits.pairs_max)?;

        let mut metadata = HashMap::new();
        for _ in 0..pair_count {
            let key = cursor.string()?;
            let value = Value::read(&mut cursor)?;
            if metadata.insert(key.clone(), value).is_some() {
                return Err(cursor.malformed(format!("metadata key `{key}` appears twice")));
            }
        }
        let alignment = match metadata.get("general.alignment") {
            None => ALIGNMENT_DEFAULT,
            Some(value) => value
                .as_u64()
                .filter(|alignment| alignment.is_power_of_two() && *alignment <= ALIGNMENT_MAX)
                .ok_or_else(|| cursor.malformed("general.alignment is not a power of two up to 65536"))?,
        };
        let tensors = read_tensors(&mut cursor, tensor_count, alignment, file_bytes)?;
        Ok(Self { metadata, tensors })
    }

    /// The value of a metadata key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The place of a tensor.
    pub fn tensor(&self, name: &str) -> Option<&TensorEntry> {
        self.tensors.get(name)
    }

    /// Elements of all tensors together: the number of parameters.
    pub fn parameters(&self) -> u64 {
        // No overflow: the elements of every tensor fit its bytes at four bits or more, and bytes fit the file.
        self.tensors.values().map(|entry| entry.shape.iter().map(|&n| n as u64).product::<u64>()).sum()
    }

    /// Bytes of the largest tensor as the file has it.
    pub fn largest_bytes(&self) -> u64 {
        self.tensors.values().map(|entry| entry.bytes).max().unwrap_or(0)
    }

    /// A text value, or an error that names the missing key.
    pub fn text(&self, key: &'static str) -> Result<&str, ModelError> {
        self.get(key).and_then(Value::as_str).ok_or(ModelError::MissingMetadata { key: key.to_owned() })
    }

    /// A whole number, or an error that names the missing key.
    pub fn number(&self, key: &str) -> Result<u64, ModelError> {
        self.get(key)
            .and_then(Value::as_u64)
            .ok_or_else(|| ModelError::MissingMetadata { key: key.to_owned() })
    }

    /// A real number, or an error that names the missing key.
    pub fn real(&self, key: &str) -> Result<f64, ModelError> {
        self.get(key)
            .and_then(Value::as_f64)
            .ok_or_else(|| ModelError::MissingMetadata { key: key.to_owned() })
    }
}

fn read_tensors<R: Read + Seek>(
    cursor: &mut Cursor<'_, R>,
    count: u64,
    alignment: u64,
    file_bytes: u64,
) -> Result<HashMap<String, TensorEntry>, ModelError> {
    let mut tensors = HashMap::new();
    for _ in 0..count {
        let name = cursor.string()?;
        let entry = read_tensor(cursor, &name, alignment)?;
        if tensors.insert(name.clone(), entry).is_some() {
            return Err(cursor.malformed(format!("tensor `{name}` appears twice")));
        }
    }
    let data_start = cursor.position().next_multiple_of(alignment);
    let data_bytes = file_bytes.saturating_sub(data_start);
    let mut claimed_bytes = 0_u64;
    for (name, entry) in &mut tensors {
        let end = entry.start.checked_add(entry.bytes).filter(|end| *end <= data_bytes);
        if end.is_none() {
            return Err(cursor.malformed(format!("tensor `{name}` reaches past the end of the file")));
        }
        entry.start += data_start;
        claimed_bytes = claimed_bytes.saturating_add(entry.bytes);
    }
    // Without this, many names for the same bytes would multiply what loading takes.
    if claimed_bytes > data_bytes {
        return Err(cursor.malformed("its tensors overlap"));
    }
    Ok(tensors)
}

/// One tensor description; `start` is still relative to the data section.
fn read_tensor<R: Read + Seek>(
    cursor: &mut Cursor<'_, R>,
    name: &str,
    alignment: u64,
) -> Result<TensorEntry, ModelError> {
    let rank = cursor.u32()?;
    if !(1..=DIMENSIONS_MAX).contains(&rank) {
        return Err(cursor.malformed(format!("tensor `{name}` has {rank} dimensions, not 1 to 4")));
    }
    let mut shape = Vec::with_capacity(rank as usize);
    for _ in 0..rank {
        shape.push(cursor.u64()?);
    }
    let encoding = Encoding::from_code(cursor.u32()?)?;
    let start = cursor.u64()?;
    if !start.is_multiple_of(alignment) {
        return Err(cursor.malformed(format!("tensor `{name}` does not begin on a multiple of {alignment}")));
    }
    let block = encoding.block_size() as u64;
    let row = shape[0];
    let elements = shape.iter().try_fold(1_u64, |product, n| product.checked_mul(*n));
    let bytes = elements
        .filter(|n| *n > 0 && row.is_multiple_of(block))
        .and_then(|n| (n / block).checked_mul(encoding.block_bytes() as u64))
        .ok_or_else(|| cursor.malformed(format!("tensor `{name}` has an impossible shape {shape:?}")))?;
    shape.reverse();
    let shape = shape
        .into_iter()
        .map(usize::try_from)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|_| cursor.malformed(format!("tensor `{name}` is too large for this machine")))?;
    Ok(TensorEntry { shape, encoding, start, bytes })
}
