//! `atelier:provider/log` and `atelier:provider/clock`, and the interfaces that have only types.

use atelier_domain::failure::Limit;

use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::{clock, job_types, log, types};

/// The most bytes of one log line; the rest is cut off.
const LINE_BYTES_MAX: usize = 2_048;

impl types::Host for CallState {}
impl job_types::Host for CallState {}

impl log::Host for CallState {
    fn write(&mut self, level: log::Level, message: String) -> wasmtime::Result<()> {
        self.count_host_call()?;
        self.log_line(level, &message)
    }
}

impl CallState {
    /// Writes a plugin's line to the operator's log: bounded, on one line, without secrets.
    ///
    /// # Errors
    /// The call has logged too much: the guest ends.
    pub fn log_line(&mut self, level: log::Level, message: &str) -> wasmtime::Result<()> {
        self.used.log_bytes = self.used.log_bytes.saturating_add(message.len());
        let max = self.shared.profile.log_bytes;
        if self.used.log_bytes > max {
            return Err(self.trap_limit(Limit::LogBytes, format!("{max} bytes")));
        }
        let is_hidden = self.context.hidden.as_ref().is_some_and(|hidden| hidden.are_in(message));
        let withheld =
            is_hidden.then(|| format!("a line of {} bytes repeats a hidden prompt", message.len()));
        let message = withheld.as_deref().unwrap_or(message);
        // Before the line is cut to size: a cut could leave most of a secret.
        let blanked = self.shared.secrets.patterns().blank_text(message);
        let message = blanked.as_deref().unwrap_or(message);
        let mut end = message.len().min(LINE_BYTES_MAX);
        while !message.is_char_boundary(end) {
            end -= 1;
        }
        let line: String = message[..end].chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let (instance, call) = (self.shared.name.as_str(), self.context.call);
        match level {
            log::Level::Debug => tracing::debug!(target: "plugin", instance, %call, "{line}"),
            log::Level::Info => tracing::info!(target: "plugin", instance, %call, "{line}"),
            log::Level::Warn => tracing::warn!(target: "plugin", instance, %call, "{line}"),
            log::Level::Error => tracing::error!(target: "plugin", instance, %call, "{line}"),
        }
        self.shared.observer.logged(instance, &line);
        Ok(())
    }
}

impl clock::Host for CallState {
    fn now_ms(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        Ok(self.shared.clock.now().0)
    }

    fn monotonic_ms(&mut self) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        Ok(self.shared.clock.monotonic_ms())
    }
}
