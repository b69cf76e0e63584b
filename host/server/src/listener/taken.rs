//! Answers over HTTP/2 that their client does not take.
//!
//! There a client holds back one answer by giving its stream no window, while the connection lives and its pings are answered: nothing
//! waits in the socket, and the answer's body is asked for nothing more. Whatever makes the body is then let go.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use hyper::body::{Body as _, Frame, SizeHint};
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// Bytes of a whole answer that is in memory already: it holds nothing that others wait for.
const SMALL_BYTES: u64 = 64 * 1024;

#[derive(Debug)]
struct Answer {
    /// Absent once it was let go.
    body: Option<Body>,
    /// Since when a piece is with the connection and no other was asked for.
    given: Option<Instant>,
}

/// The body of an answer that is watched while it is taken.
#[derive(Debug)]
struct Watched {
    answer: Arc<Mutex<Answer>>,
    watch: AbortHandle,
}

/// Lets an answer's body go when its client has asked for nothing of it for so long.
pub(super) fn within(stall_max: Duration, response: Response) -> Response {
    if response.body().size_hint().upper().is_some_and(|size| size <= SMALL_BYTES) {
        return response;
    }
    response.map(|body| {
        let answer = Arc::new(Mutex::new(Answer { body: Some(body), given: None }));
        let watch = tokio::spawn(watch(answer.clone(), stall_max)).abort_handle();
        Body::new(Watched { answer, watch })
    })
}

async fn watch(answer: Arc<Mutex<Answer>>, stall_max: Duration) {
    loop {
        let given = lock(&answer).given.unwrap_or_else(Instant::now);
        tokio::time::sleep_until(given + stall_max).await;
        let mut held = lock(&answer);
        if held.given == Some(given) {
            let left = held.body.take();
            drop(held);
            tracing::debug!("an answer was let go: its client did not take it");
            return drop(left);
        }
    }
}

/// A body that panicked is not asked again.
fn lock(answer: &Mutex<Answer>) -> MutexGuard<'_, Answer> {
    answer.lock().unwrap_or_else(PoisonError::into_inner)
}

impl hyper::body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut answer = lock(&self.answer);
        answer.given = None;
        let Some(body) = &mut answer.body else {
            // No end: it would pass for that of a whole answer.
            let error =
                std::io::Error::new(std::io::ErrorKind::TimedOut, "the client did not take the answer");
            return Poll::Ready(Some(Err(axum::Error::new(error))));
        };
        let frame = ready!(Pin::new(body).poll_frame(context));
        answer.given = frame.is_some().then(Instant::now);
        Poll::Ready(frame)
    }

    fn size_hint(&self) -> SizeHint {
        lock(&self.answer).body.as_ref().map(hyper::body::Body::size_hint).unwrap_or_default()
    }

    fn is_end_stream(&self) -> bool {
        lock(&self.answer).body.as_ref().is_some_and(hyper::body::Body::is_end_stream)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watch.abort();
    }
}
