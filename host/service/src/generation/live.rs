//! A provider's events with their measurement: whoever reads or drops them, the call is recorded once.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use atelier_domain::generation::chat::ChatEvent;
use atelier_domain::generation::speech::SpeechEvent;
use atelier_domain::generation::transcription::TranscriptionEvent;
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::Task;
use atelier_domain::provider::EventStream;
use futures::{Stream, StreamExt};

use crate::ServiceError;
use crate::caller::Caller;
use crate::meter::CallRecord;
use crate::registry::ModelEntry;

/// What measurement needs to know of an event.
pub trait LiveEvent: Send + Unpin + 'static {
    /// The totals that it reports.
    fn usage(&self) -> Option<&[UsageLine]>;
    /// Whether a stream without any such event was broken off.
    fn is_last(&self) -> bool;
}

impl LiveEvent for ChatEvent {
    fn usage(&self) -> Option<&[UsageLine]> {
        if let ChatEvent::Usage(lines) = self { Some(lines) } else { None }
    }
    fn is_last(&self) -> bool {
        matches!(self, ChatEvent::Finished(_))
    }
}
impl LiveEvent for SpeechEvent {
    fn usage(&self) -> Option<&[UsageLine]> {
        if let SpeechEvent::Finished(lines) = self { Some(lines) } else { None }
    }
    fn is_last(&self) -> bool {
        matches!(self, SpeechEvent::Finished(_))
    }
}
impl LiveEvent for TranscriptionEvent {
    fn usage(&self) -> Option<&[UsageLine]> {
        if let TranscriptionEvent::Finished(transcript) = self { Some(&transcript.usage) } else { None }
    }
    fn is_last(&self) -> bool {
        matches!(self, TranscriptionEvent::Finished(_))
    }
}

/// The events of a live call. It ends after the first error; dropping it ends the call at once.
pub struct Live<T: LiveEvent> {
    pub model: Arc<ModelEntry>,
    caller: Caller,
    task: Task,
    started: Instant,
    first: Option<Duration>,
    usage: Vec<UsageLine>,
    finished: bool,
    outcome: Option<&'static str>,
    events: EventStream<T>,
    /// What [`Live::begin`] has already taken.
    ahead: Option<Vec<T>>,
}

impl<T: LiveEvent> std::fmt::Debug for Live<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("model", &self.model.id)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl<T: LiveEvent> Live<T> {
    pub(super) fn new(
        caller: &Caller,
        model: Arc<ModelEntry>,
        task: Task,
        started: Instant,
        events: EventStream<T>,
    ) -> Self {
        Self {
            model,
            caller: caller.clone(),
            task,
            started,
            first: None,
            usage: Vec::new(),
            finished: false,
            outcome: None,
            events,
            ahead: None,
        }
    }

    /// Waits for the first events, so that a call that fails at once fails with a status of its own.
    ///
    /// # Errors
    /// The provider's refusal.
    pub async fn begin(mut self) -> Result<Self, ServiceError> {
        match self.next().await {
            Some(Ok(batch)) => {
                self.ahead = Some(batch);
                Ok(self)
            }
            Some(Err(error)) => Err(error),
            None => Err(self.broken_off()),
        }
    }

    /// How long the call has taken so far.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn broken_off(&self) -> ServiceError {
        ServiceError::AnswerBrokenOff { instance: self.model.id.instance().to_owned() }
    }

    fn note(&mut self, batch: &[T]) {
        if self.first.is_none() {
            self.first = Some(self.started.elapsed());
        }
        for event in batch {
            if let Some(lines) = event.usage() {
                self.usage.clear();
                self.usage.extend_from_slice(lines);
            }
            self.finished |= event.is_last();
        }
    }
}

impl<T: LiveEvent> Stream for Live<T> {
    type Item = Result<Vec<T>, ServiceError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(batch) = this.ahead.take() {
            return Poll::Ready(Some(Ok(batch)));
        }
        if this.outcome.is_some() {
            return Poll::Ready(None);
        }
        match ready!(this.events.poll_next_unpin(cx)) {
            Some(Ok(batch)) => {
                this.note(&batch);
                Poll::Ready(Some(Ok(batch)))
            }
            Some(Err(error)) => {
                this.outcome = Some(error.kind());
                Poll::Ready(Some(Err(error.into())))
            }
            None if this.finished => {
                this.outcome = Some("ok");
                Poll::Ready(None)
            }
            None => {
                this.outcome = Some("broken-off");
                Poll::Ready(Some(Err(this.broken_off())))
            }
        }
    }
}

impl<T: LiveEvent> Drop for Live<T> {
    fn drop(&mut self) {
        // A reader may stop after the last event without waiting for the end of the stream.
        let unread = if self.finished { "ok" } else { "abandoned" };
        self.model.meter().ended(&CallRecord {
            caller: &self.caller,
            model: self.model.id.as_str(),
            task: self.task,
            outcome: self.outcome.unwrap_or(unread),
            duration: self.started.elapsed(),
            first: self.first,
            usage: &self.usage,
        });
    }
}
