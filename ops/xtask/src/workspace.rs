//! The workspace that the commands work on.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use plugin_build::{
    cache::Cache,
    toolchain::{Site, Source, WasmToolchain, parse_rust_version},
};
use semver::Version;

/// A cargo workspace and where its products go.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
}

impl Workspace {
    /// `root`, or the workspace that this command was compiled in.
    pub fn open(root: Option<PathBuf>) -> Result<Self> {
        // Two folders up from this crate; `cargo run` names the crate's folder anew at each run, so that a moved
        // working copy is found.
        let root = match root {
            Some(dir) => dir,
            None => std::env::var_os("CARGO_MANIFEST_DIR")
                .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
                .join("../.."),
        };
        let root = fs::canonicalize(&root).with_context(|| format!("no workspace at {}", root.display()))?;
        ensure!(
            root.join("Cargo.toml").is_file(),
            "{} has no Cargo.toml: run `cargo xtask` inside the repository, or give --root",
            root.display()
        );
        let target =
            std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |dir| root.join(dir));
        Ok(Self { root, target })
    }

    /// The folder of the root `Cargo.toml`.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo's target folder for the host's own builds.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Where finished plugin files lie.
    pub fn plugin_files(&self) -> PathBuf {
        self.target.join("plugins")
    }

    /// What its plugins are compiled with.
    pub fn wasm_toolchain(&self, cache: &Cache, forced: Option<Source>) -> Result<WasmToolchain> {
        let site = Site { folder: &self.root, target: &self.target, oldest: self.rust_version()? };
        WasmToolchain::find(&site, cache, forced)
    }

    /// The oldest compiler the workspace builds with, if it says so.
    fn rust_version(&self) -> Result<Option<Version>> {
        let path = self.root.join("Cargo.toml");
        let manifest: toml::Table = toml::from_str(&fs::read_to_string(&path)?)
            .with_context(|| format!("{} is not valid", path.display()))?;
        let stated = manifest
            .get("workspace")
            .and_then(|workspace| workspace.get("package"))
            .and_then(|package| package.get("rust-version"))
            .and_then(toml::Value::as_str);
        stated.map(parse_rust_version).transpose()
    }
}
