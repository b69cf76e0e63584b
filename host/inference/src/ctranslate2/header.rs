//! What variables there are, and where.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use crate::error::ModelError;

/// The version of the binary form that this reader knows.
const VERSION: u32 = 6;

/// What a file's names may take, whatever it claims.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Variables.
    pub variables_max: u32,
    /// Names that stand for other variables.
    pub aliases_max: u32,
    /// Dimensions of a variable.
    pub dimensions_max: u8,
    /// Bytes of a name, the zero at its end included.
    pub name_bytes_max: u16,
}

impl Default for Limits {
    /// Several times what the largest published models have.
    fn default() -> Self {
        Self { variables_max: 16_384, aliases_max: 1024, dimensions_max: 8, name_bytes_max: 512 }
    }
}

/// How one element is stored, by the format's own numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the format's own names")]
pub enum Dtype {
    F32,
    I8,
    I16,
    I32,
    F16,
    BF16,
}

impl Dtype {
    fn from_number(number: u8) -> Result<Self, ModelError> {
        match number {
            0 => Ok(Self::F32),
            1 => Ok(Self::I8),
            2 => Ok(Self::I16),
            3 => Ok(Self::I32),
            4 => Ok(Self::F16),
            5 => Ok(Self::BF16),
            other => Err(ModelError::Unsupported {
                what: "variable type",
                found: other.to_string(),
                known: "0 to 5 (float32, int8, int16, int32, float16, bfloat16)",
            }),
        }
    }

    /// Bytes of one element.
    pub fn bytes(self) -> u64 {
        match self {
            Self::I8 => 1,
            Self::I16 | Self::F16 | Self::BF16 => 2,
            Self::F32 | Self::I32 => 4,
        }
    }
}

/// Where one variable lies and how it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Elements per dimension, outermost first. None: a single element.
    pub shape: Vec<usize>,
    /// How elements are stored.
    pub dtype: Dtype,
    /// First byte, counted from the start of the file.
    pub start: u64,
    /// Length in bytes; `start + bytes` lies within the file.
    pub bytes: u64,
}

/// A checked table of a file's variables.
#[derive(Clone, Debug)]
pub struct Header {
    specification: String,
    revision: u32,
    variables: BTreeMap<String, Variable>,
    aliases: BTreeMap<String, String>,
}

impl Header {
    /// Go through a file that is `file_bytes` long, passing over the variables' bytes.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] names what is wrong; [`ModelError::Unsupported`] names a version of the form or a type of
    /// element that this reader does not know; [`ModelError::Io`] where reading itself fails.
    pub fn read(
        reader: impl Read + Seek,
        file_bytes: u64,
        path: &Path,
        limits: Limits,
    ) -> Result<Self, ModelError> {
        let mut walk = Walk { reader, at: 0, file_bytes, path };
        let version = walk.u32()?;
        if version != VERSION {
            let found = version.to_string();
            return Err(ModelError::Unsupported { what: "CTranslate2 binary version", found, known: "6" });
        }
        let specification = walk.name(limits)?;
        let revision = walk.u32()?;
        let mut variables = BTreeMap::new();
        for _ in 0..walk.count("variables", limits.variables_max)? {
            let name = walk.name(limits)?;
            let variable = walk.variable(&name, limits)?;
            if variables.contains_key(&name) {
                return Err(walk.malformed(format!("variable `{name}` appears twice")));
            }
            variables.insert(name, variable);
        }
        let mut aliases = BTreeMap::new();
        for _ in 0..walk.count("aliases", limits.aliases_max)? {
            let (alias, name) = (walk.name(limits)?, walk.name(limits)?);
            if !variables.contains_key(&name) {
                return Err(walk.malformed(format!("`{alias}` stands for `{name}`, which is not there")));
            }
            if variables.contains_key(&alias) || aliases.contains_key(&alias) {
                return Err(walk.malformed(format!("`{alias}` appears twice")));
            }
            aliases.insert(alias, name);
        }
        if walk.at != file_bytes {
            let left = file_bytes - walk.at;
            return Err(walk.malformed(format!("{left} bytes after its end belong to nothing")));
        }
        Ok(Self { specification, revision, variables, aliases })
    }

    /// What kind of model it is, as `WhisperSpec`.
    pub fn specification(&self) -> &str {
        &self.specification
    }

    /// The specification's revision.
    pub fn revision(&self) -> u32 {
        self.revision
    }

    /// The place of a variable, by its name or one that stands for it.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.get(self.aliases.get(name).map_or(name, String::as_str))
    }

    /// All variables, by name.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &Variable)> {
        self.variables.iter().map(|(name, variable)| (name.as_str(), variable))
    }
}

/// Where the reader is.
struct Walk<'p, R> {
    reader: R,
    at: u64,
    file_bytes: u64,
    path: &'p Path,
}

impl<R: Read + Seek> Walk<'_, R> {
    fn malformed(&self, reason: String) -> ModelError {
        ModelError::Malformed { path: self.path.to_owned(), reason }
    }

    /// Claim the next bytes; they lie within the file.
    fn claim(&mut self, bytes: u64, what: &str) -> Result<(), ModelError> {
        let at = self.at;
        match at.checked_add(bytes) {
            Some(end) if end <= self.file_bytes => self.at = end,
            _ => {
                let left = self.file_bytes - at;
                let reason = format!("at byte {at} it has {left} bytes left, not the {bytes} of {what}");
                return Err(self.malformed(reason));
            }
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], ModelError> {
        self.claim(N as u64, "a number")?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes).map_err(|source| self.io(source))?;
        Ok(bytes)
    }

    fn io(&self, source: std::io::Error) -> ModelError {
        ModelError::Io { path: self.path.to_owned(), source }
    }

    fn u32(&mut self) -> Result<u32, ModelError> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn count(&mut self, what: &str, max: u32) -> Result<u32, ModelError> {
        let count = self.u32()?;
        if count > max {
            return Err(self.malformed(format!("it claims {count} {what}; at most {max} are read")));
        }
        Ok(count)
    }

    /// A name: its length, its bytes, a zero.
    fn name(&mut self, limits: Limits) -> Result<String, ModelError> {
        let length = self.bytes().map(u16::from_le_bytes)?;
        let max = limits.name_bytes_max;
        if length > max {
            return Err(self.malformed(format!("a name of {length} bytes; at most {max} are read")));
        }
        self.claim(length.into(), "a name")?;
        let mut bytes = vec![0; length.into()];
        self.reader.read_exact(&mut bytes).map_err(|source| self.io(source))?;
        if bytes.pop() != Some(0) || bytes.contains(&0) {
            return Err(self.malformed("a name does not end with its only zero".to_owned()));
        }
        String::from_utf8(bytes).map_err(|_| self.malformed("a name is not UTF-8".to_owned()))
    }

    fn variable(&mut self, name: &str, limits: Limits) -> Result<Variable, ModelError> {
        let [rank] = self.bytes()?;
        if rank > limits.dimensions_max {
            let max = limits.dimensions_max;
            return Err(
                self.malformed(format!("variable `{name}` has {rank} dimensions; at most {max} are read"))
            );
        }
        let mut shape = Vec::with_capacity(rank.into());
        for _ in 0..rank {
            shape.push(self.u32()? as usize);
        }
        let [number] = self.bytes()?;
        let dtype = Dtype::from_number(number)?;
        let bytes = u64::from(self.u32()?);
        let needed = shape.iter().try_fold(dtype.bytes(), |bytes, n| bytes.checked_mul(*n as u64));
        if needed != Some(bytes) {
            let reason =
                format!("variable `{name}` of shape {shape:?} and {dtype:?} cannot have {bytes} bytes");
            return Err(self.malformed(reason));
        }
        let start = self.at;
        self.claim(bytes, "a variable")?;
        self.reader.seek(SeekFrom::Start(self.at)).map_err(|source| self.io(source))?;
        Ok(Variable { shape, dtype, start, bytes })
    }
}
