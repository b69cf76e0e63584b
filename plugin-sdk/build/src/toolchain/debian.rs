//! Debian's Rust for the web, unpacked into the cache folder and never installed.
//!
//! Installing it would clash with rustup's. Its packages bring a compiler and the standard library's sources, not a
//! compiled standard library for `wasm32-unknown-unknown`: cargo builds that (`-Z build-std`), which a released
//! compiler does only when told that this is meant (`RUSTC_BOOTSTRAP`). The linker is the active toolchain's.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use semver::Version;

use super::Site;
use crate::{apt::Apt, cache::Cache, process, progress};

/// These names are stable; those of the libraries that belong to them carry versions and are read from them.
const NAMED: [&str; 3] = ["rustc-web", "libstd-rust-web-dev", "rust-web-src"];

/// The unpacked compiler and what a build with it needs.
#[derive(Debug)]
pub struct Unpacked {
    rustc: PathBuf,
    libraries: OsString,
    linker: PathBuf,
    version: String,
}

impl Unpacked {
    /// The compiler in the cache folder, fetched first if it is not there or has become too old.
    pub fn open(cache: &Cache, site: &Site<'_>) -> Result<Self> {
        let oldest = site.oldest.clone();
        let linker = linker(site)?;
        let name = match &oldest {
            Some(version) => format!("debian-rust-{version}"),
            None => "debian-rust".to_owned(),
        };
        let dir = cache.folder(&name, |dir| {
            fetch(dir)?;
            let release = release(&compiler(dir), &library_path(dir)?)?;
            if let Some(oldest) = &oldest {
                ensure!(release >= *oldest, "Debian offers Rust {release}, but Rust {oldest} is needed");
            }
            Ok(())
        })?;
        let rustc = compiler(&dir);
        let libraries = library_path(&dir)?;
        let version = process::capture(Command::new(&rustc).arg("-vV").env("LD_LIBRARY_PATH", &libraries))?;
        Ok(Self { rustc, libraries, linker, version })
    }

    /// What `rustc -vV` prints.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Make a `cargo build` use this compiler.
    pub fn apply(&self, cargo: &mut Command) {
        cargo
            .args(["-Z", "build-std=std,panic_abort"])
            .env("RUSTC", &self.rustc)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("LD_LIBRARY_PATH", &self.libraries)
            .env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", &self.linker);
    }
}

fn compiler(dir: &Path) -> PathBuf {
    dir.join("root/usr/bin/rustc")
}

/// The packages' own libraries before those of the environment.
fn library_path(dir: &Path) -> Result<OsString> {
    let own = dir.join("root/usr/lib").join(format!("{}-linux-gnu", env::consts::ARCH));
    let inherited = env::var_os("LD_LIBRARY_PATH").filter(|value| !value.is_empty());
    let inherited = inherited.iter().flat_map(env::split_paths);
    env::join_paths(std::iter::once(own).chain(inherited))
        .context("the cache folder's path has a colon in it")
}

/// Debian's compiler has no linker for WebAssembly; every toolchain of rustup's has one.
fn linker(site: &Site<'_>) -> Result<PathBuf> {
    let mut command = process::rustc();
    command.current_dir(site.folder);
    let sysroot = process::capture(command.args(["--print", "sysroot"]))?;
    let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let bundled = Path::new(sysroot.trim()).join("lib/rustlib").join(host).join("bin/rust-lld");
    if bundled.is_file() {
        return Ok(bundled);
    }
    let on_path = env::var_os("PATH").and_then(|path| {
        env::split_paths(&path).map(|dir| dir.join("wasm-ld")).find(|candidate| candidate.is_file())
    });
    on_path.context("there is no linker for WebAssembly: install one with `apt-get install lld`")
}

fn release(rustc: &Path, libraries: &OsString) -> Result<Version> {
    let printed = process::capture(Command::new(rustc).arg("-vV").env("LD_LIBRARY_PATH", libraries))
        .context("the unpacked compiler does not run; a library named here is got with `apt-get install`")?;
    let release = printed.lines().find_map(|line| line.strip_prefix("release: "));
    let release = release.with_context(|| format!("no release in what rustc -vV prints: {printed}"))?;
    Ok(Version::parse(release.trim())?)
}

/// Download the packages and unpack them into `dir/root`.
fn fetch(dir: &Path) -> Result<()> {
    let apt = Apt::new(dir)?;
    progress::say("debian: downloading the Rust compiler for the web");
    let mut packages: Vec<String> = NAMED.map(str::to_owned).to_vec();
    apt.download(&packages)?;
    // rustc-web → libstd-rust-web-dev → libstd-rust-web-1.xx → libllvmNN → whatever of LLVM's needs is not installed.
    let standard = apt.dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    apt.download(std::slice::from_ref(&standard))?;
    let llvm = apt.dependency(&standard, "libllvm")?;
    apt.download(std::slice::from_ref(&llvm))?;
    packages.extend(apt.download_missing_libraries(&llvm)?);
    packages.extend([standard, llvm]);
    apt.unpack(&packages, &dir.join("root"))
}
