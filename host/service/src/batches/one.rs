//! One request of a batch, from its line to the row of its end.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::batch::{AnswerBody, Batch, EndedLine, LineEnd};
use atelier_domain::blob::BlobStore;
use atelier_domain::id::CallId;
use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::{BatchPorts, Inner, LineAnswer, LineRunner, lines};
use crate::ServiceError;
use crate::caller::{Caller, scope_of};
use crate::idempotency::{Effect, Entered, Ticket, When};

/// Under what a request's claim is kept, beside the batch and its line.
const ROUTE: &str = "BATCH";
/// How often a request is tried that was refused for the moment.
const ATTEMPTS_MAX: u32 = 20;
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// Bytes of an answer that is kept in its row.
const INLINE_BYTES_MAX: usize = 32 << 10;

/// What a request is run with.
pub(super) struct One {
    pub batch: Arc<Batch>,
    pub number: u32,
    pub line: Bytes,
    pub runner: Arc<dyn LineRunner>,
    /// Whether the batch is to end early.
    pub ending: watch::Receiver<bool>,
    /// Given up while it waits.
    pub place: Option<OwnedSemaphorePermit>,
}

impl Inner {
    /// Runs a request and notes its end. One that is neither begun nor noted is to be run another time, if there is one.
    pub(super) async fn run_one(self: Arc<Self>, mut one: One) -> Result<(), ServiceError> {
        let (custom_id, body) = match lines::parse(&one.line) {
            Ok(line) => (line.custom_id, line.body.get().to_owned()),
            Err(error) => return Err(ServiceError::Internal(format!("a line that was checked: {error}"))),
        };
        let request_id = format!("req_{}", CallId::new().simple());
        let key = format!("{}-{}", one.batch.id, one.number);
        let payload = blake3::hash(&one.line).to_hex().to_string();
        let idempotency = &self.ports.idempotency;
        let (answer, ticket) =
            match idempotency.enter(one.batch.owner, ROUTE, &key, payload, When::WithEffect).await {
                Ok(Entered::Handle(ticket)) => {
                    match self.answered(&mut one, body.into(), &ticket, &request_id).await? {
                        Some(answer) => (Some(answer), Some(ticket)),
                        None => return ticket.free().await,
                    }
                }
                Ok(Entered::Replay { answer, body }) => {
                    (Some(LineAnswer { status: answer.status, body, retry_after: None }), None)
                }
                Err(ServiceError::ClaimUnknown | ServiceError::AnswerNotKept) => (None, None),
                Err(error) => return Err(error),
            };
        self.note(&one, &custom_id, answer, &request_id).await;
        // Its end is on disk: the claim has done its work.
        if let Some(ticket) = ticket
            && let Err(error) = ticket.free().await
        {
            tracing::warn!(batch = %one.batch.id, %error, "the claim of an answered request stays until it expires");
        }
        Ok(())
    }

    /// The answer to a request; `None` if the batch ends before there is one.
    async fn answered(
        &self,
        one: &mut One,
        body: Bytes,
        ticket: &Ticket,
        request_id: &str,
    ) -> Result<Option<LineAnswer>, ServiceError> {
        let mut attempt = 1;
        loop {
            let answer = self.attempt(one, body.clone(), ticket, request_id).await;
            let Some(after) = answer.retry_after.filter(|_| attempt < ATTEMPTS_MAX) else {
                return Ok(Some(answer));
            };
            // A request that has left and may have been paid for stands, whatever its answer says.
            if ticket.effect() != Effect::None {
                return Ok(Some(answer));
            }
            let pause = PAUSE_MIN.saturating_mul(1 << attempt.min(6)).max(after).min(PAUSE_MAX);
            attempt += 1;
            one.place = None;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                _ = one.ending.wait_for(|ending| *ending) => return Ok(None),
            }
            one.place = Some(self.place().await?);
        }
    }

    pub(super) async fn place(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let place = self.places.clone().acquire_owned().await;
        place.map_err(|_| ServiceError::Internal("there are no places for requests any more".to_owned()))
    }

    async fn attempt(&self, one: &One, body: Bytes, ticket: &Ticket, request_id: &str) -> LineAnswer {
        let batch = &one.batch;
        let principal = match self.ports.accounts.principal(batch.owner, batch.key).await {
            Ok(principal) => principal,
            Err(error) => return one.runner.refused(error, request_id),
        };
        let caller = Caller {
            own_key: None,
            principal: Arc::new(principal),
            scope: scope_of(batch.owner),
            request_id: request_id.into(),
            depth: 0,
            keyed: Some(ticket.request()),
            trace: None,
        };
        one.runner.run(caller, batch.endpoint, body).await
    }

    /// Notes an end, however long storage takes: what was answered was paid for.
    async fn note(&self, one: &One, custom_id: &str, answer: Option<LineAnswer>, request_id: &str) {
        let answer = answer.map(|answer| (answer.status, json_text(answer.body)));
        loop {
            let (answer, row, number) = (answer.clone(), one.batch.id, one.number);
            let (custom_id, request_id) = (custom_id.to_owned(), request_id.to_owned());
            let BatchPorts { store, blobs, pool, .. } = &self.ports;
            let (store, blobs) = (store.clone(), blobs.clone());
            let noting = pool.run(move || -> Result<(), ServiceError> {
                let end = match answer {
                    None => unknown(),
                    Some((status, text)) => {
                        LineEnd::Answered { status, request_id, body: kept(&*blobs, text)? }
                    }
                };
                Ok(store.end_line(row, &EndedLine { number, custom_id, end })?)
            });
            let Err(error) = noting.await else { return };
            tracing::error!(batch = %row, line = number, %error, "an answer could not be kept; it is tried again");
            tokio::time::sleep(PAUSE_MIN).await;
        }
    }
}

/// An answer's body as JSON, whatever it is.
fn json_text(body: Vec<u8>) -> String {
    let text =
        String::from_utf8(body).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into());
    match serde_json::from_str::<&RawValue>(&text) {
        Ok(_) => text,
        Err(_) => serde_json::Value::from(text).to_string(),
    }
}

/// An answer's body as it is kept.
fn kept(blobs: &dyn BlobStore, text: String) -> std::io::Result<AnswerBody> {
    if text.len() <= INLINE_BYTES_MAX {
        return Ok(AnswerBody::Inline(text));
    }
    let mut writer = blobs.create("application/json")?;
    writer.append(text.as_bytes())?;
    let blob = writer.finish()?;
    Ok(AnswerBody::Blob { id: blob.id, size: blob.size })
}

fn unknown() -> LineEnd {
    let message = "the server stopped after the request may have left for its provider; it was not sent again, since it might be \
                   paid for twice";
    LineEnd::Unanswered { code: "outcome_unknown".to_owned(), message: message.to_owned() }
}
