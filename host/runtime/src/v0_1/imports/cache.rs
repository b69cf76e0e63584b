//! `atelier:provider/cache`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::Expiry;
use moka::sync::Cache;

use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::cache::Host;

const KEY_BYTES_MAX: usize = 256;
const VALUE_BYTES_MAX: usize = 64 * 1024;
const AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Clone)]
struct Entry {
    value: Arc<[u8]>,
    expires_in: Duration,
}

struct ByEntry;

impl Expiry<(Arc<str>, String), Entry> for ByEntry {
    fn expire_after_create(&self, _: &(Arc<str>, String), entry: &Entry, _: Instant) -> Option<Duration> {
        Some(entry.expires_in)
    }

    fn expire_after_update(
        &self,
        _: &(Arc<str>, String),
        entry: &Entry,
        _: Instant,
        _: Option<Duration>,
    ) -> Option<Duration> {
        Some(entry.expires_in)
    }
}

/// One instance's cache, keyed by tenant.
#[derive(Clone)]
pub struct InstanceCache(Cache<(Arc<str>, String), Entry>);

impl std::fmt::Debug for InstanceCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InstanceCache").field("entries", &self.0.entry_count()).finish()
    }
}

impl InstanceCache {
    /// An empty cache with a bound in bytes.
    pub fn new(bytes_max: u64) -> Self {
        let weigh = |key: &(Arc<str>, String), entry: &Entry| {
            u32::try_from(key.1.len() + entry.value.len() + 64).unwrap_or(u32::MAX)
        };
        Self(Cache::builder().max_capacity(bytes_max).weigher(weigh).expire_after(ByEntry).build())
    }
}

impl Host for CallState {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.count_host_call()?;
        let entry = self.shared.cache.0.get(&(Arc::clone(&self.context.scope), key));
        Ok(entry.map(|entry| entry.value.to_vec()))
    }

    fn set(&mut self, key: String, value: Vec<u8>, expires_in_ms: u64) -> wasmtime::Result<()> {
        self.count_host_call()?;
        if key.len() <= KEY_BYTES_MAX && value.len() <= VALUE_BYTES_MAX && expires_in_ms > 0 {
            let expires_in = Duration::from_millis(expires_in_ms).min(AGE_MAX);
            self.shared
                .cache
                .0
                .insert((Arc::clone(&self.context.scope), key), Entry { value: value.into(), expires_in });
        }
        Ok(())
    }
}
