//! eSpeak NG, which tests of speech run, from its Debian packages.

use std::{
    collections::BTreeSet,
    env, fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use anyhow::Result;

use crate::{apt::Apt, cache::Cache};

/// A program that finds its libraries and its data in the cache folder.
pub fn open(cache: &Cache) -> Result<PathBuf> {
    let dir = cache.folder("espeak-ng", |dir| {
        let apt = Apt::new(dir)?;
        let packages = with_libraries(&apt, ["espeak-ng", "espeak-ng-data"])?;
        apt.unpack(&packages, &dir.join("root"))
    })?;
    let program = dir.join("espeak-ng");
    if !program.is_file() {
        write(&program, &dir.join("root"))?;
    }
    Ok(program)
}

/// The packages and the libraries that they need and this system has not, however indirectly.
fn with_libraries(apt: &Apt, packages: [&str; 2]) -> Result<Vec<String>> {
    let mut open: Vec<String> = packages.map(str::to_owned).to_vec();
    apt.download(&open)?;
    let mut found: BTreeSet<String> = open.iter().cloned().collect();
    while let Some(package) = open.pop() {
        let missing = apt.download_missing_libraries(&package)?;
        open.extend(missing.into_iter().filter(|name| found.insert(name.clone())));
    }
    Ok(found.into_iter().collect())
}

fn write(program: &Path, root: &Path) -> Result<()> {
    let libraries = format!("{}-linux-gnu", env::consts::ARCH);
    let text = format!(
        "#!/bin/sh\nroot='{}'\nlib=\"$root/usr/lib/{libraries}\"\n\
         export LD_LIBRARY_PATH=\"$lib:$lib/pulseaudio:$root/lib/{libraries}\" ESPEAK_DATA_PATH=\"$lib\"\n\
         exec \"$root/usr/bin/espeak-ng\" \"$@\"\n",
        root.display()
    );
    // Whole or not at all: another run may look for it now.
    let whole = program.with_extension(std::process::id().to_string());
    fs::write(&whole, text)?;
    fs::set_permissions(&whole, fs::Permissions::from_mode(0o755))?;
    Ok(fs::rename(whole, program)?)
}
