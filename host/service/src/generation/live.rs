//! A provider's events with their measurement: whoever reads or drops them, the call is recorded once.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatEvent, FinishReason};
use atelier_domain::generation::speech::SpeechEvent;
use atelier_domain::generation::transcription::TranscriptionEvent;
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::Task;
use atelier_domain::provider::EventStream;
use atelier_domain::trace::{Span, Trace};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};

use super::token_count::BYTES_PER_TOKEN;
use super::traced;
use crate::ServiceError;
use crate::caller::Caller;
use crate::ledger::{ABANDONED, Admission, Charge, Expected, Sent};
use crate::meter::CallRecord;
use crate::own_keys;
use crate::registry::ModelEntry;

/// What measurement needs to know of an event.
pub trait LiveEvent: Send + Unpin + 'static {
    /// The totals that it reports.
    fn usage(&self) -> Option<&[UsageLine]>;
    /// Whether a stream without any such event was broken off.
    fn is_last(&self) -> bool;
    /// Bytes of text or sound that it delivers.
    fn delivered_bytes(&self) -> usize;
    /// The model that answers, as its provider names it.
    fn model(&self) -> Option<&str> {
        None
    }
    /// Why the answer ended.
    fn finish(&self) -> Option<&FinishReason> {
        None
    }
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
    fn model(&self) -> Option<&str> {
        if let ChatEvent::Started { model, .. } = self { Some(model) } else { None }
    }
    fn finish(&self) -> Option<&FinishReason> {
        if let ChatEvent::Finished(reason) = self { Some(reason) } else { None }
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
    /// Who may step in as long as nothing has come; absent where nobody may.
    relief: Option<Box<Relief<T>>>,
    /// Of the model that is being asked, where the request is traced.
    span: Option<Span>,
}

/// Who may step in for a model that fails.
pub(super) struct Relief<T> {
    pub sent: Arc<Sent>,
    /// The next one first.
    pub others: VecDeque<Other<T>>,
}

/// A model that may step in.
pub(super) struct Other<T> {
    pub model: Arc<ModelEntry>,
    pub expected: Expected,
    pub begin: Begin<T>,
}

/// Asks the provider, within a span.
pub(super) type Begin<T> = Box<dyn FnOnce(Option<Trace>) -> EventStream<T> + Send>;

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
        begin: impl FnOnce(Option<Trace>) -> EventStream<T> + Send + 'static,
    ) -> Self {
        let (call, charge, span) = match admission {
            Admission::Now(charge) => {
                let span = traced::call(caller, &model, task);
                (Call::Going(begin(traced::within(span.as_ref()))), Some(charge), span)
            }
            Admission::Later(charge) => (Call::Waiting(charge, Some(Box::new(begin))), None, None),
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
            relief: None,
            span,
        }
    }

    /// Lets others step in.
    pub(super) fn relieved_by(mut self, relief: Relief<T>) -> Self {
        self.relief = Some(Box::new(relief));
        self
    }

    /// Has the next one step in for a model that failed; `false` if nobody may.
    fn is_relieved(&mut self, error: &ProviderError) -> bool {
        let Some(relief) = self.relief.as_mut().filter(|_| self.first.is_none()) else { return false };
        if !relief.sent.lets_another_try(error) {
            return false;
        }
        let Some(other) = relief.others.pop_front() else { return false };
        relief.sent.begin_anew();
        self.measure(error.kind());
        tracing::info!(
            request_id = &*self.caller.request_id,
            failed = self.model.id.as_str(),
            error = error.kind(),
            next = other.model.id.as_str(),
            "another model steps in"
        );
        if let Some(charge) = &mut self.charge {
            charge.retarget(&other.model, other.expected);
        }
        self.model = other.model;
        self.go(other.begin);
        true
    }

    /// Asks the model that it is about now.
    fn go(&mut self, begin: Begin<T>) {
        self.span = traced::call(&self.caller, &self.model, self.task);
        self.call = Call::Going(begin(traced::within(self.span.as_ref())));
    }

    fn measure(&mut self, outcome: &'static str) {
        traced::ended(self.span.take(), outcome, &self.usage);
        self.model.meter().ended(&CallRecord {
            caller: &self.caller,
            model: self.model.id.as_str(),
            task: self.task,
            outcome,
            duration: self.started.elapsed(),
            first: self.first,
            usage: &self.usage,
        });
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
        if let Some(span) = &mut self.span {
            for event in batch {
                if let Some(model) = event.model() {
                    span.set_with("gen_ai.response.model", || model.to_owned());
                }
                if let Some(reason) = event.finish() {
                    traced::finished(span, reason);
                }
            }
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
                    this.go(begin);
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
            Some(Err(error)) if this.is_relieved(&error) => Pin::new(this).poll_next(cx),
            Some(Err(error)) => {
                this.outcome = Some(error.kind());
                this.record();
                Poll::Ready(Some(Err(own_keys::failed(error, &this.model))))
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
        self.measure(self.word());
    }
}
