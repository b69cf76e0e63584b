//! The tensors that a pickle names.

use std::collections::BTreeMap;
use std::path::Path;

use super::machine::{Machine, Node, NodeId};
use crate::error::ModelError;

/// What a checkpoint may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the whole file.
    pub file_bytes_max: u64,
    /// Bytes of its pickle.
    pub pickle_bytes_max: u64,
    /// Values on the pickle's stack, and as many marks.
    pub stack_max: usize,
    /// Values that the pickle remembers by number.
    pub memo_max: usize,
    /// Tensors, and other entries of dictionaries.
    pub entries_max: usize,
    /// Dictionaries within each other.
    pub depth_max: usize,
    /// Bytes of a name, those of the dictionaries that hold it included.
    pub name_bytes_max: usize,
    /// Dimensions of a tensor.
    pub dimensions_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            file_bytes_max: 64 << 30,
            pickle_bytes_max: 4 << 20,
            stack_max: 65_536,
            memo_max: 262_144,
            entries_max: 16_384,
            depth_max: 4,
            name_bytes_max: 256,
            dimensions_max: 8,
        }
    }
}

/// How the elements of a storage are stored, little-endian.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// `torch.FloatStorage`.
    F32,
    /// `torch.HalfStorage`.
    F16,
    /// `torch.BFloat16Storage`.
    BF16,
    /// `torch.LongStorage`: counters, which no model here reads.
    I64,
}

impl Dtype {
    /// Bytes of an element.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::I64 => 8,
        }
    }
}

/// A tensor whose elements lie behind one another in a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorEntry {
    /// The storage's key: digits.
    pub storage: String,
    /// How elements are stored.
    pub dtype: Dtype,
    /// Elements of the storage.
    pub storage_count: u64,
    /// Elements of the storage before the tensor's first.
    pub offset: u64,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// The product of the shape.
    pub count: u64,
}

/// The tensors of a pickle by name. Those of a dictionary within a dictionary have the names of both, with a dot between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDict {
    /// In the order of their names.
    pub tensors: BTreeMap<String, TensorEntry>,
}

impl StateDict {
    /// Read a pickle. `path` is for messages.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] names an opcode or a Python name that no dictionary of tensors needs; [`ModelError::Malformed`] says what
    /// contradicts itself or is beyond a limit.
    pub fn read(pickle: &[u8], path: &Path, limits: Limits) -> Result<Self, ModelError> {
        let malformed = |reason: String| ModelError::Malformed { path: path.to_owned(), reason };
        if pickle.len() as u64 > limits.pickle_bytes_max {
            return Err(malformed(format!("its pickle has more than {} bytes", limits.pickle_bytes_max)));
        }
        let mut machine = Machine::new(pickle, path, limits);
        let root = machine.run()?;
        let mut walk = Walk { machine: &machine, limits, entries: 0, tensors: BTreeMap::new() };
        walk.dictionary(root, "", 1).map_err(malformed)?;
        Ok(Self { tensors: walk.tensors })
    }
}

/// A walk through dictionaries. A pickle may hold one in many places, even in itself: every step counts.
struct Walk<'a> {
    machine: &'a Machine<'a>,
    limits: Limits,
    entries: usize,
    tensors: BTreeMap<String, TensorEntry>,
}

impl Walk<'_> {
    fn dictionary(&mut self, id: NodeId, prefix: &str, depth: usize) -> Result<(), String> {
        let Node::Dictionary(entries) = self.machine.node(id) else {
            return Err("it holds no dictionary".to_owned());
        };
        if depth > self.limits.depth_max {
            return Err(format!("it has more than {} dictionaries within each other", self.limits.depth_max));
        }
        for (key, value) in entries {
            self.entries += 1;
            if self.entries > self.limits.entries_max {
                return Err(format!("it has more than {} entries", self.limits.entries_max));
            }
            let Node::Text(key) = self.machine.node(*key) else {
                return Err("a key is no text".to_owned());
            };
            let dot = if prefix.is_empty() { "" } else { "." };
            if prefix.len() + dot.len() + key.len() > self.limits.name_bytes_max {
                return Err(format!("a name has more than {} bytes", self.limits.name_bytes_max));
            }
            let name = format!("{prefix}{dot}{key}");
            match self.machine.node(*value) {
                Node::Dictionary(_) => self.dictionary(*value, &name, depth + 1)?,
                Node::Tensor(tensor) => {
                    if self.tensors.insert(name.clone(), tensor.clone()).is_some() {
                        return Err(format!("it names {name} twice"));
                    }
                }
                // An epoch, a switch: nothing to read.
                Node::None | Node::Truth | Node::Integer(_) | Node::Text(_) => {}
                _ => return Err(format!("{name} is no tensor")),
            }
        }
        Ok(())
    }
}
