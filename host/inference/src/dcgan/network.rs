//! The layers of a generator.

use crate::error::ModelError;
use crate::gguf::Encoding;
use crate::kernels::image::{Activation, ImageKernels, Size, Taps};
use crate::kernels::{Kernels, Stored};
use crate::llama::Precision;
use crate::planner::{Layer, Needs};
use crate::torch::Checkpoint;

/// The generator's dictionary in a checkpoint, and its list of layers there.
const PREFIX: &str = "netG_state_dict.main";
/// Places of the convolutions in that list; batch norm stands behind each but the last, and an activation behind both.
const CONVOLUTIONS: [usize; 5] = [0, 3, 6, 9, 12];
const SIDE: usize = 4;
/// Numbers a convolution sees or gives.
const CHANNELS_MAX: usize = 4096;
/// PyTorch's own, added to a variance.
const EPSILON: f64 = 1e-5;

#[derive(Clone, Copy, Debug)]
struct Convolution {
    /// Its place in the file's list.
    place: usize,
    inputs: usize,
    outputs: usize,
    taps: Taps,
    /// Of what it sees.
    size: Size,
    is_last: bool,
}

impl Convolution {
    /// Numbers that each pixel adds to others.
    fn columns(&self) -> usize {
        SIDE * SIDE * self.outputs
    }
}

/// The shapes of all layers.
#[derive(Debug)]
pub(super) struct Plan {
    convolutions: Vec<Convolution>,
}

impl Plan {
    pub(super) fn new(file: &Checkpoint) -> Result<Self, ModelError> {
        let mut size = Size { height: 1, width: 1 };
        let mut seen: Option<usize> = None;
        let mut convolutions = Vec::new();
        for (index, place) in CONVOLUTIONS.into_iter().enumerate() {
            let name = format!("{PREFIX}.{place}.weight");
            let is_last = index + 1 == CONVOLUTIONS.len();
            let (inputs, outputs) = match *file.shape(&name)? {
                [inputs, outputs, SIDE, SIDE]
                    if (1..=CHANNELS_MAX).contains(&inputs)
                        && (1..=CHANNELS_MAX).contains(&outputs)
                        && seen.is_none_or(|seen| seen == inputs)
                        && (!is_last || outputs == 3) =>
                {
                    (inputs, outputs)
                }
                ref other => {
                    let reason =
                        format!("the shape {other:?} is not that of layer {place} of such a network");
                    return Err(ModelError::BadTensor { name, reason });
                }
            };
            let (stride, padding) = if index == 0 { (1, 0) } else { (2, 1) };
            let taps = Taps { side: SIDE, stride, padding };
            convolutions.push(Convolution { place, inputs, outputs, taps, size, is_last });
            (size, seen) = (taps.spread(size), Some(outputs));
        }
        Ok(Self { convolutions })
    }

    pub(super) fn latents(&self) -> usize {
        self.convolutions[0].inputs
    }

    /// Of the picture.
    pub(super) fn size(&self) -> Size {
        let last = self.convolutions[self.convolutions.len() - 1];
        last.taps.spread(last.size)
    }

    pub(super) fn parameters(&self) -> u64 {
        let each = self
            .convolutions
            .iter()
            .map(|layer| layer.inputs * layer.columns() + if layer.is_last { 0 } else { 2 * layer.outputs });
        each.sum::<usize>() as u64
    }

    pub(super) fn needs<K: ImageKernels>(&self) -> Needs {
        let floats = |count: usize| (count * size_of::<f32>()) as u64;
        let layer = |layer: &Convolution| Layer {
            weights_bytes: K::matrix_bytes(Encoding::F32, layer.columns(), layer.inputs, Precision::Exact)
                + floats(layer.outputs),
            cache_bytes: 0,
        };
        let run = |layer: &Convolution| {
            let out = layer.taps.spread(layer.size).pixels() * layer.outputs;
            floats(layer.size.pixels() * (layer.inputs + layer.columns()) + out)
        };
        let weights = |layer: &Convolution| 2 * floats(layer.inputs * layer.columns());
        Needs {
            ends_bytes: 0,
            layers: self.convolutions.iter().map(layer).collect(),
            workspace_bytes: self.convolutions.iter().map(run).max().unwrap_or(0),
            // As the file has them, and in the order of products.
            staging_bytes: self.convolutions.iter().map(weights).max().unwrap_or(0),
        }
    }
}

#[derive(Debug)]
struct Loaded<K: Kernels> {
    shape: Convolution,
    /// `[taps, outputs]` × `inputs`.
    weights: K::Matrix,
    bias: K::Tensor,
}

#[derive(Debug)]
pub(super) struct Network<K: ImageKernels> {
    kernels: K,
    layers: Vec<Loaded<K>>,
}

impl<K: ImageKernels> Network<K> {
    pub(super) fn load(kernels: K, plan: &Plan, file: &Checkpoint) -> Result<Self, ModelError> {
        let layers = plan.convolutions.iter().map(|shape| load(&kernels, *shape, file));
        Ok(Self { layers: layers.collect::<Result<_, _>>()?, kernels })
    }

    /// Random numbers to colours.
    pub(super) fn run(&self, latents: &[f32]) -> Result<Vec<f32>, ModelError> {
        let k = &self.kernels;
        let mut x = k.upload(latents.len(), latents)?;
        for Loaded { shape, weights, bias } in &self.layers {
            let mut spread = k.tensor(shape.size.pixels(), shape.columns())?;
            k.linear(&x, &mut [(weights, &mut spread)]);
            let mut out = k.tensor(shape.taps.spread(shape.size).pixels(), shape.outputs)?;
            let activation = if shape.is_last { Activation::Tanh } else { Activation::Relu };
            k.fold(&spread, shape.size, shape.taps, bias, activation, &mut out);
            x = out;
        }
        let values = k.read(&x)?;
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => {
                Err(ModelError::Compute { reason: "the picture has numbers that are not finite".to_owned() })
            }
        }
    }
}

fn load<K: ImageKernels>(
    kernels: &K,
    shape: Convolution,
    file: &Checkpoint,
) -> Result<Loaded<K>, ModelError> {
    let Convolution { place, inputs, outputs, .. } = shape;
    let stored = file.floats(&format!("{PREFIX}.{place}.weight"), &[inputs, outputs, SIDE, SIDE])?;
    let channels = match shape.is_last {
        true => vec![(1.0, 0.0); outputs],
        false => batch_norm(file, place + 1, outputs)?,
    };
    let mut weights = vec![0.0_f32; stored.len()];
    for (at, weight) in stored.into_iter().enumerate() {
        let (input, output, tap) = (at / shape.columns(), at / (SIDE * SIDE) % outputs, at % (SIDE * SIDE));
        weights[(tap * outputs + output) * inputs + input] = (f64::from(weight) * channels[output].0) as f32;
    }
    let bytes = bytemuck::cast_slice(&weights);
    let stored = Stored { encoding: Encoding::F32, rows: shape.columns(), columns: inputs, bytes };
    let bias: Vec<f32> = channels.iter().map(|(_, bias)| *bias as f32).collect();
    Ok(Loaded {
        shape,
        weights: kernels.matrix(stored, Precision::Exact)?,
        bias: kernels.upload(outputs, &bias)?,
    })
}

/// The factor and the bias of each channel (Ioffe and Szegedy, arXiv:1502.03167).
fn batch_norm(file: &Checkpoint, place: usize, channels: usize) -> Result<Vec<(f64, f64)>, ModelError> {
    let floats = |name: &str| file.floats(&format!("{PREFIX}.{place}.{name}"), &[channels]);
    let (weight, bias, mean, variance) =
        (floats("weight")?, floats("bias")?, floats("running_mean")?, floats("running_var")?);
    let each = weight.iter().zip(&bias).zip(&mean).zip(&variance);
    let folded = each.map(|(((weight, bias), mean), variance)| {
        let factor = f64::from(*weight) / (f64::from(*variance) + EPSILON).sqrt();
        (factor, f64::from(*bias) - f64::from(*mean) * factor)
    });
    Ok(folded.collect())
}
