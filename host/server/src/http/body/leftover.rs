//! What a refused request still sends.
//!
//! A connection that is closed while its client sends is reset, and what was answered on it is lost with it. So what is left of a refused
//! body is read, for a moment, before the answer is given.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::HeaderMap;
use http::header::EXPECT;
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt as _;

/// How long a refused body is read on. A client that sends for longer finds its connection closed.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// A request's body, for whoever handles it, of which the gate keeps the other end.
#[derive(Clone, Debug)]
pub(in crate::http) struct Leftover {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    body: Body,
    /// It is sent: the client does not wait to be told to.
    is_sent: bool,
    has_ended: bool,
}

impl Leftover {
    pub(in crate::http) fn of(body: Body, headers: &HeaderMap) -> Self {
        let has_ended = HttpBody::is_end_stream(&body);
        let state = State { body, is_sent: !headers.contains_key(EXPECT), has_ended };
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// The body, to be read from the beginning.
    pub(in crate::http) fn body(&self) -> Body {
        Body::new(self.clone())
    }

    /// Reads what is left, and drops it. A client that waits to be told to send its body (RFC 9110 §10.1.1) is not told to.
    pub(in crate::http) async fn drain(mut self) {
        {
            let state = self.state();
            if state.has_ended || !state.is_sent {
                return;
            }
        }
        let rest = async { while let Some(Ok(_)) = self.frame().await {} };
        let _ended_or_not = tokio::time::timeout(DRAIN_MAX, rest).await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A body that panicked is not read on by anybody, whatever it was about to do.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpBody for Leftover {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut state = self.state();
        state.is_sent = true;
        let polled = Pin::new(&mut state.body).poll_frame(context);
        if matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            state.has_ended = true;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.state().body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.state().body)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::stream;
    use http::HeaderValue;

    use super::*;

    const PIECES: usize = 100;

    /// A body in pieces, which counts those that were read.
    fn counted() -> (Body, Arc<AtomicUsize>) {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        let pieces = (0..PIECES).map(move |_| {
            counted.fetch_add(1, Ordering::Relaxed);
            Ok::<_, axum::Error>(Bytes::from_static(b"piece"))
        });
        (Body::from_stream(stream::iter(pieces)), count)
    }

    #[tokio::test]
    async fn a_refused_body_is_read_to_its_end() {
        let (body, count) = counted();
        let leftover = Leftover::of(body, &HeaderMap::new());
        let mut handled = leftover.body();
        let first = handled.frame().await.expect("a piece").expect("whole").into_data().expect("data");
        assert_eq!((first.as_ref(), count.load(Ordering::Relaxed)), (b"piece".as_slice(), 1));
        drop(handled);
        leftover.drain().await;
        assert_eq!(count.load(Ordering::Relaxed), PIECES);
    }

    #[tokio::test]
    async fn a_client_that_waits_for_leave_is_not_made_to_send_what_is_refused() {
        let expects = HeaderMap::from_iter([(EXPECT, HeaderValue::from_static("100-continue"))]);
        let (body, count) = counted();
        Leftover::of(body, &expects).drain().await;
        assert_eq!(count.load(Ordering::Relaxed), 0);
        let (body, count) = counted();
        let leftover = Leftover::of(body, &expects);
        assert!(leftover.body().frame().await.is_some(), "it was told to send");
        leftover.drain().await;
        assert_eq!(count.load(Ordering::Relaxed), PIECES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_without_end_is_left_in_time() {
        let endless = stream::repeat_with(|| Ok::<_, axum::Error>(Bytes::from_static(b"x")));
        let slow = futures::StreamExt::then(endless, |piece| async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            piece
        });
        Leftover::of(Body::from_stream(slow), &HeaderMap::new()).drain().await;
    }
}
