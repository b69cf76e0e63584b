//! The making of a backup.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use atelier_domain::blob::BlobId;
use atelier_domain::store::StoreError;

use super::manifest::{About, BlobsWritten, Entry, Manifest, hex};
use super::rows::{PART_BYTES, Part};
use super::{ABOUT, BLOBS, BackupError, FILES, FORMAT, MANIFEST, MANIFEST_HASH, Progress, ROWS, failed};
use crate::Blobs;
use crate::engine::{Change, State, Walker};
use crate::schema::Table;
use crate::store::Store;

/// Only its owner may read what is unpacked.
const MODE: u32 = 0o600;
/// Missing blobs that the manifest names one by one.
const MISSING_MAX: usize = 1000;

/// What a backup is made of.
#[derive(Debug)]
pub struct Source<'a> {
    pub store: &'a Store,
    pub blobs: &'a Blobs,
    /// Files by their names in the restored folder.
    pub files: Vec<(String, PathBuf)>,
    /// Small files that lie nowhere, by their names in the restored folder.
    pub documents: Vec<(String, Vec<u8>)>,
    /// Whether secrets of the configuration are among them.
    pub with_secrets: bool,
    /// The version of the program.
    pub program: &'a str,
}

/// Writes a backup of what is there at the moment when the last row has been read. The store and the blobs can be used meanwhile; memory
/// does not grow with what there is. One that was not written to its end is refused by whoever reads it.
///
/// # Errors
/// The store is damaged, `out` or the disk fails, or more is changed meanwhile than can be kept.
pub fn write(
    source: &Source<'_>,
    out: &mut dyn Write,
    told: &mut dyn FnMut(Progress),
) -> Result<Manifest, BackupError> {
    let _kept = source.blobs.keep_all();
    let mut archive = Archive::new(out, told);
    let about = About {
        format: FORMAT,
        program: source.program.to_owned(),
        schema: source.store.schema_version()?,
        begun_ms: milliseconds(),
        with_secrets: source.with_secrets,
    };
    archive.put(ABOUT, &json(&about)?)?;
    for (name, bytes) in &source.documents {
        archive.put(&format!("{FILES}{name}"), bytes)?;
    }
    for (name, path) in &source.files {
        archive.put_file(&format!("{FILES}{name}"), path)?;
    }
    let names = source.store.unnamed_file().map_err(failed("a file for the names of blobs"))?;
    let mut rows = RowsWriter {
        store: source.store,
        archive,
        part: Part::default(),
        parts: 0,
        names,
        last: None,
        journal: Default::default(),
        failure: None,
    };
    let state = source.store.walk(&mut rows);
    let RowsWriter { mut archive, mut part, parts, names, journal, failure, .. } = rows;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let state = state?.ok_or_else(|| StoreError::Unavailable("the reading of rows was ended".to_owned()))?;
    if part.len() > 0 {
        archive.put(&format!("{ROWS}{:08}", parts + 1), &part.close())?;
    }
    archive.put(&journal.0, &journal.1)?;
    let blobs = copy_blobs(source.blobs, names, &mut archive)?;
    let manifest = Manifest {
        entries: std::mem::take(&mut archive.entries),
        blobs,
        rows: state.sums.rows(),
        commit: state.commit,
        state: hex(&state.to_bytes()),
    };
    let text = json(&manifest)?;
    archive.put(MANIFEST, &text)?;
    archive.put(MANIFEST_HASH, blake3::hash(&text).to_hex().as_bytes())?;
    archive.finish()?;
    Ok(manifest)
}

/// Takes rows while the store is used.
struct RowsWriter<'a> {
    store: &'a Store,
    archive: Archive<'a>,
    part: Part,
    parts: u64,
    /// The ids of blobs that rows name, one behind the other.
    names: File,
    last: Option<BlobId>,
    journal: (String, Vec<u8>),
    /// What went wrong besides the store.
    failure: Option<BackupError>,
}

impl RowsWriter<'_> {
    fn add(&mut self, change: &Change) -> Result<(), BackupError> {
        if change.table == Table::BlobNames
            && change.value.is_some()
            && let Some(id) = change.key.first_chunk().map(|id| BlobId(*id))
            && self.last != Some(id)
        {
            self.names.write_all(&id.0).map_err(failed("the names of blobs"))?;
            self.last = Some(id);
        }
        self.part.push(change);
        self.archive.progress.rows += 1;
        if self.part.len() >= PART_BYTES {
            self.parts += 1;
            self.archive.put(&format!("{ROWS}{:08}", self.parts), &self.part.close())?;
        }
        Ok(())
    }
}

impl Walker for RowsWriter<'_> {
    fn wants_rows(&self) -> bool {
        true
    }
    fn take(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        for change in changes {
            if let Err(error) = self.add(change) {
                let text = error.to_string();
                self.failure = Some(error);
                return Err(StoreError::Unavailable(text));
            }
        }
        Ok(())
    }
    fn goes_on(&mut self, _: Duration) -> bool {
        true
    }
    fn at_end(&mut self, _: &State) -> Result<(), StoreError> {
        self.journal = self.store.journal_tail()?;
        Ok(())
    }
}

fn copy_blobs(
    blobs: &Blobs,
    mut names: File,
    archive: &mut Archive<'_>,
) -> Result<BlobsWritten, BackupError> {
    let reading = || failed("the names of blobs");
    let mut left = names.stream_position().map_err(reading())? / 32;
    names.seek(SeekFrom::Start(0)).map_err(reading())?;
    let mut names = io::BufReader::new(names);
    let mut written = BlobsWritten::default();
    let mut ids = blake3::Hasher::new();
    while left > 0 {
        left -= 1;
        let mut id = BlobId([0; 32]);
        names.read_exact(&mut id.0).map_err(reading())?;
        match archive.put_blob(blobs, &id)? {
            Some(bytes) => {
                written.count += 1;
                written.bytes += bytes;
                ids.update(&id.0);
            }
            None if written.missing.len() < MISSING_MAX => written.missing.push(id.to_string()),
            None => {}
        }
    }
    written.blake3 = ids.finalize().to_hex().to_string();
    Ok(written)
}

/// The archive, and what was put into it.
struct Archive<'a> {
    tar: tar::Builder<&'a mut dyn Write>,
    entries: Vec<Entry>,
    progress: Progress,
    told: &'a mut dyn FnMut(Progress),
}

impl<'a> Archive<'a> {
    fn new(out: &'a mut dyn Write, told: &'a mut dyn FnMut(Progress)) -> Self {
        Self { tar: tar::Builder::new(out), entries: Vec::new(), progress: Progress::default(), told }
    }

    fn put(&mut self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        self.append(name, bytes.len() as u64, bytes).map_err(failed(name))?;
        self.entries.push(Entry {
            name: name.to_owned(),
            bytes: bytes.len() as u64,
            blake3: blake3::hash(bytes).to_hex().to_string(),
        });
        Ok(())
    }

    fn put_file(&mut self, name: &str, path: &std::path::Path) -> Result<(), BackupError> {
        let shown = path.display().to_string();
        let file = File::open(path).map_err(failed(&shown))?;
        let size = file.metadata().map_err(failed(&shown))?.len();
        let mut file = Hashing { inner: file, hasher: blake3::Hasher::new() };
        self.append(name, size, &mut file).map_err(failed(&shown))?;
        let blake3 = file.hasher.finalize().to_hex().to_string();
        self.entries.push(Entry { name: name.to_owned(), bytes: size, blake3 });
        Ok(())
    }

    /// `None` if it is gone or, as shows only now, damaged.
    fn put_blob(&mut self, blobs: &Blobs, id: &BlobId) -> Result<Option<u64>, BackupError> {
        let file = match blobs.file(id) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(BackupError::Io { what: format!("the blob {id}"), source }),
        };
        // Read twice, since what is written cannot be taken back.
        if !is_whole(&file, id).map_err(failed(format!("the blob {id}")))? {
            return Ok(None);
        }
        let size = file.metadata().map_err(failed(format!("the blob {id}")))?.len();
        self.append(&format!("{BLOBS}{id}"), size, file).map_err(failed(format!("the blob {id}")))?;
        self.progress.blobs += 1;
        Ok(Some(size))
    }

    fn append(&mut self, name: &str, size: u64, data: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(MODE);
        header.set_mtime(milliseconds() / 1000);
        // A file that became shorter meanwhile is filled up: its hash then tells.
        let whole = data.chain(io::repeat(0)).take(size);
        self.tar.append_data(&mut header, name, whole)?;
        self.progress.bytes += size;
        (self.told)(self.progress);
        Ok(())
    }

    fn finish(self) -> Result<(), BackupError> {
        let out = self.tar.into_inner().map_err(failed("the backup"))?;
        out.flush().map_err(failed("the backup"))
    }
}

struct Hashing<R> {
    inner: R,
    hasher: blake3::Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

fn is_whole(file: &File, id: &BlobId) -> io::Result<bool> {
    let mut hasher = blake3::Hasher::new();
    let mut reader = file;
    hasher.update_reader(&mut reader)?;
    reader.seek(SeekFrom::Start(0))?;
    Ok(hasher.finalize() == blake3::Hash::from_bytes(id.0))
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, BackupError> {
    serde_json::to_vec_pretty(value).map_err(|error| failed("the backup")(io::Error::other(error)))
}

fn milliseconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl Store {
    /// A file that has no name, and so is gone with its handle.
    fn unnamed_file(&self) -> io::Result<File> {
        let path = self.path().join("backup.names");
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        fs::remove_file(&path)?;
        Ok(file)
    }
}
