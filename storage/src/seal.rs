//! The seal: a hash of the database's files, left by a clean shutdown and broken before the next use. Files that do
//! not match it were changed while nobody used them.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use crate::folder;

const NAME: &str = "seal";

/// What a seal says of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SealState {
    /// No clean shutdown, or an unreadable seal: the content must be checked another way.
    Absent,
    Intact,
    /// The files are not those that were sealed.
    Differs,
}

/// Compares `database` with the seal in `parent`.
pub(crate) fn check(parent: &Path, database: &Path) -> io::Result<SealState> {
    let Ok(text) = fs::read_to_string(parent.join(NAME)) else { return Ok(SealState::Absent) };
    let Ok(sealed) = blake3::Hash::from_hex(text.trim()) else { return Ok(SealState::Absent) };
    Ok(if hash(database)? == sealed { SealState::Intact } else { SealState::Differs })
}

/// Removes the seal: to be done before anything changes.
pub(crate) fn break_open(parent: &Path) -> io::Result<()> {
    match fs::remove_file(parent.join(NAME)) {
        Ok(()) => folder::sync(parent),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Seals the files: nothing may write to them any more.
pub(crate) fn put(parent: &Path, database: &Path) -> io::Result<()> {
    folder::replace(parent, NAME, hash(database)?.to_hex().as_bytes())
}

/// One hash of all files below a folder: names, sizes and contents.
fn hash(folder: &Path) -> io::Result<blake3::Hash> {
    let mut files = Vec::new();
    list(folder, &mut files)?;
    files.sort();
    let mut all = blake3::Hasher::new();
    for path in files {
        let mut one = blake3::Hasher::new();
        one.update_reader(File::open(&path)?)?;
        let name = path.strip_prefix(folder).unwrap_or(&path).as_os_str().as_encoded_bytes();
        all.update(&(name.len() as u64).to_be_bytes()).update(name).update(one.finalize().as_bytes());
    }
    Ok(all.finalize())
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
