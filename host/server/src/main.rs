//! The binary `atelier`: see [`atelier_server::cli`].

use std::process::ExitCode;

/// A request allocates a few hundred times; the system's allocator takes a tenth of its time for that (`ops/benchmarks.md`).
#[global_allocator]
static HEAP: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    atelier_server::cli::run()
}
