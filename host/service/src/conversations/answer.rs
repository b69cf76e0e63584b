//! An answer as it is made, stored before its reader learns of its end.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use atelier_domain::conversation::Exchanged;
use atelier_domain::generation::chat::{ChatEvent, FinishReason};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};

use super::draft::Draft;
use super::{ANSWER_BYTES_MAX, titles};
use crate::ServiceError;
use crate::caller::Caller;
use crate::generation::Live;

/// A step of an answer in a conversation.
#[derive(Clone, Debug)]
pub enum AnswerEvent {
    Text(String),
    Thinking(String),
    Refusal(String),
    /// It is stored, as it is here.
    Finished(Box<Exchanged>),
}

type Storing = BoxFuture<'static, Result<Draft, ServiceError>>;

enum Stage {
    Reading(Box<Draft>, Box<Live<ChatEvent>>),
    /// It is being stored; what it failed with is told after that.
    Storing(Storing),
    Done,
}

/// An answer that is being made. Dropping it ends its call at once, and keeps what came.
pub struct Answering {
    caller: Caller,
    /// As it is stored, the answer pending.
    begun: Exchanged,
    stage: Stage,
    provider_time: Duration,
    /// What [`Answering::begin`] has already taken.
    ahead: Option<Vec<AnswerEvent>>,
}

impl fmt::Debug for Answering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answering").field("answer", &self.begun.answer.id).finish_non_exhaustive()
    }
}

impl Answering {
    pub(super) fn new(caller: Caller, draft: Draft, live: Live<ChatEvent>) -> Self {
        let begun = draft.exchanged.clone();
        let stage = Stage::Reading(Box::new(draft), Box::new(live));
        Self { caller, begun, stage, provider_time: Duration::ZERO, ahead: None }
    }

    /// Question and pending answer, as they are stored.
    pub fn begun(&self) -> &Exchanged {
        &self.begun
    }

    /// How long the provider has taken so far.
    pub fn provider_time(&self) -> Duration {
        self.provider_time
    }

    /// Waits for the first events, so that an answer that fails at once fails with a status of its own.
    ///
    /// # Errors
    /// The provider's refusal, which is kept with the answer.
    pub async fn begin(mut self) -> Result<Self, ServiceError> {
        self.ahead = self.next().await.transpose()?;
        Ok(self)
    }

    /// Reads the answer to its end.
    ///
    /// # Errors
    /// The provider's failure, which is kept with the answer.
    pub async fn read(mut self) -> Result<(Exchanged, Duration), ServiceError> {
        while let Some(batch) = self.next().await {
            for event in batch? {
                if let AnswerEvent::Finished(exchanged) = event {
                    return Ok((*exchanged, self.provider_time));
                }
            }
        }
        Err(ServiceError::Internal("an answer ended without its end".to_owned()))
    }

    fn ended(&mut self, draft: Box<Draft>, error: Option<ServiceError>) {
        let storing = async move {
            match error {
                None => draft.complete().await,
                Some(error) => {
                    draft.fail(&error).await?;
                    Err(error)
                }
            }
        };
        self.stage = Stage::Storing(storing.boxed());
    }
}

impl Stream for Answering {
    type Item = Result<Vec<AnswerEvent>, ServiceError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        if let Some(batch) = this.ahead.take() {
            return Poll::Ready(Some(Ok(batch)));
        }
        loop {
            match std::mem::replace(&mut this.stage, Stage::Done) {
                Stage::Done => return Poll::Ready(None),
                Stage::Reading(mut draft, mut live) => match live.poll_next_unpin(cx) {
                    Poll::Pending => {
                        this.stage = Stage::Reading(draft, live);
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(Ok(batch))) => {
                        let events: Vec<_> =
                            batch.into_iter().filter_map(|event| take(&mut draft, event)).collect();
                        this.provider_time = live.elapsed();
                        if draft.bytes() > ANSWER_BYTES_MAX {
                            // Its call ends here, and is charged for what it has delivered.
                            drop(live);
                            draft.finish_reason = Some("length".to_owned());
                            this.ended(draft, None);
                        } else {
                            this.stage = Stage::Reading(draft, live);
                        }
                        if !events.is_empty() {
                            return Poll::Ready(Some(Ok(events)));
                        }
                    }
                    Poll::Ready(Some(Err(error))) => this.ended(draft, Some(error)),
                    Poll::Ready(None) => {
                        this.provider_time = live.elapsed();
                        this.ended(draft, None);
                    }
                },
                Stage::Storing(mut storing) => match storing.poll_unpin(cx) {
                    Poll::Pending => {
                        this.stage = Stage::Storing(storing);
                        return Poll::Pending;
                    }
                    Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error))),
                    Poll::Ready(Ok(draft)) => {
                        titles::begin(&this.caller, &draft);
                        let exchanged = Box::new(draft.exchanged.clone());
                        return Poll::Ready(Some(Ok(vec![AnswerEvent::Finished(exchanged)])));
                    }
                },
            }
        }
    }
}

/// Takes an event into the draft, and gives what its reader is told of it.
fn take(draft: &mut Draft, event: ChatEvent) -> Option<AnswerEvent> {
    match event {
        ChatEvent::Text(text) => {
            draft.text.push_str(&text);
            Some(AnswerEvent::Text(text))
        }
        ChatEvent::Thinking(thinking) => {
            draft.thinking.push_str(&thinking.text);
            (!thinking.text.is_empty()).then_some(AnswerEvent::Thinking(thinking.text))
        }
        ChatEvent::Refusal(text) => {
            draft.refusal.push_str(&text);
            Some(AnswerEvent::Refusal(text))
        }
        ChatEvent::Finished(reason) => {
            draft.finish_reason = Some(word(reason));
            None
        }
        ChatEvent::Usage(lines) => {
            draft.usage = lines;
            None
        }
        // A conversation offers no tools, and has no place for what a provider says beside its answer.
        ChatEvent::Started { .. }
        | ChatEvent::ToolCallStart { .. }
        | ChatEvent::ToolCallDelta { .. }
        | ChatEvent::Logprobs(_)
        | ChatEvent::Other(_) => None,
    }
}

/// The word for why an answer ended; a provider's own word is kept.
fn word(reason: FinishReason) -> String {
    match reason {
        FinishReason::Stop => "stop".to_owned(),
        FinishReason::Length => "length".to_owned(),
        FinishReason::ToolCalls => "tool_calls".to_owned(),
        FinishReason::ContentFilter => "content_filter".to_owned(),
        FinishReason::Other(word) => word,
    }
}
