//! The stream of one generation, between an engine and whoever reads it.

use std::sync::{Arc, OnceLock};

use tokio::sync::mpsc;

use crate::error::EngineError;

/// What a generation tells its reader.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// How likely tokens were, where the request asks. They come just before the text that they belong to, and their bytes joined decode to it; only
    /// the token in which a stop sequence begins goes on behind the text. Tokens of which nothing is in the text, as the one that ends the answer,
    /// are not told of.
    Logprobs(Vec<TokenLogprob>),
    /// More of the answer: whole characters, never any part of a stop sequence.
    Delta(String),
    /// The last event.
    Finished {
        /// Why the answer ended.
        reason: FinishReason,
        /// Tokens of the rendered prompt.
        prompt_tokens: usize,
        /// Tokens that were generated, the one that ended the answer included.
        completion_tokens: usize,
    },
}

/// How likely a token of the answer was, by the model's own scores.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenLogprob {
    /// Its bytes, which need not be whole characters.
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability.
    pub logprob: f64,
    /// The likeliest tokens at its place, likeliest first; it need not be one of them.
    pub top: Vec<TopLogprob>,
}

/// One of the likeliest tokens at a place.
#[derive(Clone, Debug, PartialEq)]
pub struct TopLogprob {
    /// Its bytes, which need not be whole characters; of a control token its name.
    pub bytes: Vec<u8>,
    /// The natural logarithm of its probability.
    pub logprob: f64,
}

/// Why an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model ended it, or a stop sequence was met.
    Stop,
    /// `max_tokens` or the end of the context was reached.
    Length,
}

/// An answer in the making. Dropping it cancels the generation within one step and frees its place.
#[derive(Debug)]
pub struct Generation {
    events: mpsc::Receiver<Event>,
    failure: Arc<OnceLock<EngineError>>,
    prompt_tokens: usize,
    ended: bool,
}

/// An engine's end of a [`Generation`].
#[derive(Debug)]
pub struct GenerationSender {
    pub(crate) events: mpsc::Sender<Event>,
    failure: Arc<OnceLock<EngineError>>,
}

impl Generation {
    /// A stream that holds at most `buffer` unread events, and the sender for the engine that fills it.
    pub fn channel(prompt_tokens: usize, buffer: usize) -> (GenerationSender, Self) {
        let (sender, events) = mpsc::channel(buffer.max(1));
        let failure = Arc::new(OnceLock::new());
        let sender = GenerationSender { events: sender, failure: failure.clone() };
        (sender, Self { events, failure, prompt_tokens, ended: false })
    }

    /// Tokens of the rendered prompt.
    pub fn prompt_tokens(&self) -> usize {
        self.prompt_tokens
    }

    /// The next event; `None` after [`Event::Finished`] or an error. An answer that was not finished always ends with
    /// an error, never silently.
    pub async fn next(&mut self) -> Option<Result<Event, EngineError>> {
        if self.ended {
            return None;
        }
        let event = self.events.recv().await;
        match event {
            Some(event) => {
                self.ended = matches!(event, Event::Finished { .. });
                Some(Ok(event))
            }
            None => {
                self.ended = true;
                Some(Err(self.failure.get().cloned().unwrap_or(EngineError::Stopped)))
            }
        }
    }

    /// Read to the end: the whole text and the [`Event::Finished`].
    ///
    /// # Errors
    /// The error that the generation ended with.
    pub async fn collect(mut self) -> Result<(String, Event), EngineError> {
        let mut text = String::new();
        loop {
            match self.next().await {
                Some(Ok(Event::Delta(delta))) => text.push_str(&delta),
                Some(Ok(Event::Logprobs(_))) => {}
                Some(Ok(finished)) => return Ok((text, finished)),
                Some(Err(error)) => return Err(error),
                None => return Err(EngineError::Stopped),
            }
        }
    }
}

impl GenerationSender {
    /// Whether the reader is gone.
    pub fn is_closed(&self) -> bool {
        self.events.is_closed()
    }

    /// End the generation with an error, which the reader sees after what was sent before it.
    pub fn fail(self, error: EngineError) {
        // Set at most once: this consumes the only sender.
        let _ = self.failure.set(error);
    }
}
