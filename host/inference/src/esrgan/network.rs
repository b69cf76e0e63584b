//! A planned graph with its weights.

use std::sync::{Mutex, PoisonError};

use super::plan::{Plan, Step};
use crate::error::ModelError;
use crate::kernels::image::{Convolution, ImageKernels, Size};
use crate::ncnn::{LayerWeights, WeightFile};

#[derive(Debug)]
pub(super) struct Network<K: ImageKernels> {
    kernels: K,
    plan: Plan,
    filters: Vec<K::Filter>,
    /// Pictures of the last size that was computed: most tiles have the same.
    places: Mutex<Option<(Size, Vec<K::Tensor>)>>,
}

impl<K: ImageKernels> Network<K> {
    pub(super) fn load(kernels: K, plan: Plan, file: &mut WeightFile) -> Result<Self, ModelError> {
        let mut filters = Vec::with_capacity(plan.filters.len());
        for filter in &plan.filters {
            let missing =
                || ModelError::Compute { reason: "a layer's weights are those of another".to_owned() };
            let layers = &file.weights().layers;
            let LayerWeights::Convolution { weights, bias } = layers[filter.layer] else {
                return Err(missing());
            };
            let slopes = match filter.slopes {
                Err(slope) => vec![slope; filter.outputs],
                Ok(layer) => match layers[layer] {
                    LayerWeights::Slopes(slopes) => file.floats(slopes)?,
                    _ => return Err(missing()),
                },
            };
            let (weights, bias) = (file.floats(weights)?, file.floats(bias)?);
            let convolution =
                Convolution { inputs: filter.inputs, weights: &weights, bias: &bias, slopes: &slopes };
            filters.push(kernels.filter(convolution)?);
        }
        Ok(Self { kernels, plan, filters, places: Mutex::new(None) })
    }

    /// Colours of `size` to colours of that size times the scale.
    pub(super) fn run(&self, input: &[f32], size: Size) -> Result<Vec<f32>, ModelError> {
        let mut held = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let mut places = match held.take() {
            Some((found, places)) if found == size => places,
            other => {
                drop(other);
                let slots = self.plan.slots.iter();
                slots
                    .map(|slot| self.kernels.tensor(slot.size(size).pixels(), slot.channels))
                    .collect::<Result<_, _>>()?
            }
        };
        places[0] = self.kernels.upload(3, input)?;
        for step in &self.plan.steps {
            self.step(step, size, &mut places)?;
        }
        let values = self.kernels.read(&places[self.plan.output])?;
        *held = Some((size, places));
        match values.iter().all(|value| value.is_finite()) {
            true => Ok(values),
            false => {
                Err(ModelError::Compute { reason: "the picture has numbers that are not finite".to_owned() })
            }
        }
    }

    fn step(&self, step: &Step, size: Size, places: &mut [K::Tensor]) -> Result<(), ModelError> {
        let k = &self.kernels;
        let size_of = |slot: usize| self.plan.slots[slot].size(size);
        let out_slot = match step {
            Step::Convolution { out, .. }
            | Step::Sum { out, .. }
            | Step::Shuffle { out, .. }
            | Step::Nearest { out, .. }
            | Step::Cubic { out, .. } => *out,
        };
        // Out of its place while it is written; no step reads what it writes.
        let mut out = std::mem::replace(&mut places[out_slot], k.tensor(0, 1)?);
        match step {
            Step::Convolution { parts, filter, .. } => {
                let size = size_of(parts[0]);
                let parts: Vec<&K::Tensor> = parts.iter().map(|slot| &places[*slot]).collect();
                k.conv3x3(&parts, size, &self.filters[*filter], &mut out);
            }
            Step::Sum { x, y, factors, .. } => k.weighted_sum(&places[*x], &places[*y], *factors, &mut out),
            Step::Shuffle { x, factor, .. } => k.pixel_shuffle(&places[*x], size_of(*x), *factor, &mut out),
            Step::Nearest { x, factor, .. } => k.nearest(&places[*x], size_of(*x), *factor, &mut out),
            Step::Cubic { x, .. } => k.cubic(&places[*x], size_of(*x), size_of(out_slot), &mut out),
        }
        places[out_slot] = out;
        Ok(())
    }
}
