//! An answer is given and kept at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use atelier_domain::idempotency::KeptAnswer;
use atelier_service::idempotency::Ticket;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::response::Parts;
use tokio::sync::mpsc::error::SendTimeoutError;
use tokio::sync::{mpsc, oneshot};

use super::{keyed, replayed, settle};
use crate::http::{ApiError, Dialect, Reply};

/// Pieces of a streamed answer that wait for a slow client.
const PIECES_HELD_MAX: usize = 16;

type Told = oneshot::Sender<Result<Reply, ApiError>>;

/// How a request's answer is kept.
#[derive(Debug)]
pub(super) struct Recorder {
    pub dialect: Dialect,
    pub request_id: Arc<str>,
    pub request_max: Duration,
    /// How long a client may take nothing of a streamed answer that waits for it.
    pub stall_max: Duration,
    pub keeps_body: bool,
    pub body_bytes_max: usize,
}

impl Recorder {
    /// Handles a request to its end. Its answer is kept before the client has all of it, so that whoever has seen an answer gets the
    /// same one again.
    pub(super) async fn run(
        self,
        handling: impl Future<Output = Result<Reply, ApiError>>,
        ticket: Ticket,
        tell: Told,
    ) {
        let outcome = match tokio::time::timeout(self.request_max, handling).await {
            Ok(outcome) => outcome,
            Err(_) => Err(ApiError::TimedOut),
        };
        match outcome {
            Ok(reply) => {
                let reply = if ticket.is_repetition() { replayed(reply) } else { reply };
                self.give(reply, ticket, tell).await;
            }
            Err(error) => {
                let (head, body) = error.respond(self.dialect, &self.request_id).into_parts();
                let mut copy = self.copy();
                // An error is one piece in memory.
                if let Ok(bytes) = axum::body::to_bytes(body, self.body_bytes_max).await {
                    copy.add(&bytes);
                }
                let error = keyed(error, head.status, &ticket);
                settle(ticket, kept(&head), copy.whole()).await;
                // Nobody may be waiting any more.
                let _ = tell.send(Err(error));
            }
        }
    }

    async fn give(self, reply: Reply, ticket: Ticket, tell: Told) {
        let Reply { response, provider_time, is_stream } = reply;
        let (head, body) = response.into_parts();
        let answer = kept(&head);
        let mut copy = self.copy();
        let mut pieces = body.into_data_stream();
        if !is_stream {
            let mut whole = Vec::new();
            while let Some(piece) = pieces.next().await {
                match piece {
                    Ok(piece) => {
                        copy.add(&piece);
                        whole.push(Ok(piece));
                    }
                    Err(error) => {
                        copy.spoil();
                        whole.push(Err(error));
                        break;
                    }
                }
            }
            settle(ticket, answer, copy.whole()).await;
            let body = match whole.len() {
                0 => Body::empty(),
                1 if whole[0].is_ok() => Body::from(whole.remove(0).unwrap_or_default()),
                _ => Body::from_stream(stream::iter(whole)),
            };
            let _ =
                tell.send(Ok(Reply { response: Response::from_parts(head, body), provider_time, is_stream }));
            return;
        }
        let (sender, receiver) = mpsc::channel::<Result<Bytes, axum::Error>>(PIECES_HELD_MAX);
        let is_cut = Arc::new(AtomicBool::new(false));
        let response = Response::from_parts(head, relayed(receiver, is_cut.clone()));
        // A client that has left is noticed at the first piece.
        let _ = tell.send(Ok(Reply { response, provider_time, is_stream }));
        let mut client = Some(sender);
        while let Some(piece) = pieces.next().await {
            match &piece {
                Ok(piece) => copy.add(piece),
                Err(_) => copy.spoil(),
            }
            let is_last = piece.is_err();
            if let Some(sender) = &client
                && let Err(unsent) = sender.send_timeout(piece, self.stall_max).await
            {
                // The provider's answer is not held up by who does not take it.
                is_cut.store(matches!(unsent, SendTimeoutError::Timeout(_)), Ordering::Relaxed);
                client = None;
            }
            if is_last {
                break;
            }
        }
        settle(ticket, answer, copy.whole()).await;
        // Only now does the answer end.
        drop(client);
    }

    fn copy(&self) -> Copy {
        Copy { bytes: self.keeps_body.then(Vec::new), max: self.body_bytes_max }
    }
}

/// What a client is given of a streamed answer. One that was cut short has no end, which would pass for that of a whole answer.
fn relayed(receiver: mpsc::Receiver<Result<Bytes, axum::Error>>, is_cut: Arc<AtomicBool>) -> Body {
    Body::from_stream(stream::unfold(Some(receiver), move |receiver| {
        let is_cut = is_cut.clone();
        async move {
            let mut receiver = receiver?;
            match receiver.recv().await {
                Some(piece) => Some((piece, Some(receiver))),
                None if is_cut.load(Ordering::Relaxed) => {
                    let why = io::Error::new(io::ErrorKind::TimedOut, "the client did not take the answer");
                    Some((Err(axum::Error::new(why)), None))
                }
                None => None,
            }
        }
    }))
}

/// A copy of a body, as long as there is one to be had.
struct Copy {
    bytes: Option<Vec<u8>>,
    max: usize,
}

impl Copy {
    fn add(&mut self, piece: &[u8]) {
        match &mut self.bytes {
            Some(bytes) if bytes.len() + piece.len() <= self.max => bytes.extend_from_slice(piece),
            Some(_) => self.bytes = None,
            None => {}
        }
    }

    /// It did not end well, which cannot be given again.
    fn spoil(&mut self) {
        self.bytes = None;
    }

    fn whole(self) -> Option<Vec<u8>> {
        self.bytes
    }
}

/// The head that a handler made: what the gate adds belongs to each answer of its own.
fn kept(head: &Parts) -> KeptAnswer {
    let headers = head
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    KeptAnswer { status: head.status.as_u16(), headers: headers.collect(), has_body: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_over_its_bound_is_none() {
        let mut copy = Copy { bytes: Some(Vec::new()), max: 4 };
        copy.add(b"ab");
        copy.add(b"cd");
        assert_eq!(copy.bytes.as_deref(), Some(&b"abcd"[..]));
        copy.add(b"e");
        copy.add(b"f");
        assert_eq!(copy.whole(), None);
    }

    #[tokio::test]
    async fn an_answer_that_was_cut_short_has_no_end() {
        for is_cut in [false, true] {
            let (sender, receiver) = mpsc::channel(4);
            let body = relayed(receiver, Arc::new(AtomicBool::new(is_cut)));
            sender.send(Ok(Bytes::from_static(b"a"))).await.expect("taken");
            drop(sender);
            assert_eq!(axum::body::to_bytes(body, 10).await.is_err(), is_cut);
        }
    }
}
