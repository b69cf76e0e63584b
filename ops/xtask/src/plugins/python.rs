//! A Python plugin to a component, by componentize-py.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};

use super::{
    discover::{Guest, Plugin},
    wit,
};
use crate::{cache::Cache, process, progress::say, python_venv, workspace::Workspace};

/// The toolchain and its version.
pub const REQUIREMENTS: &str = include_str!("../../componentize-py/requirements.txt");

/// Build the plugin.
pub fn component(workspace: &Workspace, cache: &Cache, plugin: &Plugin, guest: &Guest) -> Result<Vec<u8>> {
    let wit = wit::compose(workspace, plugin, guest)?;
    let venv = python_venv::open(cache, "componentize-py", REQUIREMENTS)?;
    let output = output_path(workspace, plugin)?;
    say(format_args!("plugins: {}: componentize-py (about 20 s)", plugin.name));
    process::run(
        Command::new(venv.join("bin/componentize-py"))
            .args(["--quiet", "--world", wit::WORLD, "--wit-path"])
            .arg(&wit)
            .args(["componentize", "--python-path"])
            .arg(sources(workspace, plugin)?)
            .arg("--output")
            .arg(&output)
            .arg(&guest.entry),
    )?;
    take(&output)
}

/// A copy of the plugin's folder for the toolchain, whose interpreter leaves compiled files beside what it imports.
fn sources(workspace: &Workspace, plugin: &Plugin) -> Result<PathBuf> {
    let dir = workspace.target().join("wasm/python").join(&plugin.name);
    wit::copy_afresh(&plugin.dir, &dir)?;
    Ok(dir)
}

/// Where a toolchain leaves the component of `plugin`.
pub fn output_path(workspace: &Workspace, plugin: &Plugin) -> Result<PathBuf> {
    let dir = workspace.target().join("wasm/components");
    fs::create_dir_all(&dir)?;
    Ok(dir.join(format!("{}.wasm", plugin.name)))
}

/// Read a component that a toolchain left, and remove the file: the plugin's own is written elsewhere, whole.
pub fn take(path: &Path) -> Result<Vec<u8>> {
    let bytes = fs::read(path).with_context(|| format!("the toolchain left no {}", path.display()))?;
    fs::remove_file(path)?;
    Ok(bytes)
}
