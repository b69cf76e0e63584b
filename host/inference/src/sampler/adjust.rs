//! What a request adds to scores and takes off them.

use std::collections::HashMap;

/// A bias from here on rules a token out, as OpenAI says of `logit_bias` ("values like -100 … should result in a ban").
const BAN: f32 = -100.0;
/// The score of a token that cannot be chosen.
pub(crate) const NEVER: f32 = f32::NEG_INFINITY;

/// OpenAI's `logit_bias`: added to the tokens' scores (OpenAI API reference, chat completions).
pub(super) fn bias(scores: &mut [f32], biases: &[(u32, f32)]) {
    for (token, bias) in biases {
        if let Some(score) = scores.get_mut(*token as usize) {
            *score = if *bias <= BAN { NEVER } else { *score + bias };
        }
    }
}

/// The repetition penalty of CTRL (Keskar et al. 2019, arXiv:1909.05858, §4.1), as vLLM applies it: to every token that stands in the prompt or
/// the answer, once. A score above 0 is divided by it and one below 0 multiplied, so that more than 1 always makes a token less likely.
pub(super) fn penalise_repetition<'t>(
    scores: &mut [f32],
    penalty: f32,
    seen: impl IntoIterator<Item = &'t u32>,
) {
    if penalty == 1.0 {
        return;
    }
    for token in seen {
        if let Some(score) = scores.get_mut(*token as usize) {
            // A penalty near 0 may take a score past the largest number, where it stays comparable.
            *score = if *score > 0.0 { *score / penalty } else { *score * penalty }.min(f32::MAX);
        }
    }
}

/// OpenAI's frequency and presence penalties: `score - count × frequency - (count > 0) × presence`, of the answer's tokens alone (OpenAI's guide
/// to text generation, "Frequency and presence penalties").
pub(super) fn penalise_counts(scores: &mut [f32], counts: &HashMap<u32, u32>, frequency: f32, presence: f32) {
    if frequency == 0.0 && presence == 0.0 {
        return;
    }
    for (token, count) in counts {
        if let Some(score) = scores.get_mut(*token as usize) {
            *score -= frequency * (*count as f32) + presence;
        }
    }
}

/// The token with the highest score, of equals the one with the lowest id; `None` where all are ruled out.
pub(super) fn best(scores: &[f32]) -> Option<u32> {
    let mut best = None;
    let mut highest = NEVER;
    for (token, score) in (0..).zip(scores) {
        if *score > highest {
            (best, highest) = (Some(token), *score);
        }
    }
    best
}
