//! Log probabilities that wait for the text they belong to.

use crate::generation::{TokenLogprob, TopLogprob};
use crate::sampler::Logprobs;
use crate::tokenizer::Tokenizer;

/// Tokens whose text is held back, in their order, each with where in the answer's text it begins.
#[derive(Debug, Default)]
pub(super) struct Likelihoods(Vec<(usize, TokenLogprob)>);

impl Likelihoods {
    /// Take in a token that begins at `start`, in bytes of text.
    pub(super) fn add(&mut self, tokenizer: &Tokenizer, token: u32, logprobs: Logprobs, start: usize) {
        let top = logprobs.top.into_iter();
        let told = TokenLogprob {
            bytes: tokenizer.piece(token).to_vec(),
            logprob: logprobs.chosen,
            top: top.map(|(id, logprob)| TopLogprob { bytes: tokenizer.label(id), logprob }).collect(),
        };
        self.0.push((start, told));
    }

    /// Those of which some text was given, now that `given` bytes of it were.
    pub(super) fn of_given(&mut self, given: usize) -> Vec<TokenLogprob> {
        let count = self.0.partition_point(|(start, _)| *start < given);
        self.0.drain(..count).map(|(_, told)| told).collect()
    }

    /// Those that are left: of tokens without text.
    pub(super) fn rest(&mut self) -> Vec<TokenLogprob> {
        self.0.drain(..).map(|(_, told)| told).collect()
    }
}
