//! A JavaScript plugin to a component, by componentize-js.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use super::{
    discover::{Guest, Plugin},
    python::{output_path, take},
    wit,
};
use crate::{cache::Cache, process, progress::say, workspace::Workspace};

/// Every package of the toolchain with its digest. It names no registry, so that any will do.
pub const LOCK: &str = include_str!("../../componentize-js/package-lock.json");
/// Calls the toolchain.
pub const SCRIPT: &str = include_str!("../../componentize-js/componentize.mjs");
const PACKAGE: &str = include_str!("../../componentize-js/package.json");

const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// Build the plugin.
pub fn component(workspace: &Workspace, cache: &Cache, plugin: &Plugin, guest: &Guest) -> Result<Vec<u8>> {
    let source = plugin.dir.join(&guest.entry);
    ensure!(source.is_file(), "build.toml says `entry = \"{}\"`, but there is no such file", guest.entry);
    let wit = wit::compose(workspace, plugin, guest)?;
    let digest = blake3::hash(format!("{PACKAGE}{LOCK}{SCRIPT}").as_bytes()).to_hex();
    let tool = cache.folder(&format!("node/componentize-js-{}", &digest[..16]), install)?;
    let output = output_path(workspace, plugin)?;
    say(format_args!("plugins: {}: componentize-js (about 40 s)", plugin.name));
    process::run(
        Command::new("node")
            .arg(tool.join("componentize.mjs"))
            .arg(source)
            .arg(wit)
            .arg(wit::WORLD)
            .arg(&output),
    )?;
    take(&output)
}

fn install(dir: &Path) -> Result<()> {
    ensure!(
        process::works(Command::new("npm").arg("--version")),
        "Node.js with npm is needed for JavaScript plugins: install both (Debian: `apt-get install nodejs npm`)"
    );
    say(format_args!("node: installing componentize-js into {}", dir.display()));
    for (name, text) in [("package.json", PACKAGE), ("package-lock.json", LOCK), ("componentize.mjs", SCRIPT)]
    {
        fs::write(dir.join(name), text)?;
    }
    let mut npm = Command::new("npm");
    // Not `npm ci`: it refuses a lock that lacks the optional packages of other platforms, and not every registry has
    // them all. `install` takes what the lock names, digests included, and leaves the lock as it is.
    npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"]).current_dir(dir);
    process::run_within(&mut npm, INSTALL_LIMIT).context("cannot install from the npm registry")
}
