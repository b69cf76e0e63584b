//! A crate to a plugin's file: compile, componentise, stamp the manifest, write `NAME-VERSION.wasm`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use plugin_build::cache::{Cache, write_whole};
use plugin_build::compile;
use plugin_build::toolchain::{Site, Source, WasmToolchain, parse_rust_version};
use plugin_package::Manifest;

/// What to build, and how.
#[derive(Debug)]
pub struct BuildConfig<'a> {
    /// The plugin's folder, with `Cargo.toml` and `manifest.toml`.
    pub dir: &'a Path,
    /// Where the file goes; else `target/plugins` in the plugin's folder.
    pub output: Option<&'a Path>,
    /// Cargo's target folder; else `$CARGO_TARGET_DIR`, else `target` in the plugin's folder.
    pub target: Option<&'a Path>,
    /// The only place to take the WebAssembly target from.
    pub toolchain: Option<Source>,
}

/// Builds it; gives the path of its file.
///
/// # Errors
/// The manifest is wrong, there is no compiler for WebAssembly, or the crate does not compile.
pub fn build(config: &BuildConfig<'_>) -> anyhow::Result<PathBuf> {
    let dir = fs::canonicalize(config.dir).with_context(|| format!("no folder {}", config.dir.display()))?;
    ensure!(
        !dir.join("build.toml").is_file(),
        "{} is written in Python or JavaScript: make its component with that language's own toolchain",
        dir.display()
    );
    let manifest = dir.join("manifest.toml");
    let text =
        fs::read_to_string(&manifest).with_context(|| format!("cannot read {}", manifest.display()))?;
    let manifest = self::manifest(&text)?;
    let name = manifest.file_name()?;
    let target = match config.target {
        Some(target) => std::path::absolute(target)?,
        None => {
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| dir.join("target"), |target| dir.join(target))
        }
    };
    // The SDK needs what the host needs.
    let oldest = Some(parse_rust_version(env!("CARGO_PKG_RUST_VERSION"))?);
    let site = Site { folder: &dir, target: &target, oldest };
    let toolchain = WasmToolchain::find(&site, &Cache::open()?, config.toolchain)?;
    let component = compile::component(&dir, &toolchain, &dir)?;
    let file = plugin_package::package(&component, &manifest)?;
    let folder = config.output.map_or_else(|| dir.join("target/plugins"), Path::to_owned);
    let path = folder.join(name);
    write_whole(&path, &file)?;
    Ok(path)
}

/// Reads the text of a `manifest.toml`.
///
/// # Errors
/// It cannot go into a component.
pub fn manifest(text: &str) -> anyhow::Result<Manifest> {
    Manifest::from_toml(text).context("manifest.toml")
}
