//! What a form's reader is handed of its body, so that what it gathers before it has a field is bounded.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use futures::Stream;

/// Bytes of a form that are in no field: what comes before its first boundary, its boundaries, and the heads of its parts.
pub(super) const OVERHEAD_BYTES_MAX: usize = 64 * 1024;
/// Handed over at once: as much may lie in the reader and belong to a field already.
const ROUND_BYTES: usize = 16 * 1024;

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, axum::Error>> + Send>>;

/// Too much of a form is in no field.
#[derive(Debug, thiserror::Error)]
#[error("more than {OVERHEAD_BYTES_MAX} bytes are in no field")]
pub(super) struct Overhead;

/// What the body broke with, or what it was refused for.
pub(super) type IntakeError = Box<dyn std::error::Error + Send + Sync>;

/// What is known of a form that is being read, on both sides of its reader.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Handed to the reader, and in no field so far.
    untaken: AtomicUsize,
    /// The reader is inside a field, whose bytes it gives on as they come.
    is_in_field: AtomicBool,
}

impl Progress {
    /// From now on the reader looks for the next field, or reads one.
    pub(super) fn is_in_field(&self, inside: bool) {
        self.is_in_field.store(inside, Ordering::Relaxed);
    }

    /// A field was given so many bytes.
    pub(super) fn took(&self, bytes: usize) {
        self.untaken.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// A form's body on its way to its reader.
///
/// The reader looks through all that it has whenever there is more. So while it looks for a field it is handed more only when that is a
/// good part of what it has: all its looks together are then in proportion to what it reads, however small the pieces are that come.
pub(super) struct Intake {
    pieces: Pieces,
    progress: Arc<Progress>,
    /// What is not handed over yet.
    waiting: BytesMut,
    /// Handed over since the reader last looked.
    handed: usize,
    has_ended: bool,
}

impl Intake {
    pub(super) fn new(
        pieces: impl Stream<Item = Result<Bytes, axum::Error>> + Send + 'static,
        progress: Arc<Progress>,
    ) -> Self {
        Self { pieces: Box::pin(pieces), progress, waiting: BytesMut::new(), handed: 0, has_ended: false }
    }

    /// Hands over what waits, as much as there may be in one round.
    fn hand_over(&mut self) -> Bytes {
        let count = self.waiting.len().min(ROUND_BYTES - self.handed);
        self.handed += count;
        self.progress.untaken.fetch_add(count, Ordering::Relaxed);
        self.waiting.split_to(count).freeze()
    }
}

impl Stream for Intake {
    type Item = Result<Bytes, IntakeError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if this.handed >= ROUND_BYTES {
            // It asks until there is nothing: this is where it looks.
            this.handed = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            let untaken = this.progress.untaken.load(Ordering::Relaxed);
            let is_in_field = this.progress.is_in_field.load(Ordering::Relaxed);
            let (wanted, max) = if is_in_field {
                (1, usize::MAX)
            } else {
                ((untaken / 4).max(1), OVERHEAD_BYTES_MAX + ROUND_BYTES)
            };
            if this.waiting.len() >= wanted || (this.has_ended && !this.waiting.is_empty()) {
                if untaken >= max {
                    return Poll::Ready(Some(Err(Overhead.into())));
                }
                return Poll::Ready(Some(Ok(this.hand_over())));
            }
            if this.has_ended {
                if this.handed > 0 {
                    // Told of the end before it has looked, it takes what it has for all of a broken form.
                    this.handed = 0;
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
                return Poll::Ready(None);
            }
            match this.pieces.as_mut().poll_next(context) {
                Poll::Ready(Some(Ok(piece))) => this.waiting.extend_from_slice(&piece),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Ready(None) => this.has_ended = true,
                Poll::Pending => {
                    this.handed = 0;
                    return Poll::Pending;
                }
            }
        }
    }
}
