//! Tensors out of a checkpoint, each checked before its bytes are read.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

use super::{Dtype, Limits, StateDict};
use crate::error::ModelError;
use crate::floats::{self, FloatForm};

/// The member that names tensors, behind the archive's own folder.
const PICKLE: &str = "/data.pkl";

/// A checkpoint, open for reading its tensors.
#[derive(Debug)]
pub struct Checkpoint {
    file: File,
    path: PathBuf,
    dict: StateDict,
    /// The first byte of each storage that a tensor lies in.
    starts: HashMap<String, u64>,
}

impl Checkpoint {
    /// Open a file, read its pickle and find its storages.
    ///
    /// # Errors
    /// As [`StateDict::read`]; [`ModelError::Malformed`] where the archive is damaged, beyond a limit, compressed or lacks a storage;
    /// [`ModelError::Io`].
    pub fn open(path: &Path, limits: Limits) -> Result<Self, ModelError> {
        let malformed = |reason: String| ModelError::Malformed { path: path.to_owned(), reason };
        let io = |source| ModelError::Io { path: path.to_owned(), source };
        let (file, length) = floats::open(path).map_err(io)?;
        if length > limits.file_bytes_max {
            return Err(malformed(format!("it has more than {} bytes", limits.file_bytes_max)));
        }
        let mut archive =
            ZipArchive::new(BufReader::new(&file)).map_err(|error| malformed(error.to_string()))?;
        let names = archive.file_names().filter_map(Result::ok);
        let pickles: Vec<String> = names.filter(|name| name.ends_with(PICKLE)).map(Into::into).collect();
        let [pickle] = &pickles[..] else {
            return Err(malformed(format!("it has {} members {PICKLE}, not one", pickles.len())));
        };
        let folder = pickle.trim_end_matches(PICKLE);
        if let Ok(order) = archive.by_name(&format!("{folder}/byteorder")) {
            let mut text = String::new();
            order.take(16).read_to_string(&mut text).map_err(io)?;
            if text != "little" {
                let known = "little";
                return Err(ModelError::Unsupported { what: "byte order", found: text, known });
            }
        }
        let mut bytes = Vec::new();
        let member = archive.by_name(pickle).map_err(|error| malformed(error.to_string()))?;
        // One byte more than is allowed: what is longer is refused by its reader.
        member.take(limits.pickle_bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
        let dict = StateDict::read(&bytes, path, limits)?;
        let mut starts = HashMap::new();
        for entry in dict.tensors.values() {
            let name = format!("{folder}/data/{}", entry.storage);
            let member =
                archive.by_name(&name).map_err(|error| malformed(format!("storage {name}: {error}")))?;
            let bytes = entry.storage_count.checked_mul(entry.dtype.bytes());
            let start = member.data_start();
            let end = start.zip(bytes).and_then(|(start, bytes)| start.checked_add(bytes));
            let whole = member.compression() == CompressionMethod::Stored && Some(member.size()) == bytes;
            match (start, end) {
                (Some(start), Some(end)) if whole && end <= length => {
                    starts.insert(entry.storage.clone(), start)
                }
                _ => {
                    return Err(malformed(format!(
                        "storage {name} is compressed, or not as long as it says"
                    )));
                }
            };
        }
        drop(archive);
        Ok(Self { file, path: path.to_owned(), dict, starts })
    }

    /// What the file holds.
    pub fn dict(&self) -> &StateDict {
        &self.dict
    }

    /// A tensor's shape.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where it is absent.
    pub fn shape(&self, name: &str) -> Result<&[usize], ModelError> {
        let entry = self.dict.tensors.get(name);
        Ok(&entry.ok_or_else(|| bad(name, "it is missing".to_owned()))?.shape)
    }

    /// A tensor's elements in order, as 32-bit floats, to which all forms convert exactly.
    ///
    /// # Errors
    /// [`ModelError::BadTensor`] where it is absent, has another shape or is not of floats; [`ModelError::Io`].
    pub fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, ModelError> {
        let entry = self.dict.tensors.get(name).ok_or_else(|| bad(name, "it is missing".to_owned()))?;
        if entry.shape != shape {
            return Err(bad(name, format!("its shape is {:?}, not {shape:?}", entry.shape)));
        }
        let form = match entry.dtype {
            Dtype::F32 => FloatForm::F32,
            Dtype::F16 => FloatForm::F16,
            Dtype::BF16 => FloatForm::BF16,
            Dtype::I64 => return Err(bad(name, "it is of integers".to_owned())),
        };
        // Within the storage, which `open` found within the file: nothing overflows.
        let start = self.starts[&entry.storage] + entry.offset * entry.dtype.bytes();
        let io = |source| ModelError::Io { path: self.path.clone(), source };
        floats::read(&self.file, form, start, entry.count * entry.dtype.bytes()).map_err(io)
    }
}

fn bad(name: &str, reason: String) -> ModelError {
    ModelError::BadTensor { name: name.to_owned(), reason }
}
