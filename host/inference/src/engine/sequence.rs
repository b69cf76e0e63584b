//! One admitted request: its cache, its text so far, and its next step.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::error::TrySendError;

use super::likelihoods::Likelihoods;
use super::loaded::Loaded;
use super::prefixes::{Claim, Prefixes};
use super::worker::Job;
use crate::error::{EngineError, ModelError};
use crate::generation::{Event, FinishReason, GenerationSender};
use crate::llama::{KvCache, Shape, Slice};
use crate::sampler::{Choice, Sampler};
use crate::text_stream::TextStream;

/// Its attention cache is in pages `P` of the device that computes.
pub(super) struct Sequence<P> {
    model: Arc<Loaded>,
    cache: KvCache<P>,
    sampler: Sampler,
    text: TextStream,
    likelihoods: Likelihoods,
    /// The prompt and the answer. What the cache does not hold yet is the rest of the prompt, later the newest token.
    tokens: Vec<u32>,
    prompt_tokens: usize,
    completion_tokens: usize,
    max_tokens: usize,
    /// At most log probabilities, a delta and the end, waiting for the reader.
    outbox: Vec<Event>,
    stalled_since: Option<Instant>,
    pub(super) sender: GenerationSender,
    pub(super) claim: Claim,
    /// Whose it is.
    pub(super) scope: u64,
    pub(super) started: Instant,
    _place: OwnedSemaphorePermit,
}

/// What came of a step.
pub(super) enum Step {
    /// There is more to do.
    Advanced,
    /// The reader has not taken what was sent since that time.
    Stalled(Instant),
    /// The last event is sent, or the reader is gone.
    Ended,
}

impl<P> Sequence<P> {
    /// Admit a job whose prompt begins with what `pages` hold.
    pub(super) fn start(
        model: &Arc<Loaded>,
        shape: &Shape,
        job: Job,
        claim: Claim,
        pages: Vec<Arc<P>>,
    ) -> Self {
        let prompt_tokens = job.prompt.len();
        let mut cache = KvCache::new(shape, prompt_tokens + job.max_tokens);
        cache.follow(pages);
        Self {
            model: model.clone(),
            cache,
            sampler: job.sampler,
            text: TextStream::new(job.request.stop),
            likelihoods: Likelihoods::default(),
            tokens: job.prompt,
            prompt_tokens,
            completion_tokens: 0,
            max_tokens: job.max_tokens,
            outbox: Vec::new(),
            stalled_since: None,
            sender: job.sender,
            claim,
            scope: job.request.scope,
            started: Instant::now(),
            _place: job.place,
        }
    }

    /// Deliver what waits. [`Step::Advanced`]: it wants to compute.
    pub(super) fn prepare(&mut self) -> Step {
        if self.sender.is_closed() { Step::Ended } else { self.deliver() }
    }

    /// Whether something waits for the reader.
    pub(super) fn is_stalled(&self) -> bool {
        !self.outbox.is_empty()
    }

    /// Whether its prompt is behind it.
    pub(super) fn is_answering(&self) -> bool {
        self.completion_tokens > 0
    }

    /// Tokens that the model has not seen yet.
    pub(super) fn unseen(&self) -> usize {
        self.tokens.len() - self.cache.len()
    }

    /// Take the kept pages that go on with the prompt; how many there were.
    pub(super) fn follow(&mut self, prefixes: &mut Prefixes<P>) -> usize {
        let Self { claim, cache, tokens, .. } = self;
        // Kept pages follow kept pages.
        if !cache.is_even() || cache.shared().len() != claim.pages {
            return 0;
        }
        let pages = prefixes.take(claim, tokens);
        let count = pages.len();
        cache.follow(pages);
        count
    }

    /// Let others have the pages that are full.
    pub(super) fn share(&mut self, prefixes: &mut Prefixes<P>) {
        self.cache.share_full();
        prefixes.give(&mut self.claim, &self.tokens, self.cache.shared());
    }

    /// This sequence's part in a pass, of at most `tokens_max` tokens.
    pub(super) fn slice(&mut self, tokens_max: usize) -> Slice<'_, P> {
        let unseen = &self.tokens[self.cache.len()..];
        let count = unseen.len().min(tokens_max);
        Slice { cache: &mut self.cache, tokens: &unseen[..count], scored: count == unseen.len() }
    }

    /// After a pass: choose where there are scores, and deliver.
    pub(super) fn advance(&mut self, scores: Option<&[f32]>) -> Result<Step, ModelError> {
        if let Some(scores) = scores {
            let choice = self.sampler.choose(scores)?;
            self.take(choice);
        }
        Ok(self.deliver())
    }

    /// Account for a generated token.
    fn take(&mut self, Choice { token, logprobs, is_last }: Choice) {
        self.completion_tokens += 1;
        let tokenizer = self.model.language.tokenizer();
        let ended_by_model = tokenizer.is_end(token);
        let mut delta = String::new();
        if !ended_by_model {
            if let Some(logprobs) = logprobs {
                self.likelihoods.add(tokenizer, token, logprobs, self.text.decoded());
            }
            delta = self.text.push(tokenizer.piece(token));
        }
        let reason = if ended_by_model || is_last || self.text.is_stopped() {
            Some(FinishReason::Stop)
        } else {
            (self.completion_tokens >= self.max_tokens).then_some(FinishReason::Length)
        };
        if reason.is_some() {
            delta.push_str(&self.text.finish());
        }
        let mut told = self.likelihoods.of_given(self.text.given());
        if reason.is_some() && !self.text.is_stopped() {
            told.extend(self.likelihoods.rest());
        }
        if !told.is_empty() {
            self.outbox.push(Event::Logprobs(told));
        }
        if !delta.is_empty() {
            self.outbox.push(Event::Delta(delta));
        }
        match reason {
            None => self.tokens.push(token),
            Some(reason) => self.outbox.push(Event::Finished {
                // What was held back may hold a whole stop sequence only now.
                reason: if self.text.is_stopped() { FinishReason::Stop } else { reason },
                prompt_tokens: self.prompt_tokens,
                completion_tokens: self.completion_tokens,
            }),
        }
    }

    /// Hand over what waits, without waiting.
    fn deliver(&mut self) -> Step {
        while !self.outbox.is_empty() {
            let event = self.outbox.remove(0);
            let last = matches!(event, Event::Finished { .. });
            match self.sender.events.try_send(event) {
                Ok(()) if last => return Step::Ended,
                Ok(()) => self.stalled_since = None,
                Err(TrySendError::Closed(_)) => return Step::Ended,
                Err(TrySendError::Full(event)) => {
                    self.outbox.insert(0, event);
                    return Step::Stalled(*self.stalled_since.get_or_insert_with(Instant::now));
                }
            }
        }
        Step::Advanced
    }

    /// End with an error.
    pub(super) fn fail(self, error: EngineError) {
        self.sender.fail(error);
    }
}
