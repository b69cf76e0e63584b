//! The seal: which files a clean shutdown left, and how long they are, broken before the next use. Files that do not match it
//! were changed while nobody used them. What they hold is checked when it is read, and as a whole after the start.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::folder;

const NAME: &str = "seal";
const HEAD: &str = "atelier seal 2";

/// What a seal says of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SealState {
    /// No clean shutdown, or an unreadable seal.
    Absent,
    /// The files are those that were sealed. The last commit that they hold.
    Intact { commit: u64 },
    /// They are not; in words.
    Differs(String),
}

/// Compares `database` with the seal in `parent`.
pub(crate) fn check(parent: &Path, database: &Path) -> io::Result<SealState> {
    let text = match fs::read_to_string(parent.join(NAME)) {
        Ok(text) => text,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => {
            return Ok(SealState::Absent);
        }
        Err(error) => return Err(error),
    };
    let Some((commit, sealed)) = parse(&text) else { return Ok(SealState::Absent) };
    let found = list(database)?;
    if found == sealed {
        return Ok(SealState::Intact { commit });
    }
    let missing = sealed.lines().filter(|line| !found.lines().any(|other| other == *line));
    let added = found.lines().filter(|line| !sealed.lines().any(|other| other == *line));
    let what: Vec<_> = missing
        .map(|line| format!("\"{line}\" is not there"))
        .chain(added.map(|line| format!("\"{line}\" was not")))
        .collect();
    Ok(SealState::Differs(what.join(", ")))
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
pub(crate) fn put(parent: &Path, database: &Path, commit: u64) -> io::Result<()> {
    let body = format!("{HEAD}\n{commit}\n{}", list(database)?);
    let sum = blake3::hash(body.as_bytes()).to_hex();
    folder::replace(parent, NAME, format!("{sum}\n{body}").as_bytes())
}

/// Commit and files, if the seal is whole.
fn parse(text: &str) -> Option<(u64, &str)> {
    let (sum, body) = text.split_once('\n')?;
    if blake3::Hash::from_hex(sum).ok()? != blake3::hash(body.as_bytes()) {
        return None;
    }
    let (head, rest) = body.split_once('\n')?;
    let (commit, files) = rest.split_once('\n')?;
    (head == HEAD).then_some((commit.parse().ok()?, files))
}

/// Names and lengths of all files of a folder, a line each.
fn list(folder: &Path) -> io::Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        if facts.is_file() {
            files.push((entry.file_name().to_string_lossy().into_owned(), facts.len()));
        }
    }
    files.sort();
    let mut text = String::new();
    for (name, length) in files {
        // Writing to a text cannot fail.
        let _written = writeln!(text, "{name} of {length} bytes");
    }
    Ok(text)
}
