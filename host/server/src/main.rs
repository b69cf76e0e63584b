//! The binary `atelier`: see [`atelier_server::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    atelier_server::cli::run()
}
