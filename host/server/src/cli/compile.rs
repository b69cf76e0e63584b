//! `atelier compile-component`: the compiling child of a server.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use atelier_runtime::{CompileLimits, compile_in_this_process};

/// Compiles one component.
#[derive(Debug, clap::Args)]
pub(super) struct Compile {
    input: PathBuf,
    output: PathBuf,
    /// Wasm stack in bytes, as the server's engines have it
    stack_bytes: usize,
    /// Address space in bytes
    memory_bytes: u64,
    /// Seconds
    time: u64,
}

impl Compile {
    pub(super) fn run(&self) -> anyhow::Result<ExitCode> {
        let limits = CompileLimits { memory_bytes: self.memory_bytes, time: Duration::from_secs(self.time) };
        compile_in_this_process(&self.input, &self.output, self.stack_bytes, limits)?;
        Ok(ExitCode::SUCCESS)
    }
}
