//! A connection's socket, which is given up when nobody is at its other end: nothing is said at first, or nothing is read.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// What an HTTP/2 connection begins with (RFC 9113 §3.4). Until a client has sent it, or what is no beginning of it, nobody knows what it
/// speaks, and no timer of either protocol runs.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The time until it is known what a client speaks.
struct Opening {
    deadline: Pin<Box<Sleep>>,
    /// Bytes of the preface that came.
    seen: usize,
}

impl Opening {
    /// Takes what came; `true` once it is known what is spoken.
    fn is_over(&mut self, bytes: &[u8]) -> bool {
        let wanted = &PREFACE[self.seen..];
        let count = bytes.len().min(wanted.len());
        self.seen += count;
        bytes.is_empty() || bytes[..count] != wanted[..count] || self.seen == PREFACE.len()
    }
}

/// A socket with deadlines.
pub(super) struct Socket {
    stream: TokioIo<TcpStream>,
    opening: Option<Opening>,
    stall_max: Duration,
    /// Runs while the client takes nothing of what waits for it.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    /// Over an accepted connection: its client says what it speaks within `opening_max`, and takes nothing for `stall_max` at most while
    /// something waits for it.
    pub(super) fn new(stream: TcpStream, opening_max: Duration, stall_max: Duration) -> Self {
        let opening = Opening { deadline: Box::pin(sleep(opening_max)), seen: 0 };
        Self { stream: TokioIo::new(stream), opening: Some(opening), stall_max, stalled: None }
    }

    /// A write that the system may not have taken.
    fn written(
        &mut self,
        context: &mut Context<'_>,
        outcome: Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if outcome.is_ready() {
            self.stalled = None;
            return outcome;
        }
        let stall_max = self.stall_max;
        let timer = self.stalled.get_or_insert_with(|| Box::pin(sleep(stall_max)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the client took nothing of what waits for it",
        )))
    }
}

impl Read for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(opening) = &mut this.opening else {
            return Pin::new(&mut this.stream).poll_read(context, buffer);
        };
        // What is not read now is read next time.
        let mut bytes = [0; PREFACE.len()];
        let count = bytes.len().min(buffer.remaining());
        let mut first = ReadBuf::new(&mut bytes[..count]);
        if Pin::new(this.stream.inner_mut()).poll_read(context, &mut first)?.is_pending() {
            ready!(opening.deadline.as_mut().poll(context));
            return Poll::Ready(Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client said nothing at first",
            )));
        }
        buffer.put_slice(first.filled());
        if opening.is_over(first.filled()) {
            this.opening = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write(context, bytes);
        this.written(context, outcome)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let outcome = Pin::new(&mut this.stream).poll_write_vectored(context, pieces);
        this.written(context, outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(context)
    }
}
