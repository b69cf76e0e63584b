//! Python virtual environments in the cache folder, one per list of requirements.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};

use crate::{cache::Cache, process, progress::say};

/// Some packages are built from source: minutes on an idle machine, several times that on a busy one.
const INSTALL_LIMIT: Duration = Duration::from_secs(2700);

/// The environment that has `requirements` (the text of a requirements file) installed; made on first use.
pub fn open(cache: &Cache, name: &str, requirements: &str) -> Result<PathBuf> {
    open_built(cache, name, requirements, &[])
}

/// As [`open`], with `settings` in the environment for packages that are built from source.
pub fn open_built(
    cache: &Cache,
    name: &str,
    requirements: &str,
    settings: &[(&str, &str)],
) -> Result<PathBuf> {
    // Another Python, or other requirements: another environment.
    let python = process::capture(
        Command::new("python3").args(["-c", "import sys; print(sys.version, sys.prefix)"]),
    )
    .context(
        "Python 3 is needed: install it, with its venv module (Debian: `apt-get install python3-venv`)",
    )?;
    // Without settings the folder is the one that earlier versions made.
    let settings_text: String = settings.iter().map(|(key, value)| format!("\n{key}={value}")).collect();
    let digest = blake3::hash(format!("{python}\n{requirements}{settings_text}").as_bytes()).to_hex();
    cache.folder(&format!("python/{name}-{}", &digest[..16]), |dir| {
        say(format_args!("python: installing {name} into {}", dir.display()));
        process::run(Command::new("python3").args(["-m", "venv"]).arg(dir))
            .context("cannot make a virtual environment (Debian: `apt-get install python3-venv`)")?;
        let list = dir.join("requirements.txt");
        std::fs::write(&list, requirements)?;
        let mut pip = Command::new(dir.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&list);
        pip.envs(settings.iter().copied());
        process::run_within(&mut pip, INSTALL_LIMIT).context("cannot install from the Python package index")
    })
}
