//! The binaries that are measured, built as a release is.

use std::{path::PathBuf, time::Instant};

use anyhow::Result;

use crate::{process, progress::say, workspace::Workspace};

/// Build the host and the mock upstream in the `dist` profile; returns their folder.
pub fn dist(workspace: &Workspace) -> Result<PathBuf> {
    say("bench: cargo build --profile dist (link-time optimisation: the first time takes many minutes)");
    let started = Instant::now();
    let mut cargo = process::cargo();
    cargo
        .args(["build", "--profile", "dist", "--workspace", "--bin", "atelier", "--bin", "mock-upstream"])
        .current_dir(workspace.root());
    process::run(&mut cargo)?;
    say(format_args!("bench: built in {:.0} s", started.elapsed().as_secs_f64()));
    Ok(workspace.target().join("dist"))
}
