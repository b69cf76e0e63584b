//! A crate of the workspace to a component.

use std::{fs, path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::discover::Plugin;
use crate::{wasm_toolchain::WasmToolchain, workspace::Workspace};

/// One line of cargo's `--message-format=json`.
#[derive(Deserialize)]
struct Message {
    reason: String,
    #[serde(default)]
    manifest_path: PathBuf,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

/// Compile the plugin's crate and make its module a component.
pub fn component(workspace: &Workspace, toolchain: &WasmToolchain, plugin: &Plugin) -> Result<Vec<u8>> {
    let module = compile(workspace, toolchain, plugin)?;
    let core = fs::read(&module).with_context(|| format!("cannot read {}", module.display()))?;
    Ok(plugin_package::componentize(&core)?)
}

fn compile(workspace: &Workspace, toolchain: &WasmToolchain, plugin: &Plugin) -> Result<PathBuf> {
    let manifest = fs::canonicalize(plugin.dir.join("Cargo.toml"))?;
    let output = toolchain
        .cargo_build()
        .args([
            "--profile",
            "plugin",
            "--lib",
            "--message-format",
            "json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(&manifest)
        .current_dir(workspace.root())
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
