//! A crate to a component.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::toolchain::WasmToolchain;

/// The cargo profile that plugins are built with. Its settings are the crate's own, or its workspace's.
pub const PROFILE: &str = "plugin";

/// One line of cargo's `--message-format=json`.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Compile the crate in `dir` and make its module a component. Cargo runs in `folder`.
///
/// # Errors
/// Cargo fails, or the crate makes no WebAssembly module, or one that is no plugin.
pub fn component(folder: &Path, toolchain: &WasmToolchain, dir: &Path) -> Result<Vec<u8>> {
    let module = compile(folder, toolchain, dir)?;
    let core = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    Ok(plugin_package::componentize(&core)?)
}

fn compile(folder: &Path, toolchain: &WasmToolchain, dir: &Path) -> Result<PathBuf> {
    let manifest = fs::canonicalize(dir.join("Cargo.toml"))
        .with_context(|| format!("{} has no Cargo.toml", dir.display()))?;
    let output = toolchain
        .cargo_build()
        .args([
            "--profile",
            PROFILE,
            "--lib",
            "--message-format",
            "json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(&manifest)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo")?;
    ensure!(output.status.success(), "cargo build ended with {}", output.status);
    let mut modules = Vec::new();
    for line in String::from_utf8(output.stdout).context("cargo printed something else than UTF-8")?.lines() {
        let message: Message = serde_json::from_str(line).with_context(|| format!("cargo printed {line}"))?;
        if message.reason == "compiler-artifact" && message.manifest_path == manifest {
            modules.extend(
                message.filenames.into_iter().filter(|file| file.extension().is_some_and(|e| e == "wasm")),
            );
        }
    }
    modules
        .pop()
        .context("the crate makes no WebAssembly module: write `crate-type = [\"cdylib\"]` under [lib]")
}
