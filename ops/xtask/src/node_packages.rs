//! Packages of npm, in the cache folder.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result};

use crate::{cache::Cache, process};

const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// A folder with the packages that `dir` names in its `package.json` and `package-lock.json`.
pub fn open(cache: &Cache, name: &str, dir: &Path) -> Result<PathBuf> {
    let read =
        |file: &str| fs::read(dir.join(file)).with_context(|| format!("{} needs a {file}", dir.display()));
    let (package, lock) = (read("package.json")?, read("package-lock.json")?);
    let digest = blake3::hash(&[package.as_slice(), &lock].concat()).to_hex();
    cache.folder(&format!("node/{name}-{}", &digest[..16]), |folder| {
        fs::write(folder.join("package.json"), &package)?;
        fs::write(folder.join("package-lock.json"), &lock)?;
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(folder);
        process::run_within(&mut npm, INSTALL_LIMIT).context("cannot install from the npm registry")
    })
}
