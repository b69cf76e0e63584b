//! The numbers of a `.bin` file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Graph, Operation};
use crate::error::ModelError;
use crate::floats::{self, FloatForm};

/// Before weights in 16-bit floats; 0 stands before those in 32 bits.
const HALF: u32 = 0x0130_6B47;

/// Where numbers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: u64,
    /// Numbers.
    pub count: usize,
    /// Whether each has 16 bits instead of 32.
    pub is_half: bool,
}

impl Span {
    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.count as u64 * if self.is_half { 2 } else { 4 }
    }
}

/// Where a layer's numbers lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerWeights {
    /// It has none.
    None,
    /// Of a convolution.
    Convolution {
        /// `[outputs, inputs, 3, 3]`.
        weights: Span,
        /// One for each output.
        bias: Span,
    },
    /// Of a `PReLU`.
    Slopes(Span),
}

/// Where the numbers of each layer lie, in the graph's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weights {
    /// One for each layer.
    pub layers: Vec<LayerWeights>,
}

impl Weights {
    /// Find the numbers in a file of `length` bytes, of which only what says how they are stored is read.
    ///
    /// # Errors
    /// [`ModelError::Malformed`] with the byte where the file ends too early, too late or stores numbers otherwise; [`ModelError::Io`].
    pub fn read(
        mut reader: impl Read + Seek,
        length: u64,
        graph: &Graph,
        path: &Path,
    ) -> Result<Self, ModelError> {
        let malformed = |reason: String| ModelError::Malformed { path: path.to_owned(), reason };
        let mut at = 0_u64;
        // Counts are bounded by the graph's reader and `at` by the length: nothing overflows.
        let span = |at: &mut u64, count: usize, is_half: bool, name: &str| {
            let span = Span { start: *at, count, is_half };
            let end = *at + span.bytes().next_multiple_of(4);
            if end > length {
                return Err(malformed(format!(
                    "it ends at byte {length}, inside of {name}, which goes to {end}"
                )));
            }
            *at = end;
            Ok(span)
        };
        let mut layers = Vec::new();
        for layer in &graph.layers {
            layers.push(match layer.operation {
                Operation::Convolution { outputs, weights, .. } => {
                    let flag = span(&mut at, 1, false, &layer.name)?;
                    let mut bytes = [0; 4];
                    reader
                        .seek(SeekFrom::Start(flag.start))
                        .and_then(|_| reader.read_exact(&mut bytes))
                        .map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
                    let is_half = match u32::from_le_bytes(bytes) {
                        0 => false,
                        HALF => true,
                        other => {
                            let reason = format!("byte {}: weights stored as {other:#010x}", flag.start);
                            return Err(malformed(reason));
                        }
                    };
                    let weights = span(&mut at, weights, is_half, &layer.name)?;
                    let bias = span(&mut at, outputs, false, &layer.name)?;
                    LayerWeights::Convolution { weights, bias }
                }
                Operation::PRelu { slopes } => {
                    LayerWeights::Slopes(span(&mut at, slopes, false, &layer.name)?)
                }
                _ => LayerWeights::None,
            });
        }
        if at != length {
            return Err(malformed(format!("the weights end at byte {at} and the file at {length}")));
        }
        Ok(Self { layers })
    }
}

/// An open `.bin` file.
#[derive(Debug)]
pub struct WeightFile {
    file: File,
    path: PathBuf,
    weights: Weights,
}

impl WeightFile {
    /// Open a graph's weights.
    ///
    /// # Errors
    /// As [`Weights::read`].
    pub fn open(path: &Path, graph: &Graph) -> Result<Self, ModelError> {
        let (file, length) =
            floats::open(path).map_err(|source| ModelError::Io { path: path.to_owned(), source })?;
        let weights = Weights::read(&file, length, graph, path)?;
        Ok(Self { file, path: path.to_owned(), weights })
    }

    /// Where the numbers of each layer lie.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }

    /// The numbers of a span, all finite.
    ///
    /// # Errors
    /// [`ModelError::Io`]; [`ModelError::Malformed`] where one is no finite number.
    pub fn floats(&self, span: Span) -> Result<Vec<f32>, ModelError> {
        let form = if span.is_half { FloatForm::F16 } else { FloatForm::F32 };
        let values = floats::read(&self.file, form, span.start, span.bytes())
            .map_err(|source| ModelError::Io { path: self.path.clone(), source })?;
        match values.iter().position(|value| !value.is_finite()) {
            None => Ok(values),
            Some(at) => Err(ModelError::Malformed {
                path: self.path.clone(),
                reason: format!("number {at} from byte {} on is not finite", span.start),
            }),
        }
    }
}
