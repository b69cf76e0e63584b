//! What a graph computes, step by step, and in how much memory: decided from the graph alone.

use super::BORDER_MAX;
use super::tiles::GRID;
use crate::error::ModelError;
use crate::kernels::image::{ImageKernels, Size};
use crate::ncnn::{Graph, Layer as GraphLayer, Operation, Resize};
use crate::planner::{Layer, Needs};

/// New side over old side, and of anything between.
const SCALE_MAX: usize = 8;
/// Channels that a convolution sees or gives.
const CHANNELS_MAX: usize = 1024;
/// Pictures whose channels stand behind each other.
const PARTS_MAX: usize = 16;
/// A tile's side where memory does not say less: beyond it, nothing is gained.
const TILE_SIDE_MAX: usize = 256;

/// A picture between two steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Slot {
    pub(super) channels: usize,
    /// Its side over the input's.
    pub(super) scale: usize,
}

impl Slot {
    pub(super) fn size(self, size: Size) -> Size {
        size.times(self.scale)
    }
}

/// One operation. Numbers are those of slots.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Convolution { parts: Vec<usize>, filter: usize, out: usize },
    Sum { x: usize, y: usize, factors: [f32; 2], out: usize },
    Shuffle { x: usize, factor: usize, out: usize },
    Nearest { x: usize, factor: usize, out: usize },
    Cubic { x: usize, out: usize },
}

/// A convolution of the graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct FilterPlan {
    /// Its place among the graph's layers.
    pub(super) layer: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    /// The layer that has its slopes, or one slope for all outputs.
    pub(super) slopes: Result<usize, f32>,
}

#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) scale: usize,
    pub(super) border: usize,
    /// The first holds the input.
    pub(super) slots: Vec<Slot>,
    pub(super) steps: Vec<Step>,
    pub(super) filters: Vec<FilterPlan>,
    pub(super) output: usize,
}

/// A value of the graph: pictures whose channels stand behind each other, and how many pixels of the input around a pixel it depends on.
#[derive(Clone, Debug, Default)]
struct Value {
    parts: Vec<usize>,
    reach: f64,
}

impl Plan {
    /// # Errors
    /// [`ModelError::BadTensor`] names the layer that does not fit the others, or that no model of this family has.
    pub(super) fn new(graph: &Graph) -> Result<Self, ModelError> {
        let mut plan = Self {
            scale: 0,
            border: 0,
            slots: Vec::new(),
            steps: Vec::new(),
            filters: Vec::new(),
            output: 0,
        };
        let uses = graph.uses();
        let mut values = vec![Value::default(); graph.values];
        let mut pending = None;
        for (index, layer) in graph.layers.iter().enumerate() {
            let bad =
                |reason: &str| ModelError::BadTensor { name: layer.name.clone(), reason: reason.to_owned() };
            let taken: Vec<Value> = layer.inputs.iter().map(|value| values[*value].clone()).collect();
            let given = plan.layer(index, layer, &taken, pending).map_err(bad)?;
            // Only what directly follows a convolution, and alone does, is part of it.
            let is_convolution = matches!(layer.operation, Operation::Convolution { .. });
            pending = layer.outputs.first().copied().filter(|value| is_convolution && uses[*value] == 1);
            layer.outputs.iter().for_each(|value| values[*value] = given.clone());
        }
        let mut ends = (0..graph.values).filter(|value| uses[*value] == 0);
        let bad =
            |reason: &str| ModelError::BadTensor { name: "output".to_owned(), reason: reason.to_owned() };
        let (Some(end), None) = (ends.next(), ends.next()) else {
            return Err(bad("there is not one result"));
        };
        let [output] = values[end].parts[..] else { return Err(bad("it is not one picture")) };
        if plan.slots[output].channels != 3 {
            return Err(bad("it has not three channels"));
        }
        plan.scale = plan.slots[output].scale;
        plan.output = output;
        plan.border = (values[end].reach.ceil() as usize).min(BORDER_MAX).next_multiple_of(GRID);
        plan.share_slots();
        Ok(plan)
    }

    fn layer(
        &mut self,
        index: usize,
        layer: &GraphLayer,
        taken: &[Value],
        pending: Option<usize>,
    ) -> Result<Value, &'static str> {
        let reach = taken.iter().map(|value| value.reach).fold(0.0, f64::max);
        let one = |value: &Value| match value.parts[..] {
            [slot] => Ok(slot),
            _ => Err("it takes several pictures as one"),
        };
        match layer.operation {
            Operation::Input if self.slots.is_empty() => self.give(3, 1, 0.0),
            Operation::Input => Err("there is more than one input"),
            Operation::Split => Ok(taken[0].clone()),
            Operation::Concat => {
                let parts: Vec<usize> = taken.iter().flat_map(|value| value.parts.iter().copied()).collect();
                if parts.len() > PARTS_MAX {
                    return Err("too many pictures are put together");
                }
                match parts.iter().all(|slot| self.slots[*slot].scale == self.slots[parts[0]].scale) {
                    true => Ok(Value { parts, reach }),
                    false => Err("pictures of several sizes are put together"),
                }
            }
            Operation::Convolution { outputs, weights, slope } => {
                let parts = taken[0].parts.clone();
                let inputs: usize = parts.iter().map(|slot| self.slots[*slot].channels).sum();
                if inputs > CHANNELS_MAX || outputs > CHANNELS_MAX || weights != inputs * outputs * 9 {
                    return Err("its weights do not fit what it takes and gives");
                }
                let scale = self.slots[parts[0]].scale;
                let given = self.give(outputs, scale, reach + 1.0 / scale as f64)?;
                let filter = self.filters.len();
                self.filters.push(FilterPlan { layer: index, inputs, outputs, slopes: Err(slope) });
                self.steps.push(Step::Convolution { parts, filter, out: given.parts[0] });
                Ok(given)
            }
            Operation::PRelu { .. } | Operation::Relu { .. } => {
                let follows = pending.is_some_and(|value| layer.inputs == [value]);
                match self.filters.last_mut() {
                    Some(filter) if follows && filter.slopes == Err(1.0) => {
                        filter.slopes = match layer.operation {
                            Operation::Relu { slope } => Err(slope),
                            Operation::PRelu { slopes } if slopes == filter.outputs => Ok(index),
                            _ => return Err("it has not one slope for each channel"),
                        };
                        Ok(taken[0].clone())
                    }
                    _ => Err("it does not directly follow a convolution that has no such step yet"),
                }
            }
            Operation::PixelShuffle { factor } => {
                let x = one(&taken[0])?;
                let Slot { channels, scale } = self.slots[x];
                if !channels.is_multiple_of(factor * factor) {
                    return Err("its channels are no squares");
                }
                let given = self.give(channels / (factor * factor), scale * factor, reach)?;
                self.steps.push(Step::Shuffle { x, factor, out: given.parts[0] });
                Ok(given)
            }
            Operation::Interp { resize, scale } => {
                let x = one(&taken[0])?;
                let Slot { channels, scale: before } = self.slots[x];
                let after = before as f32 * scale;
                if after.fract() != 0.0 || after < 1.0 {
                    return Err("its side is no whole number of times the input's");
                }
                let reached = if resize == Resize::Cubic { reach + 2.0 / before as f64 } else { reach };
                let given = self.give(channels, after as usize, reached)?;
                let out = given.parts[0];
                self.steps.push(match resize {
                    Resize::Cubic => Step::Cubic { x, out },
                    Resize::Nearest if scale.fract() == 0.0 => {
                        Step::Nearest { x, factor: scale as usize, out }
                    }
                    Resize::Nearest => return Err("pixels are not repeated a whole number of times"),
                });
                Ok(given)
            }
            Operation::Sum { factors } => {
                let (x, y) = (one(&taken[0])?, one(&taken[1])?);
                if self.slots[x] != self.slots[y] {
                    return Err("it adds pictures of several shapes");
                }
                let Slot { channels, scale } = self.slots[x];
                let given = self.give(channels, scale, reach)?;
                self.steps.push(Step::Sum { x, y, factors, out: given.parts[0] });
                Ok(given)
            }
        }
    }

    fn give(&mut self, channels: usize, scale: usize, reach: f64) -> Result<Value, &'static str> {
        if scale > SCALE_MAX {
            return Err("it is more than 8 times as large as the input");
        }
        self.slots.push(Slot { channels, scale });
        Ok(Value { parts: vec![self.slots.len() - 1], reach })
    }

    /// Let pictures of one shape that are not needed at the same time lie in the same place.
    fn share_slots(&mut self) {
        let mut last = vec![0; self.slots.len()];
        for (at, step) in self.steps.iter().enumerate() {
            step.slots().0.into_iter().for_each(|slot| last[slot] = at);
        }
        last[self.output] = usize::MAX;
        let mut places: Vec<Slot> = vec![self.slots[0]];
        let mut free: Vec<usize> = Vec::new();
        let mut place_of = vec![0; self.slots.len()];
        for (at, step) in self.steps.iter_mut().enumerate() {
            let (mut taken, out) = step.slots();
            let shape = self.slots[out];
            let place = match free.iter().position(|place| places[*place] == shape) {
                Some(found) => free.swap_remove(found),
                None => {
                    places.push(shape);
                    places.len() - 1
                }
            };
            place_of[out] = place;
            taken.sort_unstable();
            taken.dedup();
            free.extend(taken.iter().filter(|slot| last[**slot] == at).map(|slot| place_of[*slot]));
            step.rename(&place_of);
        }
        self.output = place_of[self.output];
        self.slots = places;
    }

    /// Bytes of all pictures for one pixel of the input, and for what goes in and comes out.
    fn pixel_bytes(&self) -> u64 {
        let values = |slot: &Slot| slot.channels * slot.scale * slot.scale;
        let ends = 3 + 2 * 3 * self.scale * self.scale;
        ((self.slots.iter().map(values).sum::<usize>() + ends) * size_of::<f32>()) as u64
    }

    /// The side of the largest tile that can be computed with its border in so many bytes.
    pub(super) fn tile_side(&self, bytes_max: u64) -> Result<usize, ModelError> {
        let bytes = |side: usize| ((side + 2 * self.border) as u64).pow(2) * self.pixel_bytes();
        let sides = (1..=TILE_SIDE_MAX / GRID).map(|count| count * GRID);
        let found = sides.take_while(|side| bytes(*side) <= bytes_max).last();
        found.ok_or(ModelError::DoesNotFit { needed_bytes: bytes(GRID), limit_bytes: bytes_max })
    }

    pub(super) fn needs<K: ImageKernels>(&self, kernels: &K, tile_side: usize) -> Needs {
        let scratch = self.filters.iter().map(|filter| kernels.scratch_bytes(filter.inputs, filter.outputs));
        let layer = |filter: &FilterPlan| Layer {
            weights_bytes: K::filter_bytes(filter.inputs, filter.outputs),
            cache_bytes: 0,
        };
        let staged =
            self.filters.iter().map(|filter| (filter.inputs * filter.outputs * 9 * size_of::<f32>()) as u64);
        Needs {
            ends_bytes: 0,
            layers: self.filters.iter().map(layer).collect(),
            workspace_bytes: ((tile_side + 2 * self.border) as u64).pow(2) * self.pixel_bytes()
                + scratch.max().unwrap_or(0),
            staging_bytes: staged.max().unwrap_or(0),
        }
    }

    pub(super) fn parameters(&self) -> u64 {
        let each = self.filters.iter().map(|filter| {
            let slopes = if filter.slopes.is_ok() { filter.outputs } else { 0 };
            (filter.inputs * filter.outputs * 9 + filter.outputs + slopes) as u64
        });
        each.sum()
    }
}

impl Step {
    /// What it takes and where it puts its result.
    fn slots(&self) -> (Vec<usize>, usize) {
        match self {
            Self::Convolution { parts, out, .. } => (parts.clone(), *out),
            Self::Sum { x, y, out, .. } => (vec![*x, *y], *out),
            Self::Shuffle { x, out, .. } | Self::Nearest { x, out, .. } | Self::Cubic { x, out } => {
                (vec![*x], *out)
            }
        }
    }

    fn rename(&mut self, places: &[usize]) {
        match self {
            Self::Convolution { parts, out, .. } => {
                parts.iter_mut().chain([out]).for_each(|slot| *slot = places[*slot]);
            }
            Self::Sum { x, y, out, .. } => [x, y, out].into_iter().for_each(|slot| *slot = places[*slot]),
            Self::Shuffle { x, out, .. } | Self::Nearest { x, out, .. } | Self::Cubic { x, out } => {
                [x, out].into_iter().for_each(|slot| *slot = places[*slot]);
            }
        }
    }
}
