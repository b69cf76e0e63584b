//! Which plugins there are.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use plugin_package::Manifest;
use serde::Deserialize;

use crate::{progress, workspace::Workspace};

/// Folders that hold plugins. Hostile ones attack the host in its tests.
const PARENTS: [&str; 2] = ["plugins", "plugins/hostile"];

/// A plugin's sources.
#[derive(Debug)]
pub struct Plugin {
    /// The folder's name, which names the file too.
    pub name: String,
    /// The plugin's folder.
    pub dir: PathBuf,
    /// How to build it.
    pub language: Language,
    /// Its `manifest.toml`.
    pub manifest: Manifest,
}

/// What a plugin is written in.
#[derive(Debug, PartialEq, Eq)]
pub enum Language {
    /// A crate of the workspace, which says itself what it needs.
    Rust,
    /// Built by componentize-py.
    Python(Guest),
    /// Built by componentize-js.
    JavaScript(Guest),
}

/// A `build.toml`.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct BuildFile {
    language: GuestLanguage,
    entry: String,
    wit: String,
    exports: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum GuestLanguage {
    Python,
    Javascript,
}

/// What a toolchain that makes components itself has to know.
#[derive(Debug, PartialEq, Eq)]
pub struct Guest {
    /// The Python module, or the JavaScript file, relative to the plugin's folder.
    pub entry: String,
    /// The folder of `wit/`.
    pub wit: String,
    /// The provider interfaces it exports.
    pub exports: Vec<String>,
}

impl Plugin {
    /// `NAME-VERSION.wasm`
    pub fn file_name(&self) -> String {
        format!("{}-{}.wasm", self.name, self.manifest.version())
    }
}

/// All plugins of the workspace, by name.
pub fn all(workspace: &Workspace) -> Result<Vec<Plugin>> {
    let mut found: BTreeMap<String, Plugin> = BTreeMap::new();
    for parent in PARENTS {
        let Ok(entries) = fs::read_dir(workspace.root().join(parent)) else { continue };
        for entry in entries {
            let dir = entry?.path();
            let Some(language) = language(&dir)? else { continue };
            let plugin = read(&dir, language).with_context(|| format!("{}", dir.display()))?;
            if let Some(other) = found.insert(plugin.name.clone(), plugin) {
                bail!("two plugins are called {}: {} and {}", other.name, other.dir.display(), dir.display());
            }
        }
    }
    Ok(found.into_values().collect())
}

/// `None`: the folder is no plugin.
fn language(dir: &Path) -> Result<Option<Language>> {
    let (crate_file, build_file) = (dir.join("Cargo.toml"), dir.join("build.toml"));
    if build_file.is_file() {
        ensure!(!crate_file.is_file(), "{} has both Cargo.toml and build.toml: remove one", dir.display());
        let text = fs::read_to_string(&build_file)?;
        let build: BuildFile = toml::from_str(&text).with_context(|| format!("{}", build_file.display()))?;
        let guest = Guest { entry: build.entry, wit: build.wit, exports: build.exports };
        return Ok(Some(match build.language {
            GuestLanguage::Python => Language::Python(guest),
            GuestLanguage::Javascript => Language::JavaScript(guest),
        }));
    }
    if crate_file.is_file() {
        return Ok(Some(Language::Rust));
    }
    if dir.join("manifest.toml").is_file() {
        progress::say(format_args!(
            "plugins: passing over {}: it has a manifest.toml but neither Cargo.toml nor build.toml",
            dir.display()
        ));
    }
    Ok(None)
}

fn read(dir: &Path, language: Language) -> Result<Plugin> {
    let name = dir.file_name().and_then(|name| name.to_str()).context("its name is not UTF-8")?.to_owned();
    let path = dir.join("manifest.toml");
    let text = fs::read_to_string(&path).context("it has no readable manifest.toml")?;
    let manifest = Manifest::from_toml(&text).context("manifest.toml")?;
    Ok(Plugin { name, dir: dir.to_owned(), language, manifest })
}
