//! The world of a plugin whose toolchain has to be told it.
//!
//! The published worlds have one capability each. A Rust plugin composes its own in its sources; for the other
//! languages `build.toml` lists the interfaces, and the world is written here, beside a copy of the published package.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::{
    discover::{Guest, Plugin},
    inputs::NOT_SOURCES,
};
use crate::workspace::Workspace;

/// The composed world's name.
pub const WORLD: &str = "composed-plugin";

/// Write the package with the composed world into a folder of its own, and return that folder.
pub fn compose(workspace: &Workspace, plugin: &Plugin, guest: &Guest) -> Result<PathBuf> {
    let published = workspace.root().join("wit").join(&guest.wit);
    ensure!(
        published.is_dir(),
        "build.toml says `wit = \"{}\"`, but {} is absent",
        guest.wit,
        published.display()
    );
    ensure!(
        !guest.exports.is_empty(),
        "build.toml: name in `exports` the interfaces that the plugin provides"
    );
    for interface in &guest.exports {
        let kebab =
            interface.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        ensure!(kebab && !interface.is_empty(), "build.toml: `{interface}` is not the name of an interface");
    }
    let dir = workspace.target().join("wasm/wit").join(&plugin.name);
    copy_afresh(&published, &dir)?;
    let exports: String =
        guest.exports.iter().map(|interface| format!("    export {interface};\n")).collect();
    let world = format!("world {WORLD} {{\n    include host;\n{exports}}}\n");
    fs::write(dir.join(format!("{WORLD}.wit")), world)
        .with_context(|| format!("cannot write to {}", dir.display()))?;
    Ok(dir)
}

/// Make `to` a copy of the folder `from`, without what builds leave in it.
pub fn copy_afresh(from: &Path, to: &Path) -> Result<()> {
    if to.exists() {
        fs::remove_dir_all(to).with_context(|| format!("cannot remove {}", to.display()))?;
    }
    copy(from, to)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        if NOT_SOURCES.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}
