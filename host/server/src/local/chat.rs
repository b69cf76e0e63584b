//! A chat with an in-house model, event by event.

use std::sync::Arc;

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::{ChatEvent, ChatRequest, FinishReason, TokenLogprob, TopLogprob};
use atelier_domain::generation::usage::UsageLine;
use atelier_inference::{self as inference, TextEngine};

use super::failure::engine_error;
use super::request::{self, Usual};

/// Where a chat stands.
pub(super) enum Turn {
    /// The number is the tenant's.
    Begin(Arc<dyn TextEngine>, Usual, u64, Box<ChatRequest>),
    Going(inference::Generation),
    Ended,
}

impl Turn {
    pub(super) async fn next(self) -> Option<(Result<Vec<ChatEvent>, ProviderError>, Self)> {
        match self {
            Self::Begin(engine, usual, scope, request) => {
                let model = request.model.clone();
                let begun = match request::engine_request(*request, usual) {
                    Ok(request) => {
                        let request = inference::ChatRequest { scope, ..request };
                        engine.generate(request).await.map_err(engine_error)
                    }
                    Err(error) => Err(error),
                };
                Some(match begun {
                    Ok(generation) => {
                        let started = ChatEvent::Started { id: String::new(), model };
                        (Ok(vec![started]), Self::Going(generation))
                    }
                    Err(error) => (Err(error), Self::Ended),
                })
            }
            Self::Going(mut generation) => match generation.next().await? {
                Ok(inference::Event::Delta(text)) => {
                    Some((Ok(vec![ChatEvent::Text(text)]), Self::Going(generation)))
                }
                Ok(inference::Event::Logprobs(tokens)) => {
                    let told = tokens.into_iter().map(token_logprob).collect();
                    Some((Ok(vec![ChatEvent::Logprobs(told)]), Self::Going(generation)))
                }
                Ok(inference::Event::Finished { reason, prompt_tokens, completion_tokens }) => {
                    let reason = match reason {
                        inference::FinishReason::Stop => FinishReason::Stop,
                        inference::FinishReason::Length => FinishReason::Length,
                    };
                    let usage = vec![
                        UsageLine::new("input-tokens", prompt_tokens as u64),
                        UsageLine::new("output-tokens", completion_tokens as u64),
                    ];
                    Some((Ok(vec![ChatEvent::Finished(reason), ChatEvent::Usage(usage)]), Self::Ended))
                }
                Err(error) => Some((Err(engine_error(error)), Self::Ended)),
            },
            Self::Ended => None,
        }
    }
}

fn token_logprob(told: inference::TokenLogprob) -> TokenLogprob {
    let top = told.top.into_iter().map(|top| {
        let (token, bytes) = text_and_bytes(top.bytes);
        TopLogprob { token, logprob: top.logprob, bytes }
    });
    let top = top.collect();
    let (token, bytes) = text_and_bytes(told.bytes);
    TokenLogprob { token, logprob: told.logprob, bytes, top }
}

/// A token as text, and its bytes where they are others than the text's.
pub(super) fn text_and_bytes(bytes: Vec<u8>) -> (String, Option<Vec<u8>>) {
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let bytes = error.into_bytes();
            (String::from_utf8_lossy(&bytes).into_owned(), Some(bytes))
        }
    }
}
