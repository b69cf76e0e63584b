//! The body on the wire: paced, cut or endless, and watched to its end.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use crate::connection::ResetSwitch;
use crate::journal::{Ending, Entry};

/// How the body ends.
#[derive(Debug)]
pub(crate) enum Last {
    /// In order.
    Finish,
    /// With a reset connection.
    Cut(ResetSwitch),
    /// Not at all: the client has to give up.
    Never,
}

/// How fast and in what sizes the pieces go out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Pacing {
    /// Pause before each piece but the first, in milliseconds.
    pub interval_ms: u64,
    /// Largest piece, in bytes; larger ones are split.
    pub piece_bytes_max: Option<usize>,
}

/// A response body that tells the journal how it ended.
#[derive(Debug)]
pub(crate) struct MockBody {
    pieces: VecDeque<Bytes>,
    /// A piece sent over and over until so many bytes went out, before the last of `pieces`.
    repeat: Option<(Bytes, u64)>,
    last: Last,
    pacing: Pacing,
    pause: Option<Pin<Box<Sleep>>>,
    started: bool,
    flushed: bool,
    /// The `content-length` announced, which a cut body does not reach.
    announced: Option<u64>,
    entry: Option<Entry>,
}

impl MockBody {
    pub fn new(pieces: VecDeque<Bytes>, last: Last, pacing: Pacing, announced: Option<u64>) -> Self {
        Self {
            pieces,
            repeat: None,
            last,
            pacing,
            pause: None,
            started: false,
            flushed: false,
            announced,
            entry: None,
        }
    }

    pub fn repeating(mut self, piece: Bytes, total_bytes: u64) -> Self {
        self.repeat = Some((piece, total_bytes));
        self
    }

    /// Have the journal told when this body ends.
    pub fn watched(mut self, mut entry: Entry) -> Self {
        if self.is_end_stream() {
            entry.close(Ending::Complete);
        }
        self.entry = Some(entry);
        self
    }

    /// The body of an answer that has none on the wire, such as one to HEAD.
    pub fn skip(mut self) -> Self {
        if let Some(entry) = &mut self.entry {
            entry.close(Ending::Complete);
        }
        self
    }

    fn next_piece(&mut self) -> Option<Bytes> {
        if let Some((piece, left)) = self.repeat.as_mut().filter(|_| self.started || self.pieces.len() < 2) {
            if *left >= piece.len() as u64 {
                *left -= piece.len() as u64;
                return Some(piece.clone());
            }
            self.repeat = None;
        }
        let most = self.pacing.piece_bytes_max.unwrap_or(usize::MAX);
        let front = self.pieces.front_mut()?;
        if front.len() > most {
            return Some(front.split_to(most));
        }
        self.pieces.pop_front()
    }

    fn end(&mut self, ending: Ending) {
        if let Some(entry) = &mut self.entry {
            entry.close(ending);
        }
    }
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Some(pause) = &mut this.pause {
            ready!(pause.as_mut().poll(cx));
            this.pause = None;
        }
        if let Some(piece) = this.next_piece() {
            this.started = true;
            if this.pacing.interval_ms > 0 {
                this.pause = Some(Box::pin(sleep(Duration::from_millis(this.pacing.interval_ms))));
            }
            if this.is_end_stream() {
                this.end(Ending::Complete);
            }
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        match &this.last {
            Last::Finish => {
                this.end(Ending::Complete);
                Poll::Ready(None)
            }
            Last::Never => Poll::Pending,
            Last::Cut(_) if !this.flushed => {
                // Give the connection a turn to write what it buffered: the client is to see the first half.
                this.flushed = true;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Last::Cut(switch) => {
                switch.pull();
                this.end(Ending::Cut);
                Poll::Ready(Some(Err(io::ErrorKind::ConnectionReset.into())))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty() && self.repeat.is_none() && matches!(self.last, Last::Finish)
    }

    fn size_hint(&self) -> SizeHint {
        self.announced.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
