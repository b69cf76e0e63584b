//! `cargo xtask contract`: the published versions of the provider contract, held against their recorded hashes.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::{progress::say, workspace::Workspace};

/// Hold each folder of wit/ against the hash that wit/versions.toml records for it.
///
/// A version that is not frozen may change: record its new hash once every plugin builds and passes its suite. A frozen
/// version never changes, since plugins that were built with it are out in the world: what is new goes into a new folder.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// Record the hashes of the versions that are not frozen
    #[arg(long)]
    record: bool,
}

/// `wit/versions.toml`: folder → what is known of it.
type Versions = BTreeMap<String, Version>;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Version {
    /// Of its files' names and bytes, in the order of their names.
    blake3: String,
    frozen: bool,
}

/// Run the verb.
pub fn run(workspace: &Workspace, options: &Options) -> Result<ExitCode> {
    let dir = workspace.root().join("wit");
    let file = dir.join("versions.toml");
    let mut recorded: Versions = match fs::read_to_string(&file) {
        Ok(text) => toml::from_str(&text).with_context(|| format!("{}", file.display()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Versions::new(),
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
    };
    let mut wrong = 0;
    for (name, folder) in folders(&dir)? {
        let found = digest(&folder)?;
        let frozen = recorded.get(&name).is_some_and(|version| version.frozen);
        if recorded.get(&name).is_some_and(|version| version.blake3 == found) {
            say(format_args!("contract: wit/{name} is as recorded"));
        } else if options.record && !frozen {
            say(format_args!("contract: wit/{name} recorded as {found}"));
            recorded.insert(name, Version { blake3: found, frozen: false });
        } else {
            wrong += 1;
            say(format_args!("contract: wit/{name} has changed: {}", advice(&name, frozen)));
        }
    }
    for name in recorded.keys().filter(|name| !dir.join(name).is_dir()) {
        wrong += 1;
        say(format_args!(
            "contract: wit/{name} is gone: plugins that were built with it need it, put it back"
        ));
    }
    if options.record {
        fs::write(&file, toml::to_string(&recorded)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn advice(name: &str, frozen: bool) -> String {
    if frozen {
        return "it is frozen, and published plugins depend on every line of it: undo the change, and make it in the folder of a \
                new version"
            .to_owned();
    }
    format!(
        "it is not frozen, so it may, but every plugin built before has to be built again: run `cargo xtask test`, note the \
         change in CHANGELOG.md, and record the new hash of wit/{name} with `cargo xtask contract --record`"
    )
}

/// The versions' folders by name.
fn folders(dir: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            let name =
                path.file_name().and_then(|name| name.to_str()).context("a folder's name is not UTF-8")?;
            found.insert(name.to_owned(), path);
        }
    }
    ensure!(!found.is_empty(), "{} has no version of the contract", dir.display());
    Ok(found)
}

fn digest(folder: &Path) -> Result<String> {
    let mut files = fs::read_dir(folder)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(|| format!("cannot list {}", folder.display()))?;
    files.sort();
    let mut hasher = blake3::Hasher::new();
    for file in files {
        let bytes = fs::read(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.file_name().unwrap_or_default().as_encoded_bytes();
        // Lengths first, so that no two lists of files are the same bytes.
        for field in [name, &bytes] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
    }
    Ok(hasher.finalize().to_hex().to_string())
}
