//! What a plugin's author does, with the binary that they have: `atelier plugin new|build|check|test|sign`.

#[path = "authoring/conformance.rs"]
mod conformance;
#[path = "authoring/record.rs"]
mod record;
#[path = "authoring/template.rs"]
mod template;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// `atelier plugin …`.
fn plugin<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Output {
    Command::new(env!("CARGO_BIN_EXE_atelier")).arg("plugin").args(arguments).output().expect("it runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[track_caller]
fn succeeded(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}", stdout(output), stderr(output));
    stdout(output)
}

/// The root of the repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A plugin's file, as `cargo xtask plugins` leaves it.
fn built(name: &str) -> PathBuf {
    let folder =
        std::env::var_os("ATELIER_PLUGINS").map_or_else(|| root().join("target/plugins"), PathBuf::from);
    let file = folder.join(format!("{name}-0.1.0.wasm"));
    assert!(file.is_file(), "{} is missing: run `cargo xtask plugins`", file.display());
    file
}
