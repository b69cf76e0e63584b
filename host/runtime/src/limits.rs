//! What one call may use. There are no defaults here: the operator's profile names each limit.

use std::time::Duration;

use atelier_domain::failure::{Limit, ProviderError};
use wasmtime::ResourceLimiter;

/// The operator's limits for calls into plugins, all of them per call unless said otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// Linear memory, in bytes, over all memories of the call.
    pub memory_bytes: usize,
    /// Elements over all tables of the call.
    pub table_elements: usize,
    /// Wasm stack, in bytes.
    pub stack_bytes: usize,
    /// CPU time.
    pub cpu: Duration,
    /// Wall-clock time.
    pub wall: Duration,
    /// Bytes read from upstream into the guest's memory.
    pub response_bytes: u64,
    /// Bytes of blobs made or saved.
    pub blob_bytes: u64,
    /// Bytes of log lines.
    pub log_bytes: usize,
    /// Requests open at once.
    pub open_requests: u32,
    /// Requests in all.
    pub requests: u32,
    /// Handles held at once.
    pub handles: usize,
    /// Bytes that one host call may copy out of the guest.
    pub host_call_bytes: usize,
    /// Calls into the host.
    pub host_calls: u64,
    /// Calls that may run at once, over all plugins.
    pub concurrent_calls: u32,
    /// Calls that may be in the slow lane at once, over all plugins.
    pub slow_lane_calls: usize,
    /// Threads of the slow lane.
    pub slow_lane_threads: usize,
    /// Bytes of cache entries per plugin instance.
    pub cache_bytes: u64,
}

/// Counts one call's memory and tables, and remembers what it refused: wasmtime reports a refused growth to the guest, whose
/// trap then looks like any other.
#[derive(Debug)]
pub struct Meter {
    memory_max: usize,
    memory: usize,
    table_max: usize,
    table: usize,
    /// The first limit that was refused.
    pub refused: Option<(Limit, String)>,
}

impl Meter {
    /// Meters a call under a profile, with the plugin's own memory bound.
    pub fn new(memory_max: usize, table_max: usize) -> Self {
        Self { memory_max, memory: 0, table_max, table: 0, refused: None }
    }

    /// The most memory the call had.
    pub fn memory(&self) -> usize {
        self.memory
    }

    fn refuse(&mut self, limit: Limit, budget: String) {
        self.refused.get_or_insert((limit, budget));
    }
}

impl ResourceLimiter for Meter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.memory + desired.saturating_sub(current);
        if total > self.memory_max || maximum.is_some_and(|maximum| desired > maximum) {
            self.refuse(Limit::Memory, format!("{} MiB", self.memory_max >> 20));
            return Ok(false);
        }
        self.memory = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self.table + desired.saturating_sub(current);
        if total > self.table_max || maximum.is_some_and(|maximum| desired > maximum) {
            self.refuse(Limit::TableElements, format!("{} elements", self.table_max));
            return Ok(false);
        }
        self.table = total;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refuse(Limit::Memory, format!("{} MiB", self.memory_max >> 20));
        Ok(())
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        self.refuse(Limit::TableElements, format!("{} elements", self.table_max));
        Ok(())
    }
}

/// The error for a limit of an instance.
pub fn limit_error(instance: &str, limit: Limit, budget: impl Into<String>) -> ProviderError {
    ProviderError::LimitReached { instance: instance.to_owned(), limit, budget: budget.into() }
}
