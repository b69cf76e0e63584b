//! The header: what tensors there are, and where.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Dtype;
use crate::error::ModelError;

/// Bytes before the header: its length.
const LENGTH_BYTES: u64 = 8;
/// The one key that is no tensor.
const METADATA: &str = "__metadata__";

/// What a header may take, whatever it claims.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of the header.
    pub header_bytes_max: u64,
    /// Tensors.
    pub tensors_max: usize,
    /// Dimensions of a tensor.
    pub dimensions_max: usize,
    /// Bytes of a tensor's name.
    pub name_bytes_max: usize,
    /// Texts beside the tensors.
    pub metadata_max: usize,
}

impl Default for Limits {
    /// Several times what the largest published models have; the format's own bound is 100 MB.
    fn default() -> Self {
        Self {
            header_bytes_max: 16 << 20,
            tensors_max: 65_536,
            dimensions_max: 8,
            name_bytes_max: 1024,
            metadata_max: 1024,
        }
    }
}

/// Where one tensor lies and how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// Elements per dimension, outermost first. None: a single element.
    pub shape: Vec<usize>,
    /// How elements are stored.
    pub dtype: Dtype,
    /// First byte, counted from the start of the file.
    pub start: u64,
    /// Length in bytes; `start + bytes` lies within the file.
    pub bytes: u64,
}

impl TensorEntry {
    /// Elements.
    pub fn elements(&self) -> u64 {
        self.bytes / self.dtype.bytes()
    }
}

/// A checked header: tensors lie one after another, without holes, from the header's end to the file's.
#[derive(Clone, Debug)]
pub struct Header {
    tensors: BTreeMap<String, TensorEntry>,
}

impl Header {
    /// Read and check the header of a file that is `file_bytes` long.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] names what is wrong; [`ModelError::Unsupported`] names a type of element that this reader
    /// does not know; [`ModelError::Io`] where reading itself fails.
    pub fn read(
        mut reader: impl Read,
        file_bytes: u64,
        path: &Path,
        limits: Limits,
    ) -> Result<Self, ModelError> {
        let malformed = |reason: String| ModelError::Malformed { path: path.to_owned(), reason };
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let after_length = file_bytes
            .checked_sub(LENGTH_BYTES)
            .ok_or_else(|| malformed(format!("it has {file_bytes} bytes, too few for a header's length")))?;
        let mut length = [0; LENGTH_BYTES as usize];
        reader.read_exact(&mut length).map_err(io)?;
        let header_bytes = u64::from_le_bytes(length);
        if header_bytes > limits.header_bytes_max {
            let max = limits.header_bytes_max;
            return Err(malformed(format!(
                "it claims a header of {header_bytes} bytes; at most {max} are read"
            )));
        }
        let data_bytes = after_length
            .checked_sub(header_bytes)
            .ok_or_else(|| malformed(format!("it ends inside its header of {header_bytes} bytes")))?;
        let mut text = vec![0; header_bytes as usize];
        reader.read_exact(&mut text).map_err(io)?;
        if text.first() != Some(&b'{') {
            return Err(malformed("its header does not begin with `{`".to_owned()));
        }
        let claims: Claims = {
            let mut json = serde_json::Deserializer::from_slice(&text);
            let claims = TopLevel { limits }.deserialize(&mut json);
            claims
                .and_then(|claims| json.end().map(|()| claims))
                .map_err(|error| malformed(format!("its header: {error}")))?
        };
        let data_start = LENGTH_BYTES + header_bytes;
        let tensors = place(claims.0, data_start, data_bytes, &malformed)?;
        Ok(Self { tensors })
    }

    /// The place of a tensor.
    pub fn tensor(&self, name: &str) -> Option<&TensorEntry> {
        self.tensors.get(name)
    }

    /// All tensors, by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &TensorEntry)> {
        self.tensors.iter().map(|(name, entry)| (name.as_str(), entry))
    }
}

/// Check each tensor against its bytes, and all of them against the file.
fn place(
    claims: BTreeMap<String, Claim>,
    data_start: u64,
    data_bytes: u64,
    malformed: &dyn Fn(String) -> ModelError,
) -> Result<BTreeMap<String, TensorEntry>, ModelError> {
    let mut tensors = BTreeMap::new();
    let mut spans = Vec::with_capacity(claims.len());
    for (name, Claim { dtype, shape: Shape(shape), data_offsets: [begin, end] }) in claims {
        let dtype = Dtype::from_name(&dtype)?;
        let bytes = end.checked_sub(begin).filter(|_| end <= data_bytes).ok_or_else(|| {
            malformed(format!("tensor `{name}` is said to lie from {begin} to {end} of {data_bytes} bytes"))
        })?;
        let needed = shape.iter().try_fold(dtype.bytes(), |product, n| product.checked_mul(*n));
        if needed != Some(bytes) {
            return Err(malformed(format!(
                "tensor `{name}` of shape {shape:?} and type {dtype:?} cannot have {bytes} bytes"
            )));
        }
        let shape = shape
            .into_iter()
            .map(usize::try_from)
            .collect::<Result<_, _>>()
            .map_err(|_| malformed(format!("tensor `{name}` is too large for this machine")))?;
        spans.push((begin, end));
        tensors.insert(name, TensorEntry { shape, dtype, start: data_start + begin, bytes });
    }
    spans.sort_unstable();
    let mut covered = 0;
    for (begin, end) in spans {
        if begin < covered {
            return Err(malformed("its tensors overlap".to_owned()));
        }
        if begin > covered {
            return Err(malformed(format!("bytes {covered} to {begin} of its data belong to no tensor")));
        }
        covered = end;
    }
    if covered != data_bytes {
        return Err(malformed(format!("bytes {covered} to {data_bytes} of its data belong to no tensor")));
    }
    Ok(tensors)
}

/// What the header says of a tensor.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claim {
    dtype: String,
    shape: Shape,
    /// Begin and end, counted from the end of the header.
    data_offsets: [u64; 2],
}

/// At most as many dimensions as [`DIMENSIONS_HELD`]; the limit proper is checked where it is known.
struct Shape(Vec<u64>);

/// Dimensions that are held at all before the limit is asked.
const DIMENSIONS_HELD: usize = 64;

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Dimensions;
        impl<'de> Visitor<'de> for Dimensions {
            type Value = Shape;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the elements per dimension")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut shape = Vec::new();
                while let Some(elements) = list.next_element()? {
                    if shape.len() == DIMENSIONS_HELD {
                        return Err(A::Error::custom("a tensor with too many dimensions"));
                    }
                    shape.push(elements);
                }
                Ok(Shape(shape))
            }
        }
        deserializer.deserialize_seq(Dimensions)
    }
}

struct Claims(BTreeMap<String, Claim>);

/// Reads the header's object: no key twice, nothing beyond the limits.
struct TopLevel {
    limits: Limits,
}

impl<'de> DeserializeSeed<'de> for TopLevel {
    type Value = Claims;
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Claims, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TopLevel {
    type Value = Claims;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let Limits { tensors_max, dimensions_max, name_bytes_max, metadata_max, .. } = self.limits;
        let mut tensors = BTreeMap::new();
        let mut has_metadata = false;
        while let Some(name) = map.next_key::<String>()? {
            if name == METADATA {
                if std::mem::replace(&mut has_metadata, true) {
                    return Err(A::Error::custom("`__metadata__` appears twice"));
                }
                map.next_value_seed(Texts { max: metadata_max })?;
                continue;
            }
            if name.len() > name_bytes_max {
                return Err(A::Error::custom(format!(
                    "a tensor's name has {} bytes; at most {name_bytes_max} are read",
                    name.len()
                )));
            }
            if tensors.len() == tensors_max {
                return Err(A::Error::custom(format!("more than {tensors_max} tensors")));
            }
            let claim: Claim = map.next_value()?;
            if claim.shape.0.len() > dimensions_max {
                return Err(A::Error::custom(format!(
                    "tensor `{name}` has more than {dimensions_max} dimensions"
                )));
            }
            if tensors.contains_key(&name) {
                return Err(A::Error::custom(format!("tensor `{name}` appears twice")));
            }
            tensors.insert(name, claim);
        }
        Ok(Claims(tensors))
    }
}

/// Texts by name, which nothing here needs: their form and number are checked and they are let go.
struct Texts {
    max: usize,
}

impl<'de> DeserializeSeed<'de> for Texts {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Texts {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of texts")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut count = 0;
        while map.next_key::<IgnoredAny>()?.is_some() {
            count += 1;
            if count > self.max {
                return Err(A::Error::custom(format!("more than {} texts in `__metadata__`", self.max)));
            }
            map.next_value::<String>()?;
        }
        Ok(())
    }
}
