//! The taking of a backup: to see whether it is whole, or to make a folder of it.

use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use atelier_domain::blob::{BlobId, BlobStore as _};

use super::manifest::{About, Entry, Manifest, unhex};
use super::rows::{PART_BYTES_MAX, parse};
use super::{ABOUT, BLOBS, BackupError, FILES, JOURNAL, MANIFEST, MANIFEST_HASH, Progress, ROWS, failed};
use crate::engine::{Filling, State};
use crate::mark::{Mark, Reached};
use crate::store::Store;
use crate::{Blobs, folder};

/// Bytes of the manifest: a line for each MiB of rows and each file.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of `about.json` and of the manifest's hash.
const SMALL_BYTES_MAX: u64 = 64 * 1024;
const COPY_BYTES: usize = 256 * 1024;

/// Where the store and the blobs of a restored folder lie, below the folder named by the caller.
#[derive(Debug)]
struct Staging {
    root: PathBuf,
    data: PathBuf,
    filling: Option<Filling>,
    blobs: Blobs,
}

/// Reads a backup to its end and compares it with its manifest.
///
/// # Errors
/// [`BackupError::Damaged`] names what is.
pub fn check(
    archive: &mut dyn Read,
    told: &mut dyn FnMut(Progress),
) -> Result<(About, Manifest), BackupError> {
    read(archive, None, told).map(|(about, manifest, _)| (about, manifest))
}

/// Makes `folder` of a backup: its files, and below `data` the store (`data/store`) and the blobs (`data/blobs`). Everything is written
/// beside it first, checked, and renamed at the end: after an error, or a kill, `folder` is as it was.
///
/// # Errors
/// The folder holds something, the backup is damaged, which is named, or the disk fails.
pub fn restore(
    archive: &mut dyn Read,
    folder: &Path,
    data: &str,
    told: &mut dyn FnMut(Progress),
) -> Result<(About, Manifest), BackupError> {
    let shown = folder.display().to_string();
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                return Err(BackupError::NotEmpty(folder.to_owned()));
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(BackupError::Io { what: shown, source }),
    }
    let parent = match folder.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let name = folder.file_name().map(|name| name.to_string_lossy().into_owned());
    let name = name.unwrap_or_else(|| "atelier".to_owned());
    fs::create_dir_all(parent).map_err(failed(parent.display().to_string()))?;
    let root = parent.join(format!(".{name}.restoring"));
    let lock_path = parent.join(format!(".{name}.restoring.lock"));
    let lock = File::options().create(true).truncate(false).write(true).open(&lock_path);
    let lock = lock.map_err(failed(lock_path.display().to_string()))?;
    if lock.try_lock().is_err() {
        return Err(BackupError::UnderWay(root));
    }
    // What a killed one left is of no use.
    remove(&root)?;
    let outcome = stage(archive, &root, data, told).and_then(|done| {
        sync_all(&root).map_err(failed(root.display().to_string()))?;
        fs::rename(&root, folder).map_err(failed(&shown))?;
        folder::sync(parent).map_err(failed(&shown))?;
        Ok(done)
    });
    if outcome.is_err() {
        remove(&root)?;
    }
    let _left_and_harmless = fs::remove_file(&lock_path);
    outcome
}

fn remove(root: &Path) -> Result<(), BackupError> {
    match fs::remove_dir_all(root) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(failed(root.display().to_string())(error))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn stage(
    archive: &mut dyn Read,
    root: &Path,
    data: &str,
    told: &mut dyn FnMut(Progress),
) -> Result<(About, Manifest), BackupError> {
    let data = root.join(data);
    let store = data.join("store");
    let making = || failed(root.display().to_string());
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&store).map_err(making())?;
    let filling = Filling::begin(&store.join("db"))?;
    let blobs = Blobs::open(data.join("blobs"))?;
    let staging = Staging { root: root.to_owned(), data, filling: Some(filling), blobs };
    let (about, manifest, staging) = read(archive, Some(staging), told)?;
    let Some(mut staging) = staging else { return Ok((about, manifest)) };
    let state = unhex(&manifest.state).and_then(|bytes| State::parse(&bytes).ok());
    let state = state.ok_or_else(|| BackupError::Damaged(format!("{MANIFEST} has no sums of the rows")))?;
    if let Some(filling) = staging.filling.take() {
        let length = filling.end(&state)?;
        Mark::open(&store, Reached { commit: state.commit, length }).map_err(making())?;
    }
    // Everything that was put there is what was taken out.
    let opened = Store::open_as_it_is(&store)?;
    opened.verify()?;
    Ok((about, manifest))
}

/// Reads all parts; gives them to `staging`, if there is one.
fn read(
    archive: &mut dyn Read,
    staging: Option<Staging>,
    told: &mut dyn FnMut(Progress),
) -> Result<(About, Manifest, Option<Staging>), BackupError> {
    let mut archive = tar::Archive::new(archive);
    let (mut about, mut manifest, mut confirmed) = (None, None, false);
    let mut seen: Vec<Entry> = Vec::new();
    let (mut ids, mut blobs, mut blob_bytes) = (blake3::Hasher::new(), 0, 0);
    let mut progress = Progress::default();
    for entry in archive.entries().map_err(broken(&seen))? {
        let mut entry = entry.map_err(broken(&seen))?;
        let name = entry.path().map_err(broken(&seen))?.to_string_lossy().into_owned();
        let size = entry.header().size().map_err(broken(&seen))?;
        if manifest.is_some() && name != MANIFEST_HASH || confirmed {
            return Err(BackupError::Damaged(format!("{name} lies behind its end")));
        }
        progress.bytes += size;
        if let Some(id) = name.strip_prefix(BLOBS) {
            let id: BlobId =
                id.parse().map_err(|_| BackupError::Damaged(format!("{name} is no blob's name")))?;
            blob(&mut entry, &name, &id, size, staging.as_ref())?;
            ids.update(&id.0);
            (blobs, blob_bytes) = (blobs + 1, blob_bytes + size);
            progress.blobs += 1;
            told(progress);
            continue;
        }
        let hash = match name.as_str() {
            MANIFEST_HASH => {
                let bytes = whole(&mut entry, &name, size, SMALL_BYTES_MAX)?;
                let (_, hash) = manifest
                    .as_ref()
                    .ok_or_else(|| BackupError::Damaged(format!("{name} comes too early")))?;
                confirmed = blake3::Hash::to_hex(hash).as_bytes() == bytes;
                if !confirmed {
                    return Err(BackupError::Damaged(format!("{MANIFEST} is not what was written")));
                }
                continue;
            }
            MANIFEST => {
                let bytes = whole(&mut entry, &name, size, MANIFEST_BYTES_MAX)?;
                let found: Manifest = serde_json::from_slice(&bytes)
                    .map_err(|error| BackupError::Damaged(format!("{MANIFEST}: {error}")))?;
                manifest = Some((found, blake3::hash(&bytes)));
                continue;
            }
            ABOUT => {
                let bytes = whole(&mut entry, &name, size, SMALL_BYTES_MAX)?;
                let found: About = serde_json::from_slice(&bytes)
                    .map_err(|error| BackupError::Damaged(format!("{ABOUT}: {error}")))?;
                found.check()?;
                about = Some(found);
                blake3::hash(&bytes)
            }
            _ if about.is_none() => return Err(not_ours()),
            rows if rows.starts_with(ROWS) => {
                let bytes = whole(&mut entry, &name, size, PART_BYTES_MAX)?;
                let changes = parse(&name, &bytes)?;
                if let Some(filling) = staging.as_ref().and_then(|staging| staging.filling.as_ref()) {
                    filling.put(&changes)?;
                }
                progress.rows += changes.len() as u64;
                blake3::hash(&bytes)
            }
            _ => file(&mut entry, &name, staging.as_ref())?,
        };
        seen.push(Entry { name, bytes: size, blake3: hash.to_hex().to_string() });
        told(progress);
    }
    let about = about.ok_or_else(not_ours)?;
    let Some((manifest, _)) = manifest.filter(|_| confirmed) else {
        let last = seen.last().map_or("its begin", |entry| entry.name.as_str());
        return Err(BackupError::Damaged(format!(
            "it is cut: it ends after {last}, without {MANIFEST_HASH}"
        )));
    };
    for (i, wanted) in manifest.entries.iter().enumerate() {
        match seen.get(i) {
            Some(found) if found == wanted => {}
            Some(found) if found.name == wanted.name => {
                return Err(BackupError::Damaged(format!("{} is not what was written", wanted.name)));
            }
            _ => return Err(BackupError::Damaged(format!("{} is missing", wanted.name))),
        }
    }
    if let Some(more) = seen.get(manifest.entries.len()) {
        return Err(BackupError::Damaged(format!("{} was not in it", more.name)));
    }
    let written = &manifest.blobs;
    if (blobs, blob_bytes) != (written.count, written.bytes)
        || ids.finalize().to_hex().as_str() != written.blake3
    {
        return Err(BackupError::Damaged(format!(
            "it has {blobs} blobs where {} were written, or others",
            written.count
        )));
    }
    Ok((about, manifest, staging))
}

fn not_ours() -> BackupError {
    BackupError::Damaged(format!(
        "it does not begin with {ABOUT}: it is no backup of atelier's, or it is empty"
    ))
}

/// What the archive's own frame shows.
fn broken(seen: &[Entry]) -> impl FnOnce(io::Error) -> BackupError + use<> {
    let after =
        seen.last().map_or_else(|| "at its begin".to_owned(), |entry| format!("after {}", entry.name));
    move |error| match error.kind() {
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::Other
        | io::ErrorKind::InvalidData
        | io::ErrorKind::InvalidInput => BackupError::Damaged(format!("it cannot be read {after}: {error}")),
        _ => failed("reading the backup")(error),
    }
}

/// A part as it is, within its bound.
fn whole(entry: &mut impl Read, name: &str, size: u64, max: u64) -> Result<Vec<u8>, BackupError> {
    if size > max {
        return Err(BackupError::Damaged(format!("{name} has {size} bytes where {max} are the most")));
    }
    let mut bytes = Vec::new();
    entry.take(max).read_to_end(&mut bytes).map_err(|error| cut(name, &error))?;
    if bytes.len() as u64 != size {
        return Err(BackupError::Damaged(format!("it is cut within {name}")));
    }
    Ok(bytes)
}

fn cut(name: &str, error: &io::Error) -> BackupError {
    BackupError::Damaged(format!("{name} cannot be read: {error}"))
}

fn blob(
    entry: &mut impl Read,
    name: &str,
    id: &BlobId,
    size: u64,
    staging: Option<&Staging>,
) -> Result<(), BackupError> {
    let mut writer = staging.map(|staging| staging.blobs.create("")).transpose().map_err(failed(name))?;
    let mut hasher = blake3::Hasher::new();
    let copied = copy(entry, name, &mut |bytes| {
        hasher.update(bytes);
        writer.as_mut().map_or(Ok(()), |writer| writer.append(bytes))
    })?;
    if copied != size || hasher.finalize() != blake3::Hash::from_bytes(id.0) {
        return Err(BackupError::Damaged(format!("{name} is not what was written")));
    }
    if let Some(writer) = writer {
        writer.finish().map_err(failed(name))?;
    }
    Ok(())
}

/// A file, or the journal, put where it belongs.
fn file(entry: &mut impl Read, name: &str, staging: Option<&Staging>) -> Result<blake3::Hash, BackupError> {
    let place = match (name.strip_prefix(FILES), staging) {
        (Some(path), staging) => {
            let path = Path::new(path);
            if path.components().any(|part| !matches!(part, Component::Normal(_))) {
                return Err(BackupError::Damaged(format!("{name} leads out of its folder")));
            }
            staging.map(|staging| staging.root.join(path))
        }
        (None, staging) if is_journal(name) => staging.map(|staging| staging.data.join("store").join(name)),
        (None, _) => {
            return Err(BackupError::Newer(format!(
                "{name} is not known to this program: restore with a newer one"
            )));
        }
    };
    let mut out = match &place {
        Some(place) => {
            let parent = place.parent().unwrap_or(place);
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(failed(name))?;
            Some(File::options().write(true).create_new(true).mode(0o600).open(place).map_err(failed(name))?)
        }
        None => None,
    };
    let mut hasher = blake3::Hasher::new();
    copy(entry, name, &mut |bytes| {
        hasher.update(bytes);
        out.as_mut().map_or(Ok(()), |out| out.write_all(bytes))
    })?;
    if let Some(out) = out {
        out.sync_all().map_err(failed(name))?;
    }
    Ok(hasher.finalize())
}

fn is_journal(name: &str) -> bool {
    let number = name.strip_prefix(JOURNAL).unwrap_or_default();
    !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
}

fn copy(
    entry: &mut impl Read,
    name: &str,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<u64, BackupError> {
    let mut buffer = vec![0; COPY_BYTES];
    let mut copied = 0;
    loop {
        let count = match entry.read(&mut buffer) {
            Ok(0) => return Ok(copied),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(cut(name, &error)),
        };
        out(&buffer[..count]).map_err(failed(name))?;
        copied += count as u64;
    }
}

/// Makes all folders durable: the files in them are.
fn sync_all(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_all(&entry.path())?;
        }
    }
    folder::sync(root)
}
