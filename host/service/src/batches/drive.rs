//! Driving batches from state to state. Each step begins with what the row says, so that a restart goes on where it stopped.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::batch::{Batch, BatchState, Mistake};
use atelier_domain::blob::Blob;
use atelier_domain::id::BatchId;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::lines::{Checked, Lines, check};
use super::one::One;
use super::{BatchPorts, Batches, Inner, LineRunner};
use crate::ServiceError;
use crate::files::opened;

/// Lines read ahead, in bytes: of every batch that is driven.
const AHEAD_BYTES: usize = 64 << 10;
/// Numbers of lines read at once.
const NUMBERS_PAGE: usize = 4_096;
/// How long a batch rests whose storage failed.
const PAUSE: Duration = Duration::from_secs(5);

/// Why no more requests are begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Halt {
    /// All have ended.
    Done,
    Cancelled,
    Expired,
    /// The server stops.
    Stopped,
}

impl Batches {
    /// Drives all batches until told to stop; requests under way are then waited for, for a while.
    pub async fn run(&self, runner: Arc<dyn LineRunner>, mut stopped: watch::Receiver<bool>) {
        let mut driving = JoinSet::new();
        loop {
            if let Err(error) = self.begin(&runner, &stopped, &mut driving).await {
                tracing::error!(%error, "open batches could not be read; it is tried again");
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.inner.waiting.notified() => {}
                _ = stopped.wait_for(|stop| *stop) => break,
            }
            while let Some(ended) = driving.try_join_next() {
                told(ended);
            }
        }
        for ending in self.inner.driven().values() {
            ending.send_replace(true);
        }
        let ended = async {
            while let Some(ended) = driving.join_next().await {
                told(ended);
            }
        };
        if tokio::time::timeout(self.inner.limits.drain_max, ended).await.is_err() {
            tracing::warn!("requests of batches were cut off: their outcome is unknown");
        }
    }

    async fn begin(
        &self,
        runner: &Arc<dyn LineRunner>,
        stopped: &watch::Receiver<bool>,
        driving: &mut JoinSet<()>,
    ) -> Result<(), ServiceError> {
        let (store, max) = (self.inner.ports.store.clone(), self.inner.limits.open_max);
        let open = self.inner.ports.pool.run(move || store.open_batches(max)).await?;
        for batch in open {
            let ending = {
                let mut driven = self.inner.driven();
                if driven.contains_key(&batch.id) {
                    continue;
                }
                let (tell, ending) = watch::channel(false);
                driven.insert(batch.id, tell);
                ending
            };
            let driven = Driven { inner: self.inner.clone(), id: batch.id };
            let (inner, runner, stopped) = (self.inner.clone(), runner.clone(), stopped.clone());
            driving.spawn(async move {
                let _driven = driven;
                let id = batch.id;
                if let Err(error) = inner.drive(batch, runner, ending, stopped).await {
                    tracing::error!(batch = %id, %error, "a batch could not go on; it is tried again");
                }
            });
        }
        Ok(())
    }
}

/// A batch counts as driven for as long as this lives.
struct Driven {
    inner: Arc<Inner>,
    id: BatchId,
}

impl Drop for Driven {
    fn drop(&mut self) {
        self.inner.driven().remove(&self.id);
    }
}

impl Inner {
    async fn drive(
        self: Arc<Self>,
        mut batch: Batch,
        runner: Arc<dyn LineRunner>,
        ending: watch::Receiver<bool>,
        stopped: watch::Receiver<bool>,
    ) -> Result<(), ServiceError> {
        let input = match batch.state {
            BatchState::Validating | BatchState::InProgress => match self.input(&batch).await {
                Ok(input) => Some(input),
                Err(ServiceError::ContentMissing { .. }) => return self.lose(batch).await,
                Err(error) => return Err(error),
            },
            // All that is left to do is to write what was answered.
            _ => None,
        };
        if batch.state == BatchState::Validating
            && let Some(input) = &input
        {
            // One whose storage failed all the time ends as well.
            if batch.expires <= self.ports.clock.now() {
                return self.finish(batch, None, BatchState::Expired).await;
            }
            batch = self.validate(&batch, input.clone()).await?;
        }
        let halt = match (batch.state, &input) {
            (BatchState::InProgress, Some(input)) => {
                let one = Run { batch: Arc::new(batch.clone()), runner, ending, stopped };
                self.clone().run_lines(one, input.clone()).await?
            }
            (BatchState::Cancelling, _) => Halt::Cancelled,
            (BatchState::Finalizing, _) => Halt::Done,
            (
                BatchState::Validating
                | BatchState::InProgress
                | BatchState::Failed
                | BatchState::Completed
                | BatchState::Expired
                | BatchState::Cancelled,
                _,
            ) => Halt::Stopped,
        };
        match halt {
            Halt::Stopped => Ok(()),
            Halt::Done => {
                let now = self.ports.clock.now();
                let batch = self
                    .change(batch.id, move |batch| {
                        let is_due = batch.state == BatchState::InProgress;
                        if is_due {
                            batch.enter(BatchState::Finalizing, now);
                        }
                        is_due
                    })
                    .await?;
                // Cancelled at the last moment: all of it is there nevertheless.
                let end = match batch.state {
                    BatchState::Cancelling => BatchState::Cancelled,
                    _ => BatchState::Completed,
                };
                self.finish(batch, input, end).await
            }
            Halt::Cancelled => self.finish(batch, input, BatchState::Cancelled).await,
            Halt::Expired => self.finish(batch, input, BatchState::Expired).await,
        }
    }

    async fn input(&self, batch: &Batch) -> Result<Blob, ServiceError> {
        let BatchPorts { blobs, pool, .. } = &self.ports;
        opened(blobs, pool, "a batch's input", batch.input, batch.input_size, "application/jsonl").await
    }

    async fn validate(&self, batch: &Batch, input: Blob) -> Result<Batch, ServiceError> {
        let endpoint = batch.endpoint;
        let checked = self.ports.pool.run(move || check(input, endpoint)).await;
        let now = self.ports.clock.now();
        let Checked { total, model, mistakes } = checked?;
        self.change(batch.id, move |batch| {
            let is_due = batch.state == BatchState::Validating;
            if is_due && mistakes.is_empty() {
                (batch.counts.total, batch.model) = (total, model.clone());
                batch.enter(BatchState::InProgress, now);
            } else if is_due {
                batch.mistakes.clone_from(&mistakes);
                batch.enter(BatchState::Failed, now);
            }
            is_due
        })
        .await
    }

    /// Ends a batch whose input is gone from this server. What was answered was paid for, and is kept.
    async fn lose(&self, batch: Batch) -> Result<(), ServiceError> {
        let batch = self
            .change(batch.id, |batch| {
                let is_open = !batch.state.is_final();
                if is_open {
                    batch.mistakes = vec![Mistake {
                        code: "content_missing".to_owned(),
                        message: "the input's content is gone from this server".to_owned(),
                        param: None,
                        line: None,
                    }];
                }
                is_open
            })
            .await?;
        match batch.state.is_final() {
            true => Ok(()),
            false => self.finish(batch, None, BatchState::Failed).await,
        }
    }

    /// Which lines have ended.
    pub(super) async fn ended(&self, id: BatchId) -> Result<HashSet<u32>, ServiceError> {
        let mut ended = HashSet::new();
        let mut after = 0;
        loop {
            let store = self.ports.store.clone();
            let page = self.ports.pool.run(move || store.ended_line_numbers(id, after, NUMBERS_PAGE)).await?;
            let Some(last) = page.last() else { return Ok(ended) };
            after = *last;
            ended.extend(page);
        }
    }

    async fn run_lines(self: Arc<Self>, mut run: Run, input: Blob) -> Result<Halt, ServiceError> {
        let ended = self.ended(run.batch.id).await?;
        let places = Arc::new(Semaphore::new(self.limits.running_per_batch_max));
        let (mut lines, mut running) = (Lines::new(input), JoinSet::new());
        let (mut halt, mut failed) = (Halt::Done, None);
        'pages: while failed.is_none() {
            let page = match self.page(lines).await {
                Ok((rest, page)) => {
                    lines = rest;
                    page
                }
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            };
            if page.is_empty() {
                break;
            }
            for (number, line) in page.into_iter().filter(|(number, _)| !ended.contains(number)) {
                let begun = tokio::select! {
                    biased;
                    why = run.halted(&self) => Err(why),
                    mine = places.clone().acquire_owned() => Ok(mine),
                };
                let mine = match begun {
                    Ok(Ok(mine)) => mine,
                    Ok(Err(error)) => {
                        failed = Some(ServiceError::Internal(error.to_string()));
                        break 'pages;
                    }
                    Err(why) => {
                        halt = why;
                        break 'pages;
                    }
                };
                let place = tokio::select! {
                    biased;
                    why = run.halted(&self) => {
                        halt = why;
                        break 'pages;
                    }
                    place = self.place() => place,
                };
                let place = match place {
                    Ok(place) => Some(place),
                    Err(error) => {
                        failed = Some(error);
                        break 'pages;
                    }
                };
                let (batch, runner, ending) = (run.batch.clone(), run.runner.clone(), run.ending.clone());
                let one = One { batch, number, line, runner, ending, place };
                let inner = self.clone();
                running.spawn(async move {
                    let _mine = mine;
                    inner.run_one(one).await
                });
                while let Some(ended) = running.try_join_next() {
                    failed = failed.or(joined(ended).err());
                }
            }
        }
        // What is under way is paid for: it is never dropped.
        while let Some(ended) = running.join_next().await {
            failed = failed.or(joined(ended).err());
        }
        if let Some(error) = failed {
            return Err(error);
        }
        // Some may have given up waiting while the last ones ran.
        if halt == Halt::Done && *run.ending.borrow() {
            halt = run.why(&self);
        }
        Ok(halt)
    }

    async fn page(&self, mut lines: Lines) -> Result<(Lines, Vec<(u32, bytes::Bytes)>), ServiceError> {
        let reading = move || -> io::Result<_> {
            let page = lines.page(AHEAD_BYTES)?;
            Ok((lines, page))
        };
        self.ports.pool.run(reading).await
    }
}

/// A batch whose requests are run.
struct Run {
    batch: Arc<Batch>,
    runner: Arc<dyn LineRunner>,
    ending: watch::Receiver<bool>,
    stopped: watch::Receiver<bool>,
}

impl Run {
    /// Waits until no more requests are to be begun.
    async fn halted(&mut self, inner: &Inner) -> Halt {
        let now = inner.ports.clock.now();
        let left = Duration::from_millis(self.batch.expires.0.saturating_sub(now.0));
        tokio::select! {
            _ = self.ending.wait_for(|ending| *ending) => {}
            () = tokio::time::sleep(left) => {}
        }
        self.why(inner)
    }

    fn why(&self, inner: &Inner) -> Halt {
        if *self.stopped.borrow() {
            Halt::Stopped
        } else if *self.ending.borrow() {
            Halt::Cancelled
        } else if self.batch.expires <= inner.ports.clock.now() {
            Halt::Expired
        } else {
            Halt::Stopped
        }
    }
}

/// A batch is no longer driven, however that came.
fn told(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended {
        tracing::error!(%error, "the driving of a batch stopped unexpectedly; it is taken up again");
    }
}

fn joined(ended: Result<Result<(), ServiceError>, tokio::task::JoinError>) -> Result<(), ServiceError> {
    ended.map_err(|error| {
        ServiceError::Internal(format!("a request of a batch stopped unexpectedly: {error}"))
    })?
}
