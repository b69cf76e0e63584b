//! One card: its memory, its programs, its queue. Launching is here, and so is what of it cannot be checked by types.
#![allow(unsafe_code, reason = "kernels are launched with what their sources declare")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DeviceRepr, DriverError, LaunchConfig, PushKernelArg,
    ValidAsZeroBits, sys,
};
use cudarc::nvrtc::Ptx;

use super::compiler::{Compiler, Generation, NVRTC, failed};
use super::ptx::PtxCache;
use super::sources::Program;
use crate::error::ModelError;
use crate::weights;

/// CUDA 13.0, as `cuDriverGetVersion` counts: what the compiler writes for.
const DRIVER_VERSION_MIN: i32 = 13_000;

/// An open card with one queue: what is queued later runs later.
#[derive(Debug)]
pub struct Device {
    stream: Arc<CudaStream>,
    compiler: Compiler,
    cache: PtxCache,
    generation: Generation,
    /// Multiprocessors: how many blocks keep the card busy.
    pub multiprocessors: u32,
    /// The first thing that failed since it was last asked for.
    failure: Mutex<Option<String>>,
}

/// A loaded program's kernels, by name.
pub type Kernels = HashMap<&'static str, CudaFunction>;

/// What a kernel is given.
#[derive(Clone, Copy, Debug)]
pub enum Argument<'a> {
    /// Floats, or an output of floats.
    Floats(&'a CudaSlice<f32>),
    /// An encoded matrix.
    Bytes(&'a CudaSlice<u8>),
    /// Numbers and pointers.
    Words(&'a CudaSlice<u64>),
    /// A size or an index.
    Count(u32),
    /// A constant.
    Real(f32),
}

impl Device {
    /// Open card `ordinal`; fetches the compiler where it is not on this machine yet.
    ///
    /// # Errors
    /// [`ModelError::Compute`] says which of driver, card and compiler is missing or too old.
    pub fn open(ordinal: usize) -> Result<Self, ModelError> {
        // SAFETY: opens the driver's library, if there is one.
        if !unsafe { sys::is_culib_present() } {
            let reason = "this machine has no NVIDIA driver (libcuda.so.1): install version 580 or later";
            return Err(failed(reason.to_owned()));
        }
        let mut version = 0;
        // SAFETY: the number is written to while this runs.
        unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().map_err(driver("asking the driver"))?;
        if version < DRIVER_VERSION_MIN {
            let reason =
                format!("the NVIDIA driver is made for CUDA {}.{}", version / 1000, version % 1000 / 10);
            return Err(failed(format!("{reason}; 13.0 is needed: install version 580 or later")));
        }
        let context = CudaContext::new(ordinal).map_err(driver("opening the card"))?;
        // SAFETY: there is one queue, so its order is all the order that memory needs; nothing was allocated before.
        unsafe { context.disable_event_tracking() };
        let (major, _) = context.compute_capability().map_err(driver("asking the card"))?;
        let generation = Generation::of(major)?;
        let multiprocessors = context
            .attribute(sys::CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)
            .map_err(driver("asking the card"))?;
        keep_freed_memory(&context)?;
        let stream = context.new_stream().map_err(driver("making a queue"))?;
        let cache_dir = weights::cache_dir().map_err(|error| failed(error.to_string()))?;
        let library =
            weights::fetch(&NVRTC, &cache_dir, |_| ()).map_err(|error| failed(error.to_string()))?;
        Ok(Self {
            stream,
            compiler: Compiler::open(&library)?,
            cache: PtxCache::new(&cache_dir),
            generation,
            multiprocessors: multiprocessors.unsigned_abs().max(1),
            failure: Mutex::new(None),
        })
    }

    /// Bytes that nothing uses, and all that there are (`cuMemGetInfo`).
    pub fn memory(&self) -> Result<(u64, u64), ModelError> {
        let (free, total) = self.stream.context().mem_get_info().map_err(driver("asking for memory"))?;
        Ok((free as u64, total as u64))
    }

    /// Compile or find a program, and load its kernels.
    pub fn load(&self, program: Program) -> Result<Kernels, ModelError> {
        let ptx = self.cache.get(self.compiler, program, self.generation)?;
        let module =
            self.stream.context().load_module(Ptx::from_src(ptx)).map_err(driver("loading a program"))?;
        let kernel = |name: &&'static str| Ok((*name, module.load_function(name)?));
        program.kernels().iter().map(kernel).collect::<Result<_, _>>().map_err(driver("finding a kernel"))
    }

    /// Zeros.
    pub fn zeros<T: DeviceRepr + ValidAsZeroBits>(&self, count: usize) -> Result<CudaSlice<T>, ModelError> {
        // The driver gives no memory of no bytes.
        self.stream.alloc_zeros(count.max(1)).map_err(driver("taking memory"))
    }

    /// What the host has, on the card.
    pub fn upload<T: DeviceRepr + ValidAsZeroBits>(&self, values: &[T]) -> Result<CudaSlice<T>, ModelError> {
        if values.is_empty() {
            return self.zeros(0);
        }
        self.stream.clone_htod(values).map_err(driver("copying to the card"))
    }

    /// Wait for the queue, and bring `count` floats to the host.
    ///
    /// # Errors
    /// [`ModelError::Compute`] with what failed first since the last call.
    pub fn read(&self, values: &CudaSlice<f32>, count: usize) -> Result<Vec<f32>, ModelError> {
        let mut out = self.stream.clone_dtoh(values).map_err(driver("copying to the host"))?;
        self.stream.synchronize().map_err(driver("waiting for the card"))?;
        out.truncate(count);
        match self.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            Some(reason) => Err(failed(reason)),
            None => Ok(out),
        }
    }

    /// Remember a failure for the next [`Device::read`]; the first one stays.
    pub fn fail(&self, error: &ModelError) {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.to_string());
    }

    /// The address of memory that stays where it is for as long as it is held.
    pub fn address(&self, memory: &CudaSlice<f32>) -> u64 {
        use cudarc::driver::DevicePtr;
        memory.device_ptr(&self.stream).0
    }

    /// Queue a kernel over `grid` blocks of `threads`. Nothing runs where the grid is empty; a grid beyond the card's
    /// limits is a failure.
    ///
    /// Callers pass what the kernel's declaration in the `.cu` file wants, in its order, having checked the shapes.
    pub fn launch(
        &self,
        kernel: &CudaFunction,
        grid: [usize; 3],
        threads: u32,
        shared_bytes: usize,
        arguments: &[Argument<'_>],
    ) {
        let [x, y, z] = grid;
        if x * y * z == 0 {
            return;
        }
        // Limits of every card since compute capability 3.0; 48 KiB is what a block gets without asking.
        if x > i32::MAX as usize || y > 65_535 || z > 65_535 || shared_bytes > 48 << 10 {
            return self.fail(&failed(format!("a launch of {x}×{y}×{z} blocks with {shared_bytes} bytes")));
        }
        let mut launch = self.stream.launch_builder(kernel);
        for argument in arguments {
            match argument {
                Argument::Floats(memory) => launch.arg(*memory),
                Argument::Bytes(memory) => launch.arg(*memory),
                Argument::Words(memory) => launch.arg(*memory),
                Argument::Count(value) => launch.arg(value),
                Argument::Real(value) => launch.arg(value),
            };
        }
        let (grid_dim, block_dim) = ((x as u32, y as u32, z as u32), (threads, 1, 1));
        let config = LaunchConfig { grid_dim, block_dim, shared_mem_bytes: shared_bytes as u32 };
        // SAFETY: the arguments are the declaration's, of shapes that the caller checked, and live on this queue: memory is
        // given back in the queue's order, after the kernel.
        if let Err(error) = unsafe { launch.launch(config) } {
            self.fail(&driver("launching a kernel")(error));
        }
    }
}

impl Drop for Device {
    /// What was freed goes back to the card, where other models and processes want it.
    fn drop(&mut self) {
        if let Err(error) = self.stream.synchronize().and_then(|()| give_back(self.stream.context())) {
            tracing::warn!(%error, "a card's memory was not given back");
        }
    }
}

fn give_back(context: &CudaContext) -> Result<(), DriverError> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut pool = std::ptr::null_mut();
    // SAFETY: the pool is the card's own; what is in use stays.
    unsafe {
        sys::cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device())
            .result()
            .and_then(|()| sys::cuMemPoolTrimTo(pool, 0).result())
    }
}

/// Freed memory stays with this process: a pass takes and frees the same again and again.
fn keep_freed_memory(context: &CudaContext) -> Result<(), ModelError> {
    if !context.has_async_alloc() {
        return Ok(());
    }
    let mut pool = std::ptr::null_mut();
    let mut threshold = u64::MAX;
    let attribute = sys::CUmemPool_attribute::CU_MEMPOOL_ATTR_RELEASE_THRESHOLD;
    // SAFETY: the pool is the card's own, and both values are read and written while this runs.
    unsafe {
        sys::cuDeviceGetDefaultMemPool(&raw mut pool, context.cu_device())
            .result()
            .and_then(|()| sys::cuMemPoolSetAttribute(pool, attribute, (&raw mut threshold).cast()).result())
    }
    .map_err(driver("setting up memory"))
}

fn driver(action: &'static str) -> impl Fn(DriverError) -> ModelError {
    move |error| failed(format!("{action}: {error}"))
}
