//! What a plugin is made from, as one digest.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use blake3::Hasher;
use plugin_build::toolchain::{TARGET, WasmToolchain};
use serde::Deserialize;

use super::{
    discover::{Language, Plugin},
    javascript, python,
};
use crate::{process, workspace::Workspace};

/// Raise this when packaging itself changes what comes out of equal sources.
const PACKAGING: &str = "atelier plugin packaging 2";

/// Made by builds, or read by tests alone: nothing that a component is made from.
pub const NOT_SOURCES: [&str; 7] =
    ["target", "node_modules", "__pycache__", ".venv", ".git", "test", "tests"];

/// Variables through which a user changes what cargo makes of the same sources.
const CARGO_SETTINGS: [&str; 4] =
    ["RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PROFILE_PLUGIN_", "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_"];

/// The digests shared by all plugins, and the packages of the workspace.
#[derive(Debug)]
pub struct Inputs {
    base: blake3::Hash,
    rust: Option<Crates>,
}

/// The workspace's crates, and the common inputs of those compiled to WebAssembly.
#[derive(Debug)]
struct Crates {
    base: blake3::Hash,
    /// By the folder of its manifest: the folders of the local crates it is built from, its own among them.
    local: BTreeMap<PathBuf, BTreeSet<PathBuf>>,
}

impl Inputs {
    /// Read what all plugins have in common.
    pub fn read(workspace: &Workspace, toolchain: Option<&WasmToolchain>) -> Result<Self> {
        let mut hasher = Hasher::new();
        field(&mut hasher, PACKAGING.as_bytes());
        tree(&mut hasher, workspace.root(), &workspace.root().join("wit"))?;
        let rust = toolchain.map(|toolchain| Crates::read(workspace, toolchain)).transpose()?;
        Ok(Self { base: hasher.finalize(), rust })
    }

    /// The digest of everything that decides what `plugin`'s component is.
    pub fn digest(&self, plugin: &Plugin) -> Result<String> {
        let mut hasher = Hasher::new();
        hasher.update(self.base.as_bytes());
        match &plugin.language {
            Language::Rust => {
                let crates = self.rust.as_ref().context("a Rust plugin without a Rust toolchain")?;
                hasher.update(crates.base.as_bytes());
                for dir in crates.of(plugin)? {
                    tree(&mut hasher, dir, dir)?;
                }
            }
            Language::Python(_) => field(&mut hasher, python::REQUIREMENTS.as_bytes()),
            Language::JavaScript(_) => {
                field(&mut hasher, javascript::LOCK.as_bytes());
                field(&mut hasher, javascript::SCRIPT.as_bytes());
            }
        }
        tree(&mut hasher, &plugin.dir, &plugin.dir)?;
        Ok(hasher.finalize().to_hex().to_string())
    }
}

impl Crates {
    fn read(workspace: &Workspace, toolchain: &WasmToolchain) -> Result<Self> {
        let local = local_crates(workspace)?;
        let mut hasher = Hasher::new();
        field(&mut hasher, toolchain.identity().as_bytes());
        for (name, value) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if CARGO_SETTINGS.iter().any(|setting| name.starts_with(setting)) {
                field(&mut hasher, name.as_bytes());
                field(&mut hasher, value.as_encoded_bytes());
            }
        }
        for name in ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"] {
            tree(&mut hasher, workspace.root(), &workspace.root().join(name))?;
        }
        Ok(Self { base: hasher.finalize(), local })
    }

    fn of(&self, plugin: &Plugin) -> Result<&BTreeSet<PathBuf>> {
        let dir = fs::canonicalize(&plugin.dir)?;
        self.local.get(&dir).with_context(|| {
            format!(
                "{} is not in the workspace: add it to `members` in the root Cargo.toml",
                plugin.dir.display()
            )
        })
    }
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Package {
    id: String,
    source: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

/// For each crate without a registry, the folders of all such crates it depends on, however indirectly.
fn local_crates(workspace: &Workspace) -> Result<BTreeMap<PathBuf, BTreeSet<PathBuf>>> {
    let mut command = process::cargo();
    command
        .args(["metadata", "--format-version", "1", "--filter-platform", TARGET])
        .current_dir(workspace.root());
    let metadata: Metadata = serde_json::from_str(&process::capture(&mut command)?)
        .context("cannot read what `cargo metadata` prints")?;
    let dirs: BTreeMap<&str, &Path> = metadata
        .packages
        .iter()
        .filter(|package| package.source.is_none())
        .filter_map(|package| Some((package.id.as_str(), package.manifest_path.parent()?)))
        .collect();
    let edges: BTreeMap<&str, &[String]> =
        metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), node.dependencies.as_slice())).collect();
    let mut local = BTreeMap::new();
    for (id, dir) in &dirs {
        let mut reached = BTreeSet::from([*id]);
        let mut open = vec![*id];
        while let Some(next) = open.pop() {
            for dependency in edges.get(next).copied().unwrap_or_default() {
                if dirs.contains_key(dependency.as_str()) && reached.insert(dependency) {
                    open.push(dependency);
                }
            }
        }
        local.insert(fs::canonicalize(dir)?, reached.iter().map(|id| dirs[id].to_owned()).collect());
    }
    Ok(local)
}

/// Take a file, or all files of a folder in the order of their names, with their names relative to `base`.
/// Something that is not there is an input too: its coming changes the digest.
fn tree(hasher: &mut Hasher, base: &Path, path: &Path) -> Result<()> {
    let name = path.strip_prefix(base).unwrap_or(path);
    let kind = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            field(hasher, format!("absent {}", name.display()).as_bytes());
            return Ok(());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot look at {}", path.display())),
    };
    if kind.is_dir() {
        let mut children = fs::read_dir(path)?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<Vec<_>>>()
            .with_context(|| format!("cannot list {}", path.display()))?;
        children.sort();
        for child in children {
            let excluded =
                child.file_name().is_some_and(|name| NOT_SOURCES.iter().any(|other| name == *other));
            // A crate inside another's folder is none of the other's sources, as cargo sees it too.
            if !excluded && !child.join("Cargo.toml").is_file() {
                tree(hasher, base, &child)?;
            }
        }
    } else if kind.is_file() || kind.is_symlink() {
        let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        field(hasher, name.as_os_str().as_encoded_bytes());
        field(hasher, &bytes);
    } else {
        bail!("{} is neither a file nor a folder", path.display());
    }
    Ok(())
}

/// Length first, so that no two sequences of fields are the same bytes.
fn field(hasher: &mut Hasher, bytes: &[u8]) {
    hasher.update(&(bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}
