//! The files of a batch, written when it ends.

use std::io;
use std::time::Duration;

use atelier_domain::batch::{AnswerBody, Batch, BatchState, EndedLine, LineEnd};
use atelier_domain::blob::{Blob, BlobStore, BlobWriter};
use atelier_domain::file::{FileQuota, Purpose, StoredFile};
use atelier_domain::id::{CallId, FileId};
use serde_json::{Value, json};

use super::lines::{Lines, parse};
use super::{BatchPorts, Inner};
use crate::ServiceError;

/// Rows read at once.
const PAGE: usize = 64;
const FORGOTTEN_AT_ONCE: usize = 512;
const PIECE_BYTES: usize = 256 << 10;
const AHEAD_BYTES: usize = 1 << 20;

/// One of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Output,
    Error,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Output => "output",
            Kind::Error => "error",
        }
    }
}

type Writer = Box<dyn BlobWriter>;

impl Inner {
    /// Writes what a batch has made, once, and ends it. A crash in between is made good by doing it again.
    pub(super) async fn finish(
        &self,
        batch: Batch,
        input: Option<Blob>,
        end: BatchState,
    ) -> Result<(), ServiceError> {
        // Only what was not run in time is read again.
        let unrun = input.filter(|_| end == BatchState::Expired);
        let output = self.file(&batch, None, Kind::Output).await?;
        let error = self.file(&batch, unrun.as_ref(), Kind::Error).await?;
        loop {
            let (store, id) = (self.ports.store.clone(), batch.id);
            let forgotten = self.ports.pool.run(move || store.forget_lines(id, FORGOTTEN_AT_ONCE)).await?;
            if forgotten < FORGOTTEN_AT_ONCE {
                break;
            }
        }
        let now = self.ports.clock.now();
        self.change(batch.id, move |batch| {
            (batch.output_file, batch.error_file) = (output, error);
            batch.enter(end, now);
            true
        })
        .await?;
        Ok(())
    }

    /// The file of a kind, if there is anything to be in it: what has ended so, and what of `unrun` has not ended.
    async fn file(
        &self,
        batch: &Batch,
        unrun: Option<&Blob>,
        kind: Kind,
    ) -> Result<Option<FileId>, ServiceError> {
        let BatchPorts { files, blobs, pool, clock, .. } = &self.ports;
        // The same whenever it is written, so that it is there once.
        let id = FileId::derived(batch.created, &[batch.id.as_bytes(), kind.word().as_bytes()]);
        let (store, owner) = (files.clone(), batch.owner);
        if pool.run(move || store.file_of(owner, id)).await?.is_some() {
            return Ok(Some(id));
        }
        let create = blobs.clone();
        let mut writer: Writer = pool.run(move || create.create("")).await?;
        let mut bytes;
        (writer, bytes) = self.ended_lines(batch, kind, writer).await?;
        if let Some(unrun) = unrun {
            let more;
            (writer, more) = self.expired_lines(batch, unrun, writer).await?;
            bytes += more;
        }
        if bytes == 0 {
            return Ok(None);
        }
        let (store, batch, now) = (files.clone(), batch.clone(), clock.now());
        pool.run(move || -> Result<(), ServiceError> {
            let blob = writer.finish()?;
            let file = StoredFile {
                id,
                owner,
                blob: blob.id,
                size: blob.size,
                content_type: "application/jsonl".to_owned(),
                name: format!("batch_{}_{}.jsonl", batch.id.simple(), kind.word()),
                purpose: Purpose::BatchOutput,
                created: now,
                expires: batch.output_expires_after.map(|seconds| now.plus(Duration::from_secs(seconds))),
            };
            // What was answered was paid for: it is kept also where it fills more than the quota.
            Ok(store.create_file(&file, &FileQuota { bytes: u64::MAX, files: u64::MAX })?)
        })
        .await?;
        Ok(Some(id))
    }

    /// Writes the lines of a kind; gives how many bytes they have.
    async fn ended_lines(
        &self,
        batch: &Batch,
        kind: Kind,
        mut writer: Writer,
    ) -> Result<(Writer, u64), ServiceError> {
        let (mut after, mut bytes) = (0, 0);
        loop {
            let (store, blobs) = (self.ports.store.clone(), self.ports.blobs.clone());
            let row = batch.clone();
            let write = move || -> Result<_, ServiceError> {
                let page = store.ended_lines(row.id, after, PAGE)?;
                let mut written = 0;
                for line in page.iter().filter(|line| line.is_success() == (kind == Kind::Output)) {
                    written += ended_line(&row, line, &*blobs, &mut *writer)?;
                }
                Ok((writer, written, page.last().map(|line| line.number)))
            };
            let (written, last);
            (writer, written, last) = self.ports.pool.run(write).await?;
            bytes += written;
            match last {
                Some(last) => after = last,
                None => return Ok((writer, bytes)),
            }
        }
    }

    /// Writes the lines that were not answered in time.
    async fn expired_lines(
        &self,
        batch: &Batch,
        input: &Blob,
        mut writer: Writer,
    ) -> Result<(Writer, u64), ServiceError> {
        let ended = self.ended(batch.id).await?;
        let (mut lines, mut bytes) = (Lines::new(input.clone()), 0);
        let (row, pool) = (batch.clone(), &self.ports.pool);
        let write = move || -> Result<_, ServiceError> {
            loop {
                let page = lines.page(AHEAD_BYTES)?;
                if page.is_empty() {
                    return Ok((writer, bytes));
                }
                for (number, line) in page.into_iter().filter(|(number, _)| !ended.contains(number)) {
                    let custom_id = parse(&line).map(|line| line.custom_id).unwrap_or_default();
                    let (code, message) =
                        ("batch_expired", "the batch's time was over before the request was run");
                    let end = LineEnd::Unanswered { code: code.to_owned(), message: message.to_owned() };
                    let (head, tail) = around(&row, &EndedLine { number, custom_id, end });
                    bytes += append(&mut *writer, &[&head, &tail])?;
                }
            }
        };
        pool.run(write).await
    }
}

/// Writes a line of a result file (OpenAI API, batches: the request output object).
fn ended_line(
    batch: &Batch,
    line: &EndedLine,
    blobs: &dyn BlobStore,
    writer: &mut dyn BlobWriter,
) -> Result<u64, ServiceError> {
    let (head, tail) = around(batch, line);
    match &line.end {
        LineEnd::Unanswered { .. } => Ok(append(writer, &[&head, &tail])?),
        LineEnd::Answered { body: AnswerBody::Inline(body), .. } => {
            Ok(append(writer, &[&head, body, &tail])?)
        }
        LineEnd::Answered { body: AnswerBody::Blob { id, size }, .. } => {
            let blob = match blobs.open(id, "") {
                Ok(blob) => blob.filter(|blob| blob.size == *size),
                Err(error) if error.kind() == io::ErrorKind::InvalidData => None,
                Err(error) => return Err(error.into()),
            };
            let Some(blob) = blob else {
                tracing::error!(batch = %batch.id, line = line.number, blob = %id, "an answer of a batch is gone from storage");
                let (head, tail) = around(batch, &lost(line));
                return Ok(append(writer, &[&head, &tail])?);
            };
            writer.append(head.as_bytes())?;
            let mut offset = 0;
            while offset < blob.size {
                let piece = blob.read(offset, PIECE_BYTES)?;
                writer.append(&piece)?;
                offset += piece.len() as u64;
            }
            writer.append(tail.as_bytes())?;
            Ok((head.len() + tail.len()) as u64 + size)
        }
    }
}

/// A line whose answer is gone behind the host's back: the others are none the worse.
fn lost(line: &EndedLine) -> EndedLine {
    let (code, message) = ("content_missing", "the answer is gone from this server's storage");
    let end = LineEnd::Unanswered { code: code.to_owned(), message: message.to_owned() };
    EndedLine { end, ..line.clone() }
}

fn append(writer: &mut dyn BlobWriter, texts: &[&str]) -> io::Result<u64> {
    texts.iter().try_for_each(|text| writer.append(text.as_bytes()))?;
    Ok(texts.iter().map(|text| text.len() as u64).sum())
}

/// What stands before and behind the body of a line's answer.
fn around(batch: &Batch, line: &EndedLine) -> (String, String) {
    let id = CallId::derived(batch.created, &[batch.id.as_bytes(), &line.number.to_be_bytes()]);
    let custom_id = Value::from(line.custom_id.as_str());
    let head = format!("{{\"id\":\"batch_req_{}\",\"custom_id\":{custom_id},\"response\":", id.simple());
    match &line.end {
        LineEnd::Answered { status, request_id, .. } => {
            let request_id = Value::from(request_id.as_str());
            let head = format!("{head}{{\"status_code\":{status},\"request_id\":{request_id},\"body\":");
            (head, "},\"error\":null}\n".to_owned())
        }
        LineEnd::Unanswered { code, message } => {
            let error = json!({"code": code, "message": message});
            (format!("{head}null,\"error\":"), format!("{error}}}\n"))
        }
    }
}
