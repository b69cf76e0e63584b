//! Debian's packages, unpacked into a folder and never installed.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{process, progress};

/// Enough for 140 MB over a slow line.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(900);

/// apt with package lists and a cache of its own, so that it needs no root and leaves the system's alone.
#[derive(Debug)]
pub struct Apt {
    debs: PathBuf,
    /// What is removed once the packages are unpacked.
    work: PathBuf,
    settings: Vec<String>,
}

impl Apt {
    /// Read the package lists; everything that apt writes goes below `dir`.
    pub fn new(dir: &Path) -> Result<Self> {
        ensure!(
            process::works(Command::new("apt-get").arg("--version"))
                && process::works(Command::new("dpkg").arg("--version")),
            "apt-get and dpkg are not here: this is not a Debian system"
        );
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
        let apt = Self { debs, work: dir.join("apt"), settings };
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

    /// Fetch the packages, and nothing that they depend on.
    pub fn download(&self, packages: &[String]) -> Result<()> {
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

    /// The one dependency of a downloaded package whose name starts so.
    pub fn dependency(&self, package: &str, prefix: &str) -> Result<String> {
        let mut found = self.dependencies(package)?.into_iter().filter(|name| name.starts_with(prefix));
        found.next().with_context(|| format!("{package} no longer depends on a {prefix}*"))
    }

    /// Fetch the libraries that a downloaded package depends on and that are not installed; returns their names.
    pub fn download_missing_libraries(&self, package: &str) -> Result<Vec<String>> {
        let needed = self.dependencies(package)?.into_iter();
        let missing: Vec<_> = needed.filter(|name| name.starts_with("lib") && !is_installed(name)).collect();
        if !missing.is_empty() {
            self.download(&missing)?;
        }
        Ok(missing)
    }

    /// Unpack downloaded packages into `root`, and remove the downloads.
    pub fn unpack(self, packages: &[String], root: &Path) -> Result<()> {
        for package in packages {
            progress::say(format_args!("debian: unpacking {package}"));
            process::run(Command::new("dpkg").arg("-x").arg(self.file(package)?).arg(root))?;
        }
        for folder in [&self.debs, &self.work] {
            fs::remove_dir_all(folder).context("cannot remove what was downloaded")?;
        }
        Ok(())
    }
}

fn is_installed(package: &str) -> bool {
    let mut command = Command::new("dpkg-query");
    command.args(["-W", "-f=${db:Status-Status}", package]);
    process::capture(&mut command).is_ok_and(|status| status == "installed")
}
