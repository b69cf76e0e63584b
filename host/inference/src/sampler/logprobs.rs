//! How likely tokens were, by the model itself.

/// Log probabilities at one place of an answer, as natural logarithms.
#[derive(Clone, Debug, PartialEq)]
pub struct Logprobs {
    /// Of the token that was chosen.
    pub chosen: f64,
    /// The likeliest tokens, likeliest first; of equals, the lowest id.
    pub top: Vec<(u32, f64)>,
}

impl Logprobs {
    /// Of `token` and the `top` likeliest, by the log-softmax of finite scores.
    pub(super) fn of(scores: &[f32], token: u32, top: usize) -> Self {
        let highest = f64::from(scores.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let sum: f64 = scores.iter().map(|score| (f64::from(*score) - highest).exp()).sum();
        let logprob = |score: f32| f64::from(score) - highest - sum.ln();
        let mut likeliest: Vec<(u32, f32)> = Vec::with_capacity(top + 1);
        for (id, score) in (0..).zip(scores.iter().copied()) {
            // At most 20 are kept: a sorted list is quicker than a heap.
            if top == 0 || (likeliest.len() == top && likeliest[top - 1].1 >= score) {
                continue;
            }
            let place = likeliest.partition_point(|(_, other)| *other >= score);
            likeliest.insert(place, (id, score));
            likeliest.truncate(top);
        }
        Self {
            chosen: scores.get(token as usize).map_or(f64::NEG_INFINITY, |score| logprob(*score)),
            top: likeliest.into_iter().map(|(id, score)| (id, logprob(score))).collect(),
        }
    }
}
