//! Bodies of outgoing requests: bytes, blobs and blobs in base64, joined while they are sent. The length is always known.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use atelier_domain::blob::Blob;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::task::JoinHandle;

/// Bytes read from a blob at a time: a multiple of three, so that base64 chunks join without padding.
const CHUNK_BYTES: usize = 48 * 1024;

/// A piece of a body.
#[derive(Clone, Debug)]
pub enum Segment {
    Bytes(Bytes),
    /// A range of a blob: offset and length within its size.
    Blob(Blob, u64, u64),
    /// The same in base64.
    Base64(Blob, u64, u64),
}

impl Segment {
    fn wire_length(&self) -> u64 {
        match self {
            Segment::Bytes(bytes) => bytes.len() as u64,
            Segment::Blob(_, _, length) => *length,
            Segment::Base64(_, _, length) => length.div_ceil(3) * 4,
        }
    }
}

/// A body on its way out.
#[derive(Debug, Default)]
pub struct OutgoingBody {
    segments: VecDeque<Segment>,
    left: u64,
    reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl OutgoingBody {
    /// One piece.
    pub fn full(bytes: Bytes) -> Self {
        Self::from_segments([Segment::Bytes(bytes)])
    }

    /// Several pieces.
    pub fn from_segments(segments: impl IntoIterator<Item = Segment>) -> Self {
        let segments: VecDeque<_> =
            segments.into_iter().filter(|segment| segment.wire_length() > 0).collect();
        let left = segments.iter().map(Segment::wire_length).sum();
        Self { segments, left, reading: None }
    }

    /// The same body, as long as nothing of it has been sent.
    pub(super) fn copy(&self) -> Self {
        Self { segments: self.segments.clone(), left: self.left, reading: None }
    }

    /// Whether nothing of it lies in a file.
    pub(super) fn is_in_memory(&self) -> bool {
        self.segments.iter().all(|segment| match segment {
            Segment::Bytes(_) => true,
            Segment::Blob(blob, ..) | Segment::Base64(blob, ..) => blob.is_in_memory(),
        })
    }

    /// Reads it to its end as it would be sent. Blocks where a part lies in a file.
    ///
    /// # Errors
    /// The disk is failing.
    pub(super) fn read_chunks(mut self, mut chunk: impl FnMut(&[u8])) -> io::Result<()> {
        while let Some(next) = self.next_chunk() {
            match next {
                Ok(bytes) => chunk(&bytes),
                Err((blob, offset, length, encode)) => chunk(&read_chunk(&blob, offset, length, encode)?),
            }
        }
        Ok(())
    }

    /// Bytes still to be sent.
    pub fn length(&self) -> u64 {
        self.left
    }

    /// The next chunk's source: from memory at once, from a file by a blocking thread.
    fn next_chunk(&mut self) -> Option<Result<Bytes, (Blob, u64, usize, bool)>> {
        let segment = self.segments.pop_front()?;
        let (blob, offset, length, encode) = match segment {
            Segment::Bytes(bytes) => return Some(Ok(bytes)),
            Segment::Blob(blob, offset, length) => (blob, offset, length, false),
            Segment::Base64(blob, offset, length) => (blob, offset, length, true),
        };
        let now = usize::try_from(length).unwrap_or(usize::MAX).min(CHUNK_BYTES);
        let rest = length - now as u64;
        if rest > 0 {
            let next = offset + now as u64;
            let make = if encode { Segment::Base64 } else { Segment::Blob };
            self.segments.push_front(make(blob.clone(), next, rest));
        }
        Some(Err((blob, offset, now, encode)))
    }
}

fn read_chunk(blob: &Blob, offset: u64, length: usize, encode: bool) -> io::Result<Bytes> {
    let bytes = blob.read(offset, length)?;
    if bytes.len() != length {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the blob is shorter than it was"));
    }
    Ok(if encode { Bytes::from(STANDARD.encode(&bytes)) } else { bytes })
}

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let this = &mut *self;
        let chunk = if let Some(reading) = &mut this.reading {
            let joined = ready!(Pin::new(reading).poll(cx));
            this.reading = None;
            joined.map_err(io::Error::other).and_then(|read| read)
        } else {
            match this.next_chunk() {
                None => return Poll::Ready(None),
                Some(Ok(bytes)) => Ok(bytes),
                Some(Err((blob, offset, length, encode))) if blob.is_in_memory() => {
                    read_chunk(&blob, offset, length, encode)
                }
                Some(Err((blob, offset, length, encode))) => {
                    this.reading =
                        Some(tokio::task::spawn_blocking(move || read_chunk(&blob, offset, length, encode)));
                    return self.poll_frame(cx);
                }
            }
        };
        if let Ok(bytes) = &chunk {
            this.left = this.left.saturating_sub(bytes.len() as u64);
        }
        Poll::Ready(Some(chunk.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt as _;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_blob_in_base64_is_what_encoding_it_whole_gives(size in 0usize..200_000, offset in 0u64..1000) {
            let bytes: Vec<u8> = (0..size).map(|i| (i * 7 % 251) as u8).collect();
            let blob = Blob::in_memory("image/png", bytes.clone().into());
            let offset = offset.min(size as u64);
            let body = OutgoingBody::from_segments([
                Segment::Bytes(Bytes::from_static(b"\"")),
                Segment::Base64(blob, offset, size as u64 - offset),
            ]);
            let length = body.length();
            let sent = futures::executor::block_on(body.collect()).expect("sent").to_bytes();
            prop_assert_eq!(length, sent.len() as u64);
            let expected = STANDARD.encode(&bytes[usize::try_from(offset).expect("small")..]);
            prop_assert_eq!(&sent[1..], expected.as_bytes());
        }
    }
}
