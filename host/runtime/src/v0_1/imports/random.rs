//! `atelier:provider/random`.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::random::Host;

const BYTES_MAX: u32 = 4_096;

/// Where random bytes come from.
#[derive(Debug)]
pub enum Randomness {
    /// The operating system.
    System,
    /// A fixed sequence, for reproducible tests of plugins.
    Seeded { seed: u64, drawn: AtomicU64 },
}

impl Randomness {
    /// Fills a buffer.
    ///
    /// # Errors
    /// The operating system has none.
    pub fn fill(&self, buffer: &mut [u8]) -> Result<(), getrandom::Error> {
        match self {
            Randomness::System => getrandom::fill(buffer),
            Randomness::Seeded { seed, drawn } => {
                let mut hasher = blake3::Hasher::new();
                hasher.update(&seed.to_le_bytes());
                hasher.update(&drawn.fetch_add(1, Ordering::Relaxed).to_le_bytes());
                hasher.finalize_xof().fill(buffer);
                Ok(())
            }
        }
    }
}

impl Host for CallState {
    fn bytes(&mut self, length: u32) -> wasmtime::Result<Vec<u8>> {
        self.count_host_call()?;
        let mut bytes = vec![0; length.min(BYTES_MAX) as usize];
        self.shared.randomness.fill(&mut bytes).map_err(|error| wasmtime::Error::msg(error.to_string()))?;
        Ok(bytes)
    }
}
