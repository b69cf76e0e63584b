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
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};

use super::token_count::BYTES_PER_TOKEN;
use crate::ServiceError;
use crate::caller::Caller;
use crate::ledger::{ABANDONED, Admission, Charge};
use crate::meter::CallRecord;
use crate::registry::ModelEntry;

/// What measurement needs to know of an event.
pub trait LiveEvent: Send + Unpin + 'static {
    /// The totals that it reports.
    fn usage(&self) -> Option<&[UsageLine]>;
    /// Whether a stream without any such event was broken off.
    fn is_last(&self) -> bool;
    /// Bytes of text or sound that it delivers.
    fn delivered_bytes(&self) -> usize;
}

impl LiveEvent for ChatEvent {
    fn usage(&self) -> Option<&[UsageLine]> {
        if let ChatEvent::Usage(lines) = self { Some(lines) } else { None }
    }
    fn is_last(&self) -> bool {
        matches!(self, ChatEvent::Finished(_))
    }
    fn delivered_bytes(&self) -> usize {
        match self {
            ChatEvent::Text(text) | ChatEvent::Refusal(text) => text.len(),
            ChatEvent::Thinking(thinking) => thinking.text.len(),
            ChatEvent::ToolCallStart { name, .. } => name.len(),
            ChatEvent::ToolCallDelta { arguments, .. } => arguments.len(),
            ChatEvent::Started { .. }
            | ChatEvent::Logprobs(_)
            | ChatEvent::Finished(_)
            | ChatEvent::Usage(_)
            | ChatEvent::Other(_) => 0,
        }
    }
}
impl LiveEvent for SpeechEvent {
    fn usage(&self) -> Option<&[UsageLine]> {
        if let SpeechEvent::Finished(lines) = self { Some(lines) } else { None }
    }
    fn is_last(&self) -> bool {
        matches!(self, SpeechEvent::Finished(_))
    }
    fn delivered_bytes(&self) -> usize {
        if let SpeechEvent::Audio(audio) = self { audio.len() } else { 0 }
    }
}
impl LiveEvent for TranscriptionEvent {
    fn usage(&self) -> Option<&[UsageLine]> {
        if let TranscriptionEvent::Finished(transcript) = self { Some(&transcript.usage) } else { None }
    }
    fn is_last(&self) -> bool {
        matches!(self, TranscriptionEvent::Finished(_))
    }
    fn delivered_bytes(&self) -> usize {
        if let TranscriptionEvent::Text(text) = self { text.len() } else { 0 }
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
    call: Call<T>,
    /// What is set aside for it; taken when it is recorded.
    charge: Option<Charge>,
    delivered_bytes: u64,
    /// What [`Live::begin`] has already taken.
    ahead: Option<Vec<T>>,
}

/// Asks the provider.
type Begin<T> = Box<dyn FnOnce() -> EventStream<T> + Send>;

/// Where a call stands.
enum Call<T> {
    /// Its money is being set aside; nobody was asked yet.
    Waiting(BoxFuture<'static, Result<Charge, ServiceError>>, Option<Begin<T>>),
    Going(EventStream<T>),
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
        admission: Admission,
        begin: impl FnOnce() -> EventStream<T> + Send + 'static,
    ) -> Self {
        let (call, charge) = match admission {
            Admission::Now(charge) => (Call::Going(begin()), Some(charge)),
            Admission::Later(charge) => (Call::Waiting(charge, Some(Box::new(begin))), None),
        };
        Self {
            model,
            caller: caller.clone(),
            task,
            started,
            first: None,
            usage: Vec::new(),
            finished: false,
            outcome: None,
            call,
            charge,
            delivered_bytes: 0,
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

    fn word(&self) -> &'static str {
        let unread = if self.finished { "ok" } else { ABANDONED };
        self.outcome.unwrap_or(unread)
    }

    /// Charges and records what was delivered: once, and before whoever reads it learns of its end (L-3).
    fn record(&mut self) {
        if let Some(charge) = self.charge.take() {
            charge.record(self.word(), &self.usage, self.delivered_bytes.div_ceil(BYTES_PER_TOKEN));
        }
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
            self.delivered_bytes += event.delivered_bytes() as u64;
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
        let events = match &mut this.call {
            Call::Going(events) => events,
            Call::Waiting(charge, begin) => match ready!(charge.poll_unpin(cx)) {
                Ok(charge) => {
                    this.charge = Some(charge);
                    let begin = begin.take().expect("it waits once");
                    this.call = Call::Going(begin());
                    return Pin::new(this).poll_next(cx);
                }
                Err(error) => {
                    this.outcome = Some("refused");
                    return Poll::Ready(Some(Err(error)));
                }
            },
        };
        match ready!(events.poll_next_unpin(cx)) {
            Some(Ok(batch)) => {
                this.note(&batch);
                Poll::Ready(Some(Ok(batch)))
            }
            Some(Err(error)) => {
                this.outcome = Some(error.kind());
                this.record();
                Poll::Ready(Some(Err(error.into())))
            }
            None if this.finished => {
                this.outcome = Some("ok");
                this.record();
                Poll::Ready(None)
            }
            None => {
                this.outcome = Some("broken-off");
                this.record();
                Poll::Ready(Some(Err(this.broken_off())))
            }
        }
    }
}

impl<T: LiveEvent> Drop for Live<T> {
    fn drop(&mut self) {
        // A reader may stop after the last event without waiting for the end of the stream.
        self.record();
        self.model.meter().ended(&CallRecord {
            caller: &self.caller,
            model: self.model.id.as_str(),
            task: self.task,
            outcome: self.word(),
            duration: self.started.elapsed(),
            first: self.first,
            usage: &self.usage,
        });
    }
}
