//! `atelier:provider/quota`.

use std::sync::{Mutex, PoisonError};

use atelier_domain::time::Timestamp;

use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::quota::{Host, Window};

const WINDOWS_MAX: usize = 16;
const NAME_BYTES_MAX: usize = 64;

/// A provider's rate-limit window, as last reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaWindow {
    pub what: String,
    pub limit: Option<u64>,
    pub remaining: Option<u64>,
    pub reset_ms: Option<u64>,
}

/// The last report of an instance.
#[derive(Debug, Default)]
pub struct QuotaReport(Mutex<Option<(Timestamp, Vec<QuotaWindow>)>>);

impl QuotaReport {
    /// When it was made, and what it says.
    pub fn last(&self) -> Option<(Timestamp, Vec<QuotaWindow>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Host for CallState {
    fn report(&mut self, windows: Vec<Window>) -> wasmtime::Result<()> {
        self.count_host_call()?;
        let windows = windows
            .into_iter()
            .filter(|window| window.what.len() <= NAME_BYTES_MAX)
            .take(WINDOWS_MAX)
            .map(|window| QuotaWindow {
                what: window.what,
                limit: window.limit,
                remaining: window.remaining,
                reset_ms: window.reset_ms,
            })
            .collect();
        let now = self.shared.clock.now();
        *self.shared.quota.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, windows));
        Ok(())
    }
}
