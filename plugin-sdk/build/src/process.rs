//! Running other programs: what failed is named, and nothing that depends on a network runs without a limit.

use std::{
    ffi::OsString,
    io::ErrorKind,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

/// How often a bounded child is looked at.
const POLL: Duration = Duration::from_millis(50);

/// The cargo that runs this command, so that the toolchain the user chose is the one used throughout.
pub fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    without_own_variables(&mut command);
    command
}

/// The cargo of another toolchain of rustup's.
pub fn cargo_of(toolchain: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", toolchain, "cargo"]);
    without_own_variables(&mut command);
    command
}

fn without_own_variables(command: &mut Command) {
    // Set by `cargo run` for this process alone; inherited, they would reach build scripts as if they were the user's.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CARGO_PKG_") || name == "CARGO_MANIFEST_DIR" {
            command.env_remove(name);
        }
    }
}

/// The compiler that [`cargo`] would call.
pub fn rustc() -> Command {
    Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| OsString::from("rustc")))
}

/// Run to the end with the terminal's streams; an unsuccessful exit is an error.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| not_started(command, error))?;
    succeeded(command, status)
}

/// Like [`run`], but kill the program when `limit` is over.
pub fn run_within(command: &mut Command, limit: Duration) -> Result<()> {
    let started = Instant::now();
    let mut child = command.spawn().map_err(|error| not_started(command, error))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return succeeded(command, status);
        }
        if started.elapsed() > limit {
            child
                .kill()
                .and_then(|()| child.wait())
                .with_context(|| format!("cannot stop {}", named(command)))?;
            bail!("{} was stopped after {} s", named(command), limit.as_secs());
        }
        thread::sleep(POLL);
    }
}

/// Run to the end and return standard output; standard error goes into the error.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|error| not_started(command, error))?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        bail!("{} ended with {}: {}", named(command), output.status, complaint.trim());
    }
    String::from_utf8(output.stdout)
        .with_context(|| format!("{} printed something else than UTF-8", named(command)))
}

/// Whether the program can be started and succeeds; what it prints is of no interest.
pub fn works(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { bail!("{} ended with {status}", named(command)) }
}

fn not_started(command: &Command, error: std::io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy();
    if error.kind() == ErrorKind::NotFound {
        return anyhow::anyhow!("`{program}` is not installed, or not on PATH");
    }
    anyhow::Error::new(error).context(format!("cannot start `{program}`"))
}

/// The program and its first arguments, enough to recognise it by.
fn named(command: &Command) -> String {
    let arguments = command.get_args().take(4).map(|argument| argument.to_string_lossy().into_owned());
    let words: Vec<_> =
        std::iter::once(command.get_program().to_string_lossy().into_owned()).chain(arguments).collect();
    format!("`{}`", words.join(" "))
}
