//! Choosing the next token from the model's scores.

use std::collections::HashMap;

use candle_core::{D, Tensor};
use rand::Rng;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::error::ModelError;
use crate::request::ChatRequest;

/// One request's way of choosing tokens. Its draws depend on its seed alone, never on what runs beside it.
#[derive(Debug)]
pub struct Sampler {
    temperature: f32,
    top_p: f32,
    frequency_penalty: f32,
    presence_penalty: f32,
    counts: HashMap<u32, u32>,
    rng: ChaCha8Rng,
}

impl Sampler {
    /// The sampler that a request asks for.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where no seed is given and the system has no randomness.
    pub fn new(request: &ChatRequest) -> Result<Self, ModelError> {
        let seed = match request.seed {
            Some(seed) => seed,
            None => getrandom::u64().map_err(|error| ModelError::Compute { reason: error.to_string() })?,
        };
        Ok(Self {
            temperature: request.temperature,
            top_p: request.top_p,
            frequency_penalty: request.frequency_penalty,
            presence_penalty: request.presence_penalty,
            counts: HashMap::new(),
            rng: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// Choose from `scores` (one per token of the vocabulary) and remember the choice for the penalties.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where the scores are not numbers.
    pub fn choose(&mut self, scores: &Tensor) -> Result<u32, ModelError> {
        let scores = self.penalised(scores)?;
        let token = if self.temperature == 0.0 {
            scores.argmax(D::Minus1)?.to_scalar::<u32>()?
        } else {
            self.draw(&scores)?
        };
        if self.frequency_penalty != 0.0 || self.presence_penalty != 0.0 {
            *self.counts.entry(token).or_default() += 1;
        }
        Ok(token)
    }

    fn penalised(&self, scores: &Tensor) -> Result<Tensor, ModelError> {
        if self.counts.is_empty() {
            return Ok(scores.clone());
        }
        let mut values = scores.to_vec1::<f32>()?;
        for (token, count) in &self.counts {
            if let Some(value) = values.get_mut(*token as usize) {
                *value -= self.frequency_penalty * (*count as f32) + self.presence_penalty;
            }
        }
        Ok(Tensor::new(values, scores.device())?)
    }

    /// Draw from the nucleus: the likeliest tokens whose probabilities together reach `top_p`.
    fn draw(&mut self, scores: &Tensor) -> Result<u32, ModelError> {
        // The heavy parts are candle's; the loop below ends at the nucleus.
        // A temperature near 0 would overflow the scores: the maximum is taken off first.
        let highest = scores.max_keepdim(D::Minus1)?;
        let scaled = (scores.broadcast_sub(&highest)? / f64::from(self.temperature))?;
        let probabilities = candle_nn::ops::softmax_last_dim(&scaled)?;
        let (sorted, order) = if self.top_p < 1.0 {
            let (sorted, order) = probabilities.sort_last_dim(false)?;
            (sorted.to_vec1::<f32>()?, Some(order.to_vec1::<u32>()?))
        } else {
            (probabilities.to_vec1::<f32>()?, None)
        };
        let mut nucleus = 0;
        let mut mass = 0.0_f32;
        for probability in &sorted {
            nucleus += 1;
            mass += probability;
            if order.is_some() && mass >= self.top_p {
                break;
            }
        }
        if !(mass.is_finite() && mass > 0.0) {
            return Err(ModelError::Compute { reason: "the model's scores are not numbers".to_owned() });
        }
        let mut left = self.rng.random::<f32>() * mass;
        let nucleus = &sorted[..nucleus];
        let mut chosen = None;
        for (place, probability) in nucleus.iter().enumerate().filter(|(_, probability)| **probability > 0.0)
        {
            chosen = Some(place);
            left -= probability;
            if left < 0.0 {
                break;
            }
        }
        // Rounding may leave a hair after the last one; then the last possible token is meant.
        let place = chosen.unwrap_or(0);
        Ok(order.map_or(place as u32, |order| order[place]))
    }
}
