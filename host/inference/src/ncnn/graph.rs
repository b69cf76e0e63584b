//! The lines of a `.param` file.

use std::collections::HashMap;
use std::io::Read;
use std::path::Path;

use super::operation::{Operation, Parameters};
use crate::error::ModelError;

/// The first line of a text graph.
const MAGIC: &str = "7767517";

/// What a graph may have at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the text.
    pub text_bytes_max: u64,
    /// Layers.
    pub layers_max: usize,
    /// Values that layers give, and as many that they take.
    pub values_max: usize,
    /// Bytes of a layer's or value's name.
    pub name_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { text_bytes_max: 1 << 20, layers_max: 4096, values_max: 16_384, name_bytes_max: 256 }
    }
}

/// A model's layers, each behind those whose values it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// In the file's order, which is that of the weights too.
    pub layers: Vec<Layer>,
    /// How many values there are.
    pub values: usize,
}

/// One layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Layer {
    /// Its name, for messages.
    pub name: String,
    /// What it computes.
    pub operation: Operation,
    /// Values that it takes, by their numbers.
    pub inputs: Vec<usize>,
    /// Values that it gives; each is given once.
    pub outputs: Vec<usize>,
}

impl Graph {
    /// Read a graph; `path` is for messages.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] with the line, [`ModelError::Unsupported`] for layers of other kinds, [`ModelError::Io`].
    pub fn read(reader: impl Read, path: &Path, limits: Limits) -> Result<Self, ModelError> {
        let mut text = Vec::new();
        reader
            .take(limits.text_bytes_max.saturating_add(1))
            .read_to_end(&mut text)
            .map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
        let malformed = |reason: String| ModelError::Malformed { path: path.to_owned(), reason };
        if text.len() as u64 > limits.text_bytes_max {
            return Err(malformed(format!("it has more than {} bytes", limits.text_bytes_max)));
        }
        let text = std::str::from_utf8(&text)
            .map_err(|error| malformed(format!("byte {} is not UTF-8", error.valid_up_to())))?;
        let mut reading = Reading { limits, known: HashMap::new(), taken: 0, layers: Vec::new() };
        let mut lines = text.lines().zip(1..).filter(|(line, _)| !line.trim().is_empty());
        match lines.next() {
            Some((line, _)) if line.trim() == MAGIC => {}
            _ => return Err(malformed(format!("line 1 is not {MAGIC}"))),
        }
        let counts = lines.next().and_then(|(line, _)| {
            let (layers, values) = line.trim().split_once(char::is_whitespace)?;
            Some((layers.parse::<usize>().ok()?, values.trim().parse::<usize>().ok()?))
        });
        let counts = counts.ok_or_else(|| malformed("line 2 is not two counts".to_owned()))?;
        for (line, number) in lines {
            reading.line(line).map_err(|error| match error {
                LineError::Malformed(reason) => malformed(format!("line {number}: {reason}")),
                LineError::Unsupported(error) => error,
            })?;
        }
        let found = (reading.layers.len(), reading.known.len());
        if found != counts {
            return Err(malformed(format!(
                "line 2 claims {} layers and {} values; there are {} and {}",
                counts.0, counts.1, found.0, found.1
            )));
        }
        Ok(Self { layers: reading.layers, values: found.1 })
    }

    /// How many layers take each value.
    pub fn uses(&self) -> Vec<usize> {
        let mut uses = vec![0; self.values];
        self.layers.iter().flat_map(|layer| &layer.inputs).for_each(|value| uses[*value] += 1);
        uses
    }
}

/// Why a line is refused.
pub(super) enum LineError {
    Malformed(String),
    Unsupported(ModelError),
}

impl From<String> for LineError {
    fn from(reason: String) -> Self {
        Self::Malformed(reason)
    }
}

struct Reading<'t> {
    limits: Limits,
    known: HashMap<&'t str, usize>,
    /// Values that layers took so far.
    taken: usize,
    layers: Vec<Layer>,
}

impl<'t> Reading<'t> {
    fn line(&mut self, line: &'t str) -> Result<(), LineError> {
        if self.layers.len() == self.limits.layers_max {
            return Err(format!("there are more than {} layers", self.limits.layers_max).into());
        }
        let mut words = line.split_whitespace();
        let mut word = |what: &str| words.next().ok_or_else(|| format!("it has no {what}"));
        let (kind, name) = (word("kind")?, word("name")?);
        let count = |word: &str| word.parse::<u16>().map_err(|_| format!("{} is no count", shown(word)));
        let (inputs, outputs) = (count(word("inputs")?)?, count(word("outputs")?)?);
        self.check_name(name)?;
        let mut taken = Vec::new();
        for _ in 0..inputs {
            let name = word("input of that number")?;
            let value =
                self.known.get(name).ok_or_else(|| format!("{} is given nowhere before", shown(name)))?;
            self.taken += 1;
            if self.taken > self.limits.values_max {
                return Err(format!("more than {} values are taken", self.limits.values_max).into());
            }
            taken.push(*value);
        }
        let mut given = Vec::new();
        for _ in 0..outputs {
            let name = word("output of that number")?;
            self.check_name(name)?;
            let value = self.known.len();
            if value == self.limits.values_max {
                return Err(format!("there are more than {} values", self.limits.values_max).into());
            }
            if self.known.insert(name, value).is_some() {
                return Err(format!("{} is given twice", shown(name)).into());
            }
            given.push(value);
        }
        let operation = Operation::read(kind, &mut Parameters::read(words)?)?;
        let (takes, gives) = operation.arity();
        if !takes.contains(&taken.len()) || !gives.contains(&given.len()) {
            let reason = format!("a {kind} does not take {} values and give {}", taken.len(), given.len());
            return Err(reason.into());
        }
        self.layers.push(Layer { name: name.to_owned(), operation, inputs: taken, outputs: given });
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), String> {
        match name.len() <= self.limits.name_bytes_max {
            true => Ok(()),
            false => Err(format!("a name has more than {} bytes", self.limits.name_bytes_max)),
        }
    }
}

/// A word for a message, cut to a length that messages bear.
pub(super) fn shown(word: &str) -> String {
    format!("{:?}", word.chars().take(40).collect::<String>())
}
