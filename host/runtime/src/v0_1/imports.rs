//! What plugins may call, one module per interface.

pub mod blobs;
pub mod cache;
pub mod http;
pub mod progress;
pub mod quota;
pub mod random;
pub mod sinks;
pub mod system;
pub mod wasi;

use wasmtime::component::{HasSelf, Linker};

use super::bindings::host::Imports;
use crate::host_state::CallState;

/// Links all interfaces of the contract.
///
/// # Errors
/// Two definitions collide: a mistake of ours.
pub fn link(linker: &mut Linker<CallState>) -> wasmtime::Result<()> {
    Imports::add_to_linker::<_, HasSelf<CallState>>(linker, |state| state)
}
