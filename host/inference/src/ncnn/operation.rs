//! What layers compute, out of their numbered parameters.

use std::ops::RangeInclusive;

use super::graph::{LineError, shown};
use crate::error::ModelError;

/// Parameters of one layer, as in ncnn.
const PARAMETERS_MAX: usize = 32;
/// Numbers in a parameter that is a list.
const LIST_MAX: usize = 16;
/// A list has this number minus its own.
const LIST_BASE: i64 = -23_300;
/// Channels of a convolution.
const CHANNELS_MAX: usize = 4096;
/// Values that a split gives or a concatenation takes.
const BRANCHES_MAX: usize = 64;

/// How a picture is made larger or smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// Each pixel repeated.
    Nearest,
    /// Cubic convolution with a = −0.75, corners not aligned (Keys 1981).
    Cubic,
}

/// What a layer computes.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// The picture.
    Input,
    /// The same value under several names.
    Split,
    /// Channels behind each other.
    Concat,
    /// 3×3, with a border of one zero, so that the size stays; a bias for each output.
    Convolution {
        /// Channels that it gives.
        outputs: usize,
        /// Numbers of its weights: `outputs × inputs × 9`.
        weights: usize,
        /// What negative results are multiplied with; 1: nothing is done to them.
        slope: f32,
    },
    /// Negative numbers times a slope of their channel.
    PRelu {
        /// Slopes: one for each channel.
        slopes: usize,
    },
    /// Negative numbers times one slope.
    Relu {
        /// The slope.
        slope: f32,
    },
    /// Channels to pixels: `factor²` channels become a square (Shi et al., arXiv:1609.05158).
    PixelShuffle {
        /// The square's side.
        factor: usize,
    },
    /// Another size.
    Interp {
        /// How.
        resize: Resize,
        /// New side over old side.
        scale: f32,
    },
    /// Two values, each times its factor, added.
    Sum {
        /// The factors.
        factors: [f32; 2],
    },
}

impl Operation {
    pub(super) fn read(kind: &str, parameters: &mut Parameters) -> Result<Self, LineError> {
        let operation = match kind {
            "Input" => Self::Input,
            "Split" => Self::Split,
            "Concat" => {
                parameters.expect(0, 0.0, 0.0)?;
                Self::Concat
            }
            "Convolution" => convolution(parameters)?,
            "PReLU" => Self::PRelu { slopes: parameters.count(0, CHANNELS_MAX)? },
            "ReLU" => Self::Relu { slope: parameters.one(0, 0.0)? },
            "PixelShuffle" => {
                parameters.expect(1, 0.0, 0.0)?;
                Self::PixelShuffle { factor: parameters.count(0, 8)? }
            }
            "Interp" => interp(parameters)?,
            "BinaryOp" => {
                parameters.expect(0, 0.0, 0.0)?;
                Self::Sum { factors: [1.0, 1.0] }
            }
            "Eltwise" => {
                parameters.expect(0, 0.0, 1.0)?;
                let factors = match parameters.take(1).as_deref() {
                    None | Some([]) => [1.0, 1.0],
                    Some([a, b]) => [*a, *b],
                    Some(_) => return Err("a sum has not two factors".to_owned().into()),
                };
                Self::Sum { factors }
            }
            _ => {
                return Err(LineError::Unsupported(ModelError::Unsupported {
                    what: "the ncnn layer",
                    found: shown(kind),
                    known: "Input, Split, Concat, Convolution, PReLU, ReLU, PixelShuffle, Interp, BinaryOp, Eltwise",
                }));
            }
        };
        match parameters.0.first() {
            Some((number, _)) => Err(format!("parameter {number} of {kind} is not known here").into()),
            None => Ok(operation),
        }
    }

    /// How many values it may take and give.
    pub(super) fn arity(&self) -> (RangeInclusive<usize>, RangeInclusive<usize>) {
        match self {
            Self::Input => (0..=0, 1..=1),
            Self::Split => (1..=1, 1..=BRANCHES_MAX),
            Self::Concat => (1..=BRANCHES_MAX, 1..=1),
            Self::Sum { .. } => (2..=2, 1..=1),
            _ => (1..=1, 1..=1),
        }
    }
}

fn convolution(parameters: &mut Parameters) -> Result<Operation, LineError> {
    let outputs = parameters.count(0, CHANNELS_MAX)?;
    let weights = parameters.count(6, CHANNELS_MAX * CHANNELS_MAX * 9)?;
    // Kernel, padding and bias; then dilation and stride, one where they are not written.
    for (number, default, wanted) in
        [(1, 0.0, 3.0), (4, 0.0, 1.0), (5, 0.0, 1.0), (2, 1.0, 1.0), (3, 1.0, 1.0)]
    {
        parameters.expect(number, default, wanted)?;
    }
    let list = |values: Option<Vec<f32>>| values.and_then(|values| values.first().copied());
    let slope = match (parameters.one(9, 0.0)?, list(parameters.take(10))) {
        (0.0, None) => 1.0,
        (1.0, None) => 0.0,
        (2.0, Some(slope)) => slope,
        _ => return Err("only linear, ReLU and leaky ReLU follow a convolution here".to_owned().into()),
    };
    Ok(Operation::Convolution { outputs, weights, slope })
}

fn interp(parameters: &mut Parameters) -> Result<Operation, LineError> {
    let resize = match parameters.one(0, 0.0)? {
        1.0 => Resize::Nearest,
        3.0 => Resize::Cubic,
        other => return Err(format!("the way of resizing {other} is neither nearest nor cubic").into()),
    };
    let (high, wide) = (parameters.one(1, 1.0)?, parameters.one(2, 1.0)?);
    if high != wide || !(0.125..=8.0).contains(&high) {
        return Err(format!("it scales by {wide} and {high}, not the same from 1/8 to 8").into());
    }
    Ok(Operation::Interp { resize, scale: high })
}

/// Numbered parameters that were not asked for yet.
pub(super) struct Parameters(Vec<(u8, Vec<f32>)>);

impl Parameters {
    /// `number=value` and `-(23300+number)=count,value,…`.
    pub(super) fn read<'t>(words: impl Iterator<Item = &'t str>) -> Result<Self, LineError> {
        let mut found: Vec<(u8, Vec<f32>)> = Vec::new();
        for word in words {
            let bad = || format!("{} is no parameter", shown(word));
            let (number, value) = word.split_once('=').ok_or_else(bad)?;
            let number: i64 = number.parse().map_err(|_| bad())?;
            let (number, is_list) =
                if number <= LIST_BASE { (LIST_BASE - number, true) } else { (number, false) };
            let number = u8::try_from(number).map_err(|_| bad())?;
            if usize::from(number) >= PARAMETERS_MAX || found.iter().any(|(other, _)| *other == number) {
                return Err(format!("parameter {number} is out of range or there twice").into());
            }
            let mut values = Vec::new();
            for value in value.split(',') {
                let value: f32 = value.parse().map_err(|_| bad())?;
                if !value.is_finite() || values.len() > LIST_MAX {
                    return Err(bad().into());
                }
                values.push(value);
            }
            if is_list {
                let count = values.remove(0);
                if count != values.len() as f32 {
                    return Err(format!(
                        "parameter {number} claims {count} numbers and has {}",
                        values.len()
                    )
                    .into());
                }
            } else if values.len() != 1 {
                return Err(bad().into());
            }
            found.push((number, values));
        }
        Ok(Self(found))
    }

    fn take(&mut self, number: u8) -> Option<Vec<f32>> {
        let at = self.0.iter().position(|(found, _)| *found == number)?;
        Some(self.0.swap_remove(at).1)
    }

    fn one(&mut self, number: u8, default: f32) -> Result<f32, String> {
        match self.take(number).as_deref() {
            None => Ok(default),
            Some([value]) => Ok(*value),
            Some(_) => Err(format!("parameter {number} is not one number")),
        }
    }

    fn expect(&mut self, number: u8, default: f32, wanted: f32) -> Result<(), String> {
        match self.one(number, default)? {
            found if found == wanted => Ok(()),
            found => Err(format!("parameter {number} is {found}; only {wanted} is supported")),
        }
    }

    fn count(&mut self, number: u8, max: usize) -> Result<usize, String> {
        let found = self.one(number, 0.0)?;
        match found.fract() == 0.0 && found >= 1.0 && found <= max as f32 {
            true => Ok(found as usize),
            false => Err(format!("parameter {number} is {found}, no count from 1 to {max}")),
        }
    }
}
