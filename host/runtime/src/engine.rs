//! Wasmtime engines and their clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::Duration;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::fresh::HEADROOM;
use crate::limits::Profile;

/// Length of an epoch. A guest that runs longer without pausing is asked to yield.
pub const TICK: Duration = Duration::from_millis(1);

/// Ticks without any call after which the ticker sleeps.
const IDLE_TICKS_MAX: u32 = 1_000;

/// The two engines: instances from a pool for components that fit it, on demand for the others.
#[derive(Clone, Debug)]
pub struct Engines {
    /// Absent where the address space is too short for the pool.
    pub pooling: Option<Engine>,
    pub on_demand: Engine,
    ticker: Arc<Ticker>,
}

impl Engines {
    /// Builds both for a profile.
    ///
    /// # Errors
    /// This machine cannot run the sandbox at all.
    pub fn new(profile: &Profile) -> wasmtime::Result<Self> {
        let on_demand = Engine::new(&base_config(profile.stack_bytes))?;
        let pooling = match Engine::new(&pooling_config(profile)) {
            Ok(engine) => Some(engine),
            Err(error) => {
                tracing::warn!(%error, "no pool of instances: address space is short; calls will be slower");
                None
            }
        };
        let mut engines: Vec<Engine> = pooling.iter().cloned().collect();
        engines.push(on_demand.clone());
        Ok(Self { ticker: Ticker::start(engines)?, pooling, on_demand })
    }

    /// Keeps the epoch clock ticking while the guard lives.
    pub fn running(&self) -> Running {
        self.ticker.enter()
    }
}

/// The configuration that decides what compiled code looks like: the same for both engines and for the compiling child.
pub fn base_config(stack_bytes: usize) -> Config {
    let mut config = Config::new();
    config.wasm_component_model(true);
    config.epoch_interruption(true);
    config.max_wasm_stack(stack_bytes);
    config.async_stack_size(stack_bytes + 512 * 1024);
    config.wasm_memory64(false);
    config.memory_init_cow(true);
    config
}

fn pooling_config(profile: &Profile) -> Config {
    let mut pool = PoolingAllocationConfig::default();
    // A component of the Rust toolchain has a main module and two small adapters.
    let calls = profile.concurrent_calls.saturating_add(HEADROOM);
    pool.total_component_instances(calls);
    pool.total_core_instances(calls.saturating_mul(3));
    pool.total_memories(calls);
    pool.total_tables(calls.saturating_mul(3));
    pool.total_stacks(calls);
    pool.max_core_instances_per_component(3);
    pool.max_memories_per_component(1);
    pool.max_tables_per_component(3);
    pool.table_elements(profile.table_elements.min(20_000));
    pool.max_memory_size(profile.memory_bytes);
    // What a plain chat call touches is cleared by hand, which is cheaper than giving pages back and faulting them in again;
    // where the kernel tells which pages were written (Linux 6.7), those alone.
    pool.linear_memory_keep_resident(512 * 1024);
    pool.pagemap_scan(Enabled::Auto);
    pool.table_keep_resident(8 * 1024);
    pool.max_unused_warm_slots(16);
    let mut config = base_config(profile.stack_bytes);
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}

/// Advances the epoch of all engines while calls run.
#[derive(Debug)]
struct Ticker {
    calls: AtomicUsize,
    asleep: AtomicBool,
    stop: AtomicBool,
    thread: std::sync::OnceLock<Thread>,
}

impl Ticker {
    fn start(engines: Vec<Engine>) -> std::io::Result<Arc<Self>> {
        let ticker = Arc::new(Self {
            calls: AtomicUsize::new(0),
            asleep: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            thread: std::sync::OnceLock::new(),
        });
        let weak = Arc::downgrade(&ticker);
        let handle = std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
            let mut idle = 0;
            while let Some(ticker) = weak.upgrade() {
                if ticker.stop.load(Ordering::Relaxed) {
                    return;
                }
                idle = if ticker.calls.load(Ordering::Relaxed) == 0 { idle + 1 } else { 0 };
                if idle > IDLE_TICKS_MAX {
                    ticker.asleep.store(true, Ordering::SeqCst);
                    if ticker.calls.load(Ordering::SeqCst) == 0 {
                        drop(ticker);
                        std::thread::park_timeout(Duration::from_secs(60));
                    } else {
                        drop(ticker);
                    }
                    if let Some(ticker) = weak.upgrade() {
                        ticker.asleep.store(false, Ordering::SeqCst);
                    }
                    idle = 0;
                    continue;
                }
                drop(ticker);
                std::thread::sleep(TICK);
                engines.iter().for_each(Engine::increment_epoch);
            }
        })?;
        // The cell is empty: this is its only writer.
        let _ = ticker.thread.set(handle.thread().clone());
        Ok(ticker)
    }

    fn enter(self: &Arc<Self>) -> Running {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.asleep.load(Ordering::SeqCst) {
            self.wake();
        }
        Running(Arc::clone(self))
    }

    fn wake(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.wake();
    }
}

/// A call is running.
#[derive(Debug)]
pub struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.calls.fetch_sub(1, Ordering::SeqCst);
    }
}
