//! Choosing the next token from the model's scores.
//!
//! A token is chosen in this order:
//! 1. A score that is no finite number is an error: the model computed nonsense.
//! 2. An answer in a fixed form ([`crate::AnswerFormat`]) rules out every token by which it could not go on.
//! 3. `logit_bias` is added; a bias of -100 rules the token out.
//! 4. Penalties lower what was there already: repetition, then frequency and presence.
//! 5. A temperature of 0 takes the best token left (of equals, that with the lowest id). Else scores are divided by the temperature and made
//!    probabilities by softmax.
//! 6. top-k, top-p and min-p, each on what the one before has left, keep the likeliest tokens; that order is that of the transformers library.
//! 7. A token is drawn from those, by its share of their probability.
//!
//! Log probabilities are told of the scores as the model gave them, before all of this.

mod adjust;
mod candidates;
mod logprobs;

use std::collections::{HashMap, HashSet};

use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::error::ModelError;
use crate::grammar::Constraint;
use crate::request::ChatRequest;
pub(crate) use adjust::NEVER;
use candidates::Candidates;
pub use logprobs::Logprobs;

/// One request's way of choosing tokens. Its draws depend on its seed alone, never on what runs beside it.
#[derive(Debug)]
pub struct Sampler {
    temperature: f32,
    top_k: Option<u32>,
    top_p: f32,
    min_p: f32,
    repetition_penalty: f32,
    frequency_penalty: f32,
    presence_penalty: f32,
    logit_bias: Vec<(u32, f32)>,
    top_logprobs: Option<u8>,
    /// Every token of the answer so far, with how often it was chosen. Kept where a penalty needs it.
    counts: HashMap<u32, u32>,
    /// Tokens of the prompt. Kept where the repetition penalty needs them.
    prompt: HashSet<u32>,
    constraint: Option<Constraint>,
    rng: ChaCha8Rng,
    /// The scores in the making, kept between tokens for their memory.
    scores: Vec<f32>,
    candidates: Candidates,
}

/// A token that was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Choice {
    /// Its id.
    pub token: u32,
    /// How likely it and the likeliest were, where the request asks.
    pub logprobs: Option<Logprobs>,
    /// Nothing can follow it: an answer in a fixed form is whole.
    pub is_last: bool,
}

impl Sampler {
    /// The sampler that a request asks for. `prompt` are the tokens before the answer; `constraint` is the request's format, compiled.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where no seed is given and the system has no randomness.
    pub fn new(
        request: &ChatRequest,
        prompt: &[u32],
        constraint: Option<Constraint>,
    ) -> Result<Self, ModelError> {
        let seed = match request.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|error| ModelError::Compute { reason: error.to_string() })?,
        };
        let penalises_repetition = request.repetition_penalty != 1.0;
        Ok(Self {
            temperature: request.temperature,
            top_k: request.top_k,
            top_p: request.top_p,
            min_p: request.min_p,
            repetition_penalty: request.repetition_penalty,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
            logit_bias: request.logit_bias.clone(),
            top_logprobs: request.top_logprobs,
            counts: HashMap::new(),
            prompt: prompt.iter().copied().filter(|_| penalises_repetition).collect(),
            constraint,
            rng: ChaCha8Rng::seed_from_u64(seed),
            scores: Vec::new(),
            candidates: Candidates::default(),
        })
    }

    /// Choose from `scores`, one (a logit) for every token of the vocabulary, and remember the choice.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where a score is no finite number; [`ModelError::Unanswerable`] where the request leaves no token to choose.
    pub fn choose(&mut self, scores: &[f32]) -> Result<Choice, ModelError> {
        if let Some(place) = scores.iter().position(|score| !score.is_finite()) {
            let reason = format!("the model's score of token {place} is {}", scores[place]);
            return Err(ModelError::Compute { reason });
        }
        let mut adjusted = std::mem::take(&mut self.scores);
        adjusted.clear();
        adjusted.extend_from_slice(scores);
        let chosen = self.choose_adjusted(&mut adjusted);
        self.scores = adjusted;
        let token = chosen?;

        if self.repetition_penalty != 1.0 || self.frequency_penalty != 0.0 || self.presence_penalty != 0.0 {
            *self.counts.entry(token).or_default() += 1;
        }
        let is_last = match &mut self.constraint {
            Some(constraint) => constraint.accept(token)?,
            None => false,
        };
        let logprobs = self.top_logprobs.map(|top| Logprobs::of(scores, token, usize::from(top)));
        Ok(Choice { token, logprobs, is_last })
    }

    fn choose_adjusted(&mut self, scores: &mut [f32]) -> Result<u32, ModelError> {
        if let Some(constraint) = &mut self.constraint {
            constraint.restrict(scores)?;
        }
        adjust::bias(scores, &self.logit_bias);
        let answered = self.counts.keys().filter(|token| !self.prompt.contains(token));
        adjust::penalise_repetition(scores, self.repetition_penalty, self.prompt.iter().chain(answered));
        adjust::penalise_counts(scores, &self.counts, self.frequency_penalty, self.presence_penalty);
        let nothing = || ModelError::Unanswerable {
            parameter: "logit_bias",
            reason: "every token that could come next is ruled out".to_owned(),
        };
        if self.temperature == 0.0 {
            return adjust::best(scores).ok_or_else(nothing);
        }
        self.candidates.collect(scores);
        // A temperature changes no order: the exponentials of what top-k leaves out are saved.
        if let Some(top_k) = self.top_k {
            self.candidates.keep_top_k(top_k as usize);
        }
        self.candidates.weigh(self.temperature);
        if self.top_p < 1.0 {
            self.candidates.keep_top_p(f64::from(self.top_p));
        }
        if self.min_p > 0.0 {
            self.candidates.keep_min_p(f64::from(self.min_p));
        }
        self.candidates.at(self.rng.random::<f64>()).ok_or_else(nothing)
    }
}
