//! What a blocking thread writes, handed over to an answer's body while it is written: as fast as it is taken, and no faster.

use std::fmt;
use std::io::{self, Write};

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::stream;
use tokio::sync::mpsc;

/// Bytes handed over at once.
const PIECE_BYTES: usize = 256 * 1024;
/// Pieces that wait for their reader.
const PIECES_MAX: usize = 4;

/// Where a blocking thread writes. What it writes once nobody takes it any more fails.
#[derive(Debug)]
pub(crate) struct Pieces {
    to: mpsc::Sender<io::Result<Bytes>>,
    waiting: BytesMut,
    bytes: u64,
}

/// What comes of it.
#[derive(Debug)]
pub(crate) struct Taken(mpsc::Receiver<io::Result<Bytes>>);

/// Ends what is written with an error.
#[derive(Debug)]
pub(crate) struct Breaker(mpsc::Sender<io::Result<Bytes>>);

impl Breaker {
    /// So that whoever reads does not take what there is for the whole.
    pub(crate) fn break_off(&self, why: &dyn fmt::Display) {
        // Nobody may be there any more to be told.
        let _told_or_gone = self.0.blocking_send(Err(io::Error::other(why.to_string())));
    }
}

impl Pieces {
    pub(crate) fn new() -> (Self, Taken) {
        let (to, taken) = mpsc::channel(PIECES_MAX);
        (Self { to, waiting: BytesMut::new(), bytes: 0 }, Taken(taken))
    }

    /// How many were handed over.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What can end it with an error, wherever the rest of it is.
    pub(crate) fn breaker(&self) -> Breaker {
        Breaker(self.to.clone())
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let piece = self.waiting.split().freeze();
        if piece.is_empty() {
            return Ok(());
        }
        self.bytes += piece.len() as u64;
        let gone = |_| io::Error::new(io::ErrorKind::BrokenPipe, "nobody takes it any more");
        self.to.blocking_send(Ok(piece)).map_err(gone)
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(PIECE_BYTES);
        self.waiting.extend_from_slice(&bytes[..count]);
        if self.waiting.len() >= PIECE_BYTES {
            self.hand_over()?;
        }
        Ok(count)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.hand_over()
    }
}

impl From<Taken> for Body {
    fn from(taken: Taken) -> Self {
        Body::from_stream(stream::unfold(taken.0, |mut pieces| async move {
            pieces.recv().await.map(|piece| (piece, pieces))
        }))
    }
}
