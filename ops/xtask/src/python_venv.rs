//! Python virtual environments in the cache folder, one per list of requirements.

use std::{path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result};

use crate::{cache::Cache, process, progress::say};

const INSTALL_LIMIT: Duration = Duration::from_secs(900);

/// The environment that has `requirements` (the text of a requirements file) installed; made on first use.
pub fn open(cache: &Cache, name: &str, requirements: &str) -> Result<PathBuf> {
    // Another Python, or other requirements: another environment.
    let python = process::capture(
        Command::new("python3").args(["-c", "import sys; print(sys.version, sys.prefix)"]),
    )
    .context(
        "Python 3 is needed: install it, with its venv module (Debian: `apt-get install python3-venv`)",
    )?;
    let digest = blake3::hash(format!("{python}\n{requirements}").as_bytes()).to_hex();
    cache.folder(&format!("python/{name}-{}", &digest[..16]), |dir| {
        say(format_args!("python: installing {name} into {}", dir.display()));
        process::run(Command::new("python3").args(["-m", "venv"]).arg(dir))
            .context("cannot make a virtual environment (Debian: `apt-get install python3-venv`)")?;
        let list = dir.join("requirements.txt");
        std::fs::write(&list, requirements)?;
        let mut pip = Command::new(dir.join("bin/python"));
        pip.args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(&list);
        process::run_within(&mut pip, INSTALL_LIMIT).context("cannot install from the Python package index")
    })
}
