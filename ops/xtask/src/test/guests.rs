//! The unit suites of plugins in Python and JavaScript: with what each language brings, and nothing installed.

use std::{path::Path, process::Command, time::Duration};

use anyhow::{Context, Result, ensure};

use crate::{process, progress::say, workspace::Workspace};

const SUITE_LIMIT: Duration = Duration::from_secs(300);

/// Run them all; each plugin with a folder `tests` of Python, or `test` of JavaScript, has one.
pub fn run(workspace: &Workspace) -> Result<()> {
    let plugins = workspace.root().join("plugins");
    let mut found = 0;
    for entry in std::fs::read_dir(&plugins).with_context(|| format!("cannot list {}", plugins.display()))? {
        let dir = entry?.path();
        if !dir.join("build.toml").is_file() {
            continue;
        }
        if dir.join("tests/__init__.py").is_file() {
            python(&dir)?;
            found += 1;
        } else if dir.join("package.json").is_file() {
            javascript(&dir)?;
            found += 1;
        }
    }
    ensure!(found > 0, "no plugin of another language has a suite: were they moved?");
    Ok(())
}

fn python(dir: &Path) -> Result<()> {
    say(format_args!("test: {}: unittest", dir.display()));
    let mut command = Command::new("python3");
    command.args(["-m", "unittest", "discover", "--start-directory", "tests", "--top-level-directory", "."]);
    process::run_within(command.current_dir(dir).env("PYTHONDONTWRITEBYTECODE", "1"), SUITE_LIMIT)
}

fn javascript(dir: &Path) -> Result<()> {
    say(format_args!("test: {}: node --test", dir.display()));
    let mut command = Command::new("node");
    process::run_within(command.args(["--test", "test/"]).current_dir(dir), SUITE_LIMIT)
}
