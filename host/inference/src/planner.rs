//! Where a model goes, decided from shapes alone before a weight is read: on the GPU, split, on the CPU, later, or nowhere.
//!
//! What a device must hold at its worst moment is its weights and the larger of two things that never meet: the piece of
//! the file that passes through while loading, and what runs need (activations and attention cache). Comparing the size of
//! the files with the size of the device, as loaders are tempted to, forgets all but the weights.
//! Whole numbers of bytes throughout; a sum that overflows is one that fits nowhere.

pub mod memory;
#[cfg(test)]
mod tests;

use crate::error::ModelError;

/// One layer, which lies wholly on one device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layer {
    /// Bytes of its weights in the layout of the kernels.
    pub weights_bytes: u64,
    /// Bytes of its keys and values for all requests that may run at once.
    pub cache_bytes: u64,
}

/// What a model takes, by parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// What is no layer: embeddings, the last product, tables. In a split it lies on the CPU.
    pub ends_bytes: u64,
    /// In order; the first of them go to the GPU.
    pub layers: Vec<Layer>,
    /// Activations of the largest pass, on each device that computes.
    pub workspace_bytes: u64,
    /// The largest piece that is held beside the weights while loading, on each device that takes weights.
    pub staging_bytes: u64,
}

impl Needs {
    /// Bytes on a device that holds these layers and, where so, the ends. None: more than can be counted.
    fn on(&self, layers: &[Layer], with_ends: bool) -> Option<u64> {
        let mut weights = if with_ends { self.ends_bytes } else { 0 };
        let mut running = self.workspace_bytes;
        for layer in layers {
            weights = weights.checked_add(layer.weights_bytes)?;
            running = running.checked_add(layer.cache_bytes)?;
        }
        weights.checked_add(running.max(self.staging_bytes))
    }

    /// Bytes on a device that holds all of it; `u64::MAX` where that cannot be counted.
    pub fn whole_bytes(&self) -> u64 {
        self.on(&self.layers, true).unwrap_or(u64::MAX)
    }

    /// Whether all of it fits into so many bytes of the CPU's memory that nothing uses.
    ///
    /// # Errors
    /// [`ModelError::DoesNotFit`] with both numbers.
    pub fn check(&self, limit_bytes: u64) -> Result<(), ModelError> {
        let needed_bytes = self.whole_bytes();
        match plan(self, &Machine { gpu: None, cpu: Device::unused(limit_bytes) }) {
            Plan::Load(_) => Ok(()),
            Plan::Wait(_) | Plan::Refused(_) => Err(ModelError::DoesNotFit { needed_bytes, limit_bytes }),
        }
    }

    /// The same model with this much attention cache, shared evenly among its layers.
    #[must_use]
    pub fn with_cache(mut self, bytes: u64) -> Self {
        let count = self.layers.len().max(1) as u64;
        let (each, rest) = (bytes / count, bytes % count);
        for (index, layer) in self.layers.iter_mut().enumerate() {
            layer.cache_bytes = each + u64::from((index as u64) < rest);
        }
        self
    }
}

/// A device's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// All that it has, or all that the operator allows.
    pub total_bytes: u64,
    /// What nothing uses now.
    pub free_bytes: u64,
    /// What other models of this process use: free once they are unloaded.
    pub held_bytes: u64,
    /// What is always left for others: the driver, the display, other processes.
    pub headroom_bytes: u64,
}

impl Device {
    /// A device that nothing uses.
    pub fn unused(total_bytes: u64) -> Self {
        Self { total_bytes, free_bytes: total_bytes, held_bytes: 0, headroom_bytes: 0 }
    }

    /// What a model may take now.
    pub fn room_now(&self) -> u64 {
        self.free_bytes.min(self.total_bytes).saturating_sub(self.headroom_bytes)
    }

    /// What a model may take once the other models are unloaded.
    pub fn room_later(&self) -> u64 {
        let free = self.free_bytes.saturating_add(self.held_bytes);
        free.min(self.total_bytes).saturating_sub(self.headroom_bytes)
    }
}

/// What models may run on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// The accelerator, where there is one.
    pub gpu: Option<Device>,
    /// The processor's memory.
    pub cpu: Device,
}

/// Where layers go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    /// All of it on the GPU; a piece of the file at a time passes through the CPU's memory.
    Gpu,
    /// The first layers on the GPU, the others and the ends on the CPU.
    Split {
        /// Layers on the GPU, at least one.
        gpu_layers: usize,
        /// Layers on the CPU; none where only the ends did not fit the GPU.
        cpu_layers: usize,
    },
    /// All of it on the CPU.
    Cpu,
}

/// What to do with a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Load it so, now.
    Load(Placement),
    /// It fits so once other models are unloaded or their requests end.
    Wait(Placement),
    /// It does not fit, whatever else is unloaded.
    Refused(Shortage),
}

/// Why a model fits nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// Bytes that the whole model needs on one device; `u64::MAX` where they cannot be counted.
    pub needed_bytes: u64,
    /// Bytes that the GPU could give it at most; none where there is no GPU.
    pub gpu_bytes: Option<u64>,
    /// Bytes that the CPU could give it at most.
    pub cpu_bytes: u64,
    /// Bytes that the CPU lacks beside the best use of the GPU: what the operator would have to add.
    pub missing_bytes: u64,
}

impl From<Shortage> for ModelError {
    fn from(shortage: Shortage) -> Self {
        Self::DoesNotFit {
            needed_bytes: shortage.needed_bytes,
            limit_bytes: shortage.gpu_bytes.unwrap_or(0).max(shortage.cpu_bytes),
        }
    }
}

/// Decide where a model goes: on the GPU before a split, a split before the CPU, anything now before waiting.
pub fn plan(needs: &Needs, machine: &Machine) -> Plan {
    let (gpu_now, gpu_later) =
        (machine.gpu.map(|gpu| gpu.room_now()), machine.gpu.map(|gpu| gpu.room_later()));
    if let Some(placement) = place(needs, gpu_now, machine.cpu.room_now()) {
        return Plan::Load(placement);
    }
    let cpu_bytes = machine.cpu.room_later();
    if let Some(placement) = place(needs, gpu_later, cpu_bytes) {
        return Plan::Wait(placement);
    }
    let on_gpu = gpu_later.map_or(0, |room| layers_that_fit(needs, room));
    let on_cpu = needs.on(&needs.layers[on_gpu..], true).unwrap_or(u64::MAX);
    Plan::Refused(Shortage {
        needed_bytes: needs.whole_bytes(),
        gpu_bytes: gpu_later,
        cpu_bytes,
        missing_bytes: on_cpu.saturating_sub(cpu_bytes),
    })
}

fn place(needs: &Needs, gpu_room: Option<u64>, cpu_room: u64) -> Option<Placement> {
    let fits = |bytes: Option<u64>, room: u64| bytes.is_some_and(|bytes| bytes <= room);
    if let Some(gpu_room) = gpu_room {
        if fits(needs.on(&needs.layers, true), gpu_room) && needs.staging_bytes <= cpu_room {
            return Some(Placement::Gpu);
        }
        // The most layers that the GPU takes leave the CPU the fewest: where these do not fit, no split does.
        let gpu_layers = layers_that_fit(needs, gpu_room);
        let rest = &needs.layers[gpu_layers..];
        if gpu_layers > 0 && fits(needs.on(rest, true), cpu_room) {
            return Some(Placement::Split { gpu_layers, cpu_layers: rest.len() });
        }
    }
    fits(needs.on(&needs.layers, true), cpu_room).then_some(Placement::Cpu)
}

/// How many of the first layers, without the ends, a device has room for.
fn layers_that_fit(needs: &Needs, room: u64) -> usize {
    (1..=needs.layers.len())
        .take_while(|count| needs.on(&needs.layers[..*count], false).is_some_and(|bytes| bytes <= room))
        .last()
        .unwrap_or(0)
}
