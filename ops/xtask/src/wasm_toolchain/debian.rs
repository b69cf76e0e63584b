//! Debian's Rust for the web, unpacked into the cache folder and never installed.
//!
//! Installing it would clash with rustup's. Its packages bring a compiler and the standard library's sources, not a
//! compiled standard library for `wasm32-unknown-unknown`: cargo builds that (`-Z build-std`), which a released
//! compiler does only when told that this is meant (`RUSTC_BOOTSTRAP`). The linker is the active toolchain's.

use std::{
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use semver::Version;

use crate::{cache::Cache, process, progress, workspace::Workspace};

/// Enough for 140 MB over a slow line.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(900);

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
    pub fn open(cache: &Cache, workspace: &Workspace) -> Result<Self> {
        let oldest = workspace.rust_version()?;
        let linker = linker(workspace)?;
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
fn linker(workspace: &Workspace) -> Result<PathBuf> {
    let mut command = process::rustc();
    command.current_dir(workspace.root());
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
    ensure!(
        process::works(Command::new("apt-get").arg("--version"))
            && process::works(Command::new("dpkg").arg("--version")),
        "apt-get and dpkg are not here: this is not a Debian system"
    );
    let apt = Apt::new(dir)?;
    progress::say("debian: downloading the Rust compiler for the web");
    let mut packages: Vec<String> = NAMED.map(str::to_owned).to_vec();
    apt.download(&packages)?;
    // rustc-web → libstd-rust-web-dev → libstd-rust-web-1.xx → libllvmNN → whatever of LLVM's needs is not installed.
    let standard = apt.dependency("libstd-rust-web-dev", "libstd-rust-web-")?;
    apt.download(std::slice::from_ref(&standard))?;
    let llvm = apt.dependency(&standard, "libllvm")?;
    apt.download(std::slice::from_ref(&llvm))?;
    let missing: Vec<_> = apt.dependencies(&llvm)?.into_iter().filter(|name| !is_installed(name)).collect();
    if !missing.is_empty() {
        apt.download(&missing)?;
    }
    packages.extend([standard, llvm]);
    packages.extend(missing);
    for package in &packages {
        progress::say(format_args!("debian: unpacking {package}"));
        process::run(Command::new("dpkg").arg("-x").arg(apt.file(package)?).arg(dir.join("root")))?;
    }
    for folder in [&apt.debs, &dir.join("apt")] {
        fs::remove_dir_all(folder).context("cannot remove what was downloaded")?;
    }
    Ok(())
}

fn is_installed(package: &str) -> bool {
    let mut command = Command::new("dpkg-query");
    command.args(["-W", "-f=${db:Status-Status}", package]);
    process::capture(&mut command).is_ok_and(|status| status == "installed")
}

/// apt with package lists and a cache of its own, so that it needs no root and leaves the system's alone.
struct Apt {
    debs: PathBuf,
    settings: Vec<String>,
}

impl Apt {
    fn new(dir: &Path) -> Result<Self> {
        let (lists, archives, debs) = (dir.join("apt/lists"), dir.join("apt/cache"), dir.join("debs"));
        for folder in [&lists.join("partial"), &archives.join("archives/partial"), &debs] {
            fs::create_dir_all(folder)?;
        }
        let settings = vec![
            format!("Dir::State::Lists={}", lists.display()),
            format!("Dir::Cache={}", archives.display()),
            // The unprivileged user that apt would switch to cannot write into the cache folder.
            "APT::Sandbox::User=root".to_owned(),
        ];
        let apt = Self { debs, settings };
        progress::say("debian: reading the package lists");
        process::run_within(apt.command().args(["-qq", "update"]), DOWNLOAD_LIMIT)?;
        Ok(apt)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        command.current_dir(&self.debs);
        for setting in &self.settings {
            command.args(["-o", setting]);
        }
        command
    }

    fn download(&self, packages: &[String]) -> Result<()> {
        process::run_within(self.command().args(["-qq", "download"]).args(packages), DOWNLOAD_LIMIT)
            .with_context(|| format!("Debian's package sources do not give {}", packages.join(", ")))
    }

    /// The downloaded file of a package: `name_version_architecture.deb`.
    fn file(&self, package: &str) -> Result<PathBuf> {
        let prefix = format!("{package}_");
        for entry in fs::read_dir(&self.debs)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                return Ok(entry.path());
            }
        }
        bail!("apt-get download left no file for {package}")
    }

    /// Names of the packages that a downloaded one depends on; of alternatives, the first.
    fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let field =
            process::capture(Command::new("dpkg-deb").arg("-f").arg(self.file(package)?).arg("Depends"))?;
        let names = field.split(',').filter_map(|clause| clause.split_whitespace().next());
        Ok(names.map(|name| name.split(':').next().unwrap_or(name).to_owned()).collect())
    }

    fn dependency(&self, package: &str, prefix: &str) -> Result<String> {
        let mut found = self.dependencies(package)?.into_iter().filter(|name| name.starts_with(prefix));
        found.next().with_context(|| format!("{package} no longer depends on a {prefix}*"))
    }
}
