//! A Rust toolchain that compiles to WebAssembly: the installed one, rustup's, or Debian's.

mod debian;

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use semver::Version;

use crate::{cache::Cache, process, progress};

/// What plugins are compiled for. It has no system interface, so a plugin can import Atelier's interfaces only.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// A rustup that cannot reach its server must not hold up the next way.
const RUSTUP_LIMIT: Duration = Duration::from_secs(120);

/// The folder that is built, and where its products go.
#[derive(Debug)]
pub struct Site<'a> {
    /// Where cargo and rustc run: it decides which toolchain rustup takes.
    pub folder: &'a Path,
    /// Cargo's target folder; that of the guests' builds is made inside it.
    pub target: &'a Path,
    /// The oldest compiler that will do, if that is known.
    pub oldest: Option<Version>,
}

/// Where the WebAssembly target comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Source {
    /// The active toolchain, adding the target through rustup where it is missing.
    Rustup,
    /// Debian's rustc-web packages, unpacked into the cache folder; the system is left as it is.
    Debian,
}

/// A toolchain that was found to work.
#[derive(Debug)]
pub struct WasmToolchain {
    target_dir: PathBuf,
    identity: String,
    debian: Option<debian::Unpacked>,
}

impl WasmToolchain {
    /// Find one: `forced`, or the first that works of installed, rustup, Debian.
    ///
    /// # Errors
    /// None works; the text says what was tried and what to do.
    pub fn find(site: &Site<'_>, cache: &Cache, forced: Option<Source>) -> Result<Self> {
        let mut attempts = Vec::new();
        if forced != Some(Source::Debian) {
            match Self::installed_or_rustup(site) {
                Ok(found) => return Ok(found),
                Err(error) => attempts.push(format!("installed toolchain: {error:#}")),
            }
        }
        if forced != Some(Source::Rustup) {
            if let Some(failure) = attempts.last() {
                progress::say(format_args!("{failure}; trying Debian's packages"));
            }
            match Self::from_debian(site, cache) {
                Ok(found) => return Ok(found),
                Err(error) => attempts.push(format!("Debian packages: {error:#}")),
            }
        }
        bail!(
            "no Rust toolchain for {TARGET}. With rustup, run `rustup target add {TARGET}`; elsewhere install the \
             target's standard library with the system's package manager. Tried:\n  - {}",
            attempts.join("\n  - ")
        )
    }

    /// A `cargo build` for the target, with a target folder of its own so that host builds stay valid.
    pub fn cargo_build(&self) -> Command {
        let mut command = process::cargo();
        command.args(["build", "--target", TARGET]).arg("--target-dir").arg(&self.target_dir);
        if let Some(debian) = &self.debian {
            debian.apply(&mut command);
        }
        command
    }

    /// Names the compiler exactly: what another one built is out of date.
    pub fn identity(&self) -> &str {
        &self.identity
    }

    fn installed_or_rustup(site: &Site<'_>) -> Result<Self> {
        if !core_library_is_installed(site.folder)? {
            progress::say(format_args!("rustup target add {TARGET} (at most {} s)", RUSTUP_LIMIT.as_secs()));
            process::run_within(
                Command::new("rustup").args(["target", "add", TARGET]).current_dir(site.folder),
                RUSTUP_LIMIT,
            )
            .with_context(|| format!("the active toolchain lacks {TARGET}"))?;
            if !core_library_is_installed(site.folder)? {
                bail!("rustup added {TARGET} to another toolchain than the one `rustc` belongs to");
            }
        }
        let identity = process::capture(process::rustc().arg("-vV").current_dir(site.folder))?;
        Ok(Self { target_dir: site.target.join("wasm"), identity, debian: None })
    }

    fn from_debian(site: &Site<'_>, cache: &Cache) -> Result<Self> {
        let unpacked = debian::Unpacked::open(cache, site)?;
        let identity = format!("debian\n{}", unpacked.version());
        let target_dir = site.target.join("wasm-debian");
        Ok(Self { target_dir, identity, debian: Some(unpacked) })
    }
}

/// rustc names the folder whether or not it exists; the target is there if its core library is.
fn core_library_is_installed(root: &Path) -> Result<bool> {
    let mut command = process::rustc();
    command.args(["--print", "target-libdir", "--target", TARGET]).current_dir(root);
    let dir = process::capture(&mut command)?;
    let Ok(entries) = std::fs::read_dir(dir.trim()) else { return Ok(false) };
    Ok(entries.flatten().any(|entry| {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        name.starts_with("libcore-") && name.ends_with(".rlib")
    }))
}

/// Reads a crate's `rust-version`: `1.95` and `1.95.0` alike.
///
/// # Errors
/// It is no version.
pub fn parse_rust_version(text: &str) -> Result<Version> {
    let full = if text.matches('.').count() == 1 { format!("{text}.0") } else { text.to_owned() };
    Version::parse(&full).with_context(|| format!("`rust-version = \"{text}\"` is not a version"))
}
