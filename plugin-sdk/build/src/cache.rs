//! The cache folder: downloads, tools and the development key, shared by all working copies.

use std::{
    env,
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use crate::progress;

/// Written last into a folder that took several steps to make.
const COMPLETE: &str = ".complete";

/// The cache folder.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
}

/// A lock between processes, held until dropped. The operating system lets go of it when its holder dies.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Cache {
    /// `$ATELIER_CACHE`, else `$XDG_CACHE_HOME/atelier`, else `~/.cache/atelier`; created if absent.
    pub fn open() -> Result<Self> {
        let given = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let dir = given("ATELIER_CACHE")
            .or_else(|| given("XDG_CACHE_HOME").map(|dir| dir.join("atelier")))
            .or_else(|| given("HOME").map(|dir| dir.join(".cache/atelier")))
            .context("there is no cache folder: set ATELIER_CACHE to one")?;
        fs::create_dir_all(&dir).with_context(|| {
            format!(
                "cannot create the cache folder {}: set ATELIER_CACHE to one that is writable",
                dir.display()
            )
        })?;
        Ok(Self { dir: fs::canonicalize(&dir)? })
    }

    /// A path in the cache folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A folder that `make` fills in several steps: made once, from the start if an earlier attempt was interrupted,
    /// and by one process at a time.
    pub fn folder(&self, name: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
        let dir = self.path(name);
        let _lock = Lock::acquire(&self.path(&format!("{name}.lock")))?;
        if !dir.join(COMPLETE).exists() {
            if dir.exists() {
                progress::say(format_args!("cache: {name} was left unfinished; making it again"));
                fs::remove_dir_all(&dir).with_context(|| format!("cannot remove {}", dir.display()))?;
            }
            fs::create_dir_all(&dir)?;
            make(&dir).with_context(|| format!("cannot prepare {}", dir.display()))?;
            write_whole(&dir.join(COMPLETE), b"")?;
        }
        Ok(dir)
    }
}

impl Lock {
    /// Wait for the lock at `path`, saying so when it is another process's turn.
    pub fn acquire(path: &Path) -> Result<Self> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent)?;
        }
        let file =
            File::create(path).with_context(|| format!("cannot create the lock {}", path.display()))?;
        if file.try_lock().is_err() {
            progress::say(format_args!("waiting for another process that holds {}", path.display()));
            file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
        }
        Ok(Self { _file: file })
    }
}

/// Write a file so that it is there whole or not at all: a temporary name beside it, synced, then renamed.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    write_with(path, bytes, |options| options)
}

/// Like [`write_whole`], readable by its owner alone from the first moment.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    write_with(path, bytes, |options| options.mode(0o600))
}

fn write_with(
    path: &Path,
    bytes: &[u8],
    adjust: impl FnOnce(&mut fs::OpenOptions) -> &mut fs::OpenOptions,
) -> Result<()> {
    let mut name = path.file_name().context("a file to write needs a name")?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let write = || -> std::io::Result<()> {
        let mut file =
            adjust(fs::OpenOptions::new().write(true).create(true).truncate(true)).open(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
