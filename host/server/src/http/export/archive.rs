//! A ZIP archive (PKWARE's APPNOTE 6.3) that is written from its beginning to its end: sizes follow each entry, the table of
//! contents comes last.

use std::io::{self, Write as _};

use atelier_domain::blob::Blob;
use serde::Serialize;
use zip::write::{SimpleFileOptions, StreamWriter, ZipWriter};
use zip::{CompressionMethod, DateTime};

use crate::pieces::Pieces;

const PIECE_BYTES: usize = 256 * 1024;
/// Content is mostly compressed already.
const CONTENT_LEVEL: i64 = 1;

/// An archive in the making.
pub(super) struct Archive {
    zip: ZipWriter<StreamWriter<Pieces>>,
}

fn options() -> SimpleFileOptions {
    SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        // Times are in the documents; those of ZIP know no time zone.
        .last_modified_time(DateTime::default())
        .large_file(true)
        .unix_permissions(0o600)
}

impl Archive {
    pub(super) fn new(out: Pieces) -> Self {
        Self { zip: ZipWriter::new_stream(out) }
    }

    /// Begins an entry; what is written goes there until the next one.
    pub(super) fn entry(&mut self, name: &str) -> io::Result<()> {
        Ok(self.zip.start_file(name, options())?)
    }

    pub(super) fn text(&mut self, text: &str) -> io::Result<()> {
        self.zip.write_all(text.as_bytes())
    }

    /// One JSON object and the end of its line.
    pub(super) fn line(&mut self, object: &impl Serialize) -> io::Result<()> {
        serde_json::to_writer(&mut self.zip, object)?;
        self.zip.write_all(b"\n")
    }

    /// An entry with a blob's bytes. `Err` within: it could not be read to its end, and the entry has what there was.
    pub(super) fn content(&mut self, name: &str, blob: &Blob) -> io::Result<io::Result<()>> {
        self.zip.start_file(name, options().compression_level(Some(CONTENT_LEVEL)))?;
        let mut offset = 0;
        while offset < blob.size {
            let max = usize::try_from(blob.size - offset).unwrap_or(usize::MAX).min(PIECE_BYTES);
            let piece = match blob.read(offset, max) {
                Ok(piece) if piece.is_empty() => return Ok(Err(io::ErrorKind::UnexpectedEof.into())),
                Ok(piece) => piece,
                Err(error) => return Ok(Err(error)),
            };
            self.zip.write_all(&piece)?;
            offset += piece.len() as u64;
        }
        Ok(Ok(()))
    }

    /// Writes the table of contents, without which an archive is none; gives how many bytes it has.
    pub(super) fn finish(self) -> io::Result<u64> {
        let mut out = self.zip.finish()?.into_inner();
        out.flush()?;
        Ok(out.bytes())
    }
}
