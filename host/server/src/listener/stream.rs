//! A connection as HTTP reads and writes it, with TLS or without. It is given up when its client says nothing at first.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tokio_rustls::server::TlsStream;

use super::socket::Socket;

/// What an HTTP/2 connection begins with (RFC 9113 §3.4). Until a client has sent it, or what is no beginning of it, nobody knows what it
/// speaks, and no timer of either protocol runs.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The way to a client.
pub(super) enum Way {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

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

/// A connection.
pub(super) struct Stream {
    way: TokioIo<Way>,
    opening: Option<Opening>,
}

impl Stream {
    /// Its client says what it speaks within `opening_max`.
    pub(super) fn new(way: Way, opening_max: Duration) -> Self {
        let opening = Opening { deadline: Box::pin(sleep(opening_max)), seen: 0 };
        Self { way: TokioIo::new(way), opening: Some(opening) }
    }
}

impl Read for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let Some(opening) = &mut this.opening else {
            return Pin::new(&mut this.way).poll_read(context, buffer);
        };
        // What is not read now is read next time.
        let mut bytes = [0; PREFACE.len()];
        let count = bytes.len().min(buffer.remaining());
        let mut first = ReadBuf::new(&mut bytes[..count]);
        if Pin::new(this.way.inner_mut()).poll_read(context, &mut first)?.is_pending() {
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

impl Write for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().way).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().way).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.way.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().way).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().way).poll_shutdown(context)
    }
}

impl AsyncRead for Way {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Way {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_write_vectored(context, pieces),
            Self::Tls(stream) => Pin::new(stream).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
