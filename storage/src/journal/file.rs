//! One file of the journal: a head with its number, then records, each behind its frame.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use atelier_domain::store::StoreError;

use crate::engine::unavailable;
use crate::folder;

const PREFIX: &str = "journal.";
const OLDER_NAME: &str = "journal";
const MAGIC: &[u8; 8] = b"atelierj";
pub(super) const HEAD_BYTES: u64 = 16;
/// Before each record: its length, a checksum of that, and one of the record.
pub(super) const FRAME_BYTES: usize = 16;
/// Bytes of a record.
pub(super) const RECORD_BYTES_MAX: usize = 64 * 1024;

/// A file's name, and with it its number.
pub(super) fn name(generation: u64) -> String {
    format!("{PREFIX}{generation}")
}

/// How a file begins.
pub(super) fn head(generation: u64) -> Vec<u8> {
    [&MAGIC[..], &generation.to_be_bytes()].concat()
}

pub(super) fn path(parent: &Path, generation: u64) -> PathBuf {
    parent.join(name(generation))
}

/// The numbers of the files in a folder, in order. What a creation left behind that was not ended is removed.
pub(super) fn list(parent: &Path) -> Result<Vec<u64>, StoreError> {
    adopt_older(parent).map_err(unavailable)?;
    let mut found = Vec::new();
    for entry in std::fs::read_dir(parent).map_err(unavailable)? {
        let name = entry.map_err(unavailable)?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.strip_prefix(PREFIX)) else { continue };
        match number.parse() {
            Ok(generation) => found.push(generation),
            Err(_) if number.ends_with(".new") => {
                std::fs::remove_file(parent.join(&name)).map_err(unavailable)?
            }
            Err(_) => {}
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Gives the one file of the older form, whose number stood in its head alone, its name.
fn adopt_older(parent: &Path) -> io::Result<()> {
    let older = parent.join(OLDER_NAME);
    let mut bytes = Vec::new();
    match File::open(&older) {
        Ok(file) => file.take(HEAD_BYTES).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    match bytes.split_first_chunk::<8>() {
        Some((MAGIC, number)) if number.len() == 8 => {
            let generation = number.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte));
            std::fs::rename(&older, path(parent, generation))?;
        }
        // It was being made, and had no record yet.
        _ => std::fs::remove_file(&older)?,
    }
    folder::sync(parent)
}

/// Makes a file, durably: it is there with its head, or not at all. Gives it with its end as the place to write to.
pub(super) fn create(parent: &Path, generation: u64) -> Result<File, StoreError> {
    folder::replace(parent, &name(generation), &head(generation)).map_err(unavailable)?;
    let mut file =
        OpenOptions::new().read(true).write(true).open(path(parent, generation)).map_err(unavailable)?;
    file.seek(SeekFrom::End(0)).map_err(unavailable)?;
    Ok(file)
}

/// Removes a file that is in the books.
pub(super) fn remove(parent: &Path, generation: u64) -> Result<(), StoreError> {
    std::fs::remove_file(path(parent, generation)).map_err(unavailable)
}

/// Opens a file and finds where its last whole record ends, reading from `offset`; nothing that was acknowledged is behind that. An `offset`
/// behind the file's end is given as it is: the database has more than reached the disk of the file.
pub(super) fn open(parent: &Path, generation: u64, offset: u64) -> Result<(File, u64), StoreError> {
    let path = path(parent, generation);
    let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(unavailable)?;
    let length = file.metadata().map_err(unavailable)?.len();
    let mut head = [0; HEAD_BYTES as usize];
    if length < HEAD_BYTES {
        return Err(damaged(&path, "its head is gone"));
    }
    file.read_exact(&mut head).map_err(unavailable)?;
    let (magic, number) = head.split_at(MAGIC.len());
    if magic != MAGIC || number != generation.to_be_bytes() {
        return Err(damaged(&path, "its head is unreadable"));
    }
    file.seek(SeekFrom::Start(offset)).map_err(unavailable)?;
    let mut end = offset;
    while end < length {
        match next(&path, &mut file, length - end)? {
            Found::Record(record) => end += (FRAME_BYTES + record.len()) as u64,
            Found::Torn => break,
        }
    }
    Ok((file, end))
}

/// A record in its frame.
pub(super) fn framed(record: &[u8]) -> Result<Vec<u8>, StoreError> {
    if record.len() > RECORD_BYTES_MAX {
        let size = record.len();
        return Err(StoreError::Unavailable(format!(
            "a record of the journal may have {RECORD_BYTES_MAX} bytes; this has {size}"
        )));
    }
    let mut frame = Vec::with_capacity(FRAME_BYTES + record.len());
    let size = u32::try_from(record.len()).unwrap_or(u32::MAX).to_be_bytes();
    frame.extend_from_slice(&size);
    frame.extend_from_slice(&checksum::<4>(&size));
    frame.extend_from_slice(&checksum::<8>(record));
    frame.extend_from_slice(record);
    Ok(frame)
}

pub(super) enum Found {
    Record(Vec<u8>),
    /// The file ends within it.
    Torn,
}

/// The next record, with so many bytes left in the file.
pub(super) fn next(path: &Path, file: &mut impl Read, left: u64) -> Result<Found, StoreError> {
    if left < FRAME_BYTES as u64 {
        return Ok(Found::Torn);
    }
    let mut frame = [0; FRAME_BYTES];
    file.read_exact(&mut frame).map_err(unavailable)?;
    if frame == [0; FRAME_BYTES] {
        // A file system may show zeroes where data did not reach the disk, and nothing else behind them.
        let mut rest = Vec::new();
        file.by_ref().take(left).read_to_end(&mut rest).map_err(unavailable)?;
        let is_empty = rest.iter().all(|byte| *byte == 0);
        return if is_empty { Ok(Found::Torn) } else { Err(damaged(path, "a record has no length")) };
    }
    let (size, sums) = frame.split_at(4);
    let (of_size, of_record) = sums.split_at(4);
    // With a length that is believed, an end within the record is the end of the file and nothing else.
    if checksum::<4>(size) != of_size {
        return Err(damaged(path, "the length of a record is not what was written"));
    }
    let size = size.as_array().map_or(0, |bytes| u32::from_be_bytes(*bytes)) as usize;
    if size > RECORD_BYTES_MAX {
        return Err(damaged(path, "a record is too long to be one"));
    }
    if left < (FRAME_BYTES + size) as u64 {
        return Ok(Found::Torn);
    }
    let mut record = vec![0; size];
    file.read_exact(&mut record).map_err(unavailable)?;
    if checksum::<8>(&record) != of_record {
        return Err(damaged(path, "a record is not what was written"));
    }
    Ok(Found::Record(record))
}

fn checksum<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut sum = [0; N];
    sum.copy_from_slice(&blake3::hash(bytes).as_bytes()[..N]);
    sum
}

pub(super) fn damaged(path: &Path, why: &str) -> StoreError {
    StoreError::Damaged(format!(
        "the journal of live calls, {}: {why}: restore the newest backup",
        path.display()
    ))
}
