//! The tokens that may be drawn, and their probabilities.

use std::cmp::Ordering;

/// The first guess at how many tokens top-p keeps; each further guess is eight times as many. Sorting a whole vocabulary for a handful of
/// tokens would cost more than the rest of the choice.
const NUCLEUS_GUESS: usize = 64;

#[derive(Clone, Copy, Debug)]
struct Candidate {
    token: u32,
    /// Its score; once weighed, its probability but for a factor common to all.
    weight: f64,
}

/// Tokens that may be drawn. No order is kept but where a method says so.
#[derive(Debug, Default)]
pub(super) struct Candidates(Vec<Candidate>);

/// Likeliest first, and of equals the lowest id: a total order, so that a seed draws the same however the tokens were sorted.
fn likeliest_first(a: &Candidate, b: &Candidate) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.token.cmp(&b.token))
}

impl Candidates {
    /// All tokens that are not ruled out, with their scores.
    pub(super) fn collect(&mut self, scores: &[f32]) {
        self.0.clear();
        let possible = (0..).zip(scores).filter(|(_, score)| **score > f32::NEG_INFINITY);
        self.0.extend(possible.map(|(token, score)| Candidate { token, weight: f64::from(*score) }));
    }

    /// From scores to probabilities, by their softmax at this temperature (above 0).
    pub(super) fn weigh(&mut self, temperature: f32) {
        // The highest is taken off first: a temperature near 0 would overflow the exponential.
        let highest = self.highest();
        let temperature = f64::from(temperature);
        for candidate in &mut self.0 {
            candidate.weight = ((candidate.weight - highest) / temperature).exp();
        }
    }

    /// Keep the `k` (at least 1) likeliest (Fan et al. 2018, arXiv:1805.04833).
    pub(super) fn keep_top_k(&mut self, k: usize) {
        let k = k.max(1);
        if k < self.0.len() {
            self.0.select_nth_unstable_by(k - 1, likeliest_first);
            self.0.truncate(k);
        }
    }

    /// Keep the nucleus: the fewest likeliest tokens that together have this share of the probability (Holtzman et al. 2019,
    /// arXiv:1904.09751).
    pub(super) fn keep_top_p(&mut self, share: f64) {
        let wanted = self.mass() * share;
        let mut guess = NUCLEUS_GUESS;
        let sorted = loop {
            if guess >= self.0.len() {
                break self.0.len();
            }
            self.0.select_nth_unstable_by(guess - 1, likeliest_first);
            if self.0[..guess].iter().map(|candidate| candidate.weight).sum::<f64>() >= wanted {
                break guess;
            }
            guess *= 8;
        };
        self.0[..sorted].sort_unstable_by(likeliest_first);
        let mut mass = 0.0;
        let beyond = self.0[..sorted].iter().position(|candidate| {
            mass += candidate.weight;
            mass >= wanted
        });
        self.0.truncate(beyond.map_or(sorted, |last| last + 1));
    }

    /// Keep what has at least this share of the likeliest token's probability (Nguyen et al. 2024, arXiv:2407.01082).
    pub(super) fn keep_min_p(&mut self, share: f64) {
        let highest = self.highest();
        self.0.retain(|candidate| candidate.weight >= share * highest);
    }

    /// The token at a point, from 0 to below 1, of the probabilities laid end to end; `None` where there are none.
    pub(super) fn at(&mut self, point: f64) -> Option<u32> {
        // What was kept may lie in any order; the draw must not depend on it.
        self.0.sort_unstable_by_key(|candidate| candidate.token);
        let mut left = point * self.mass();
        for candidate in &self.0 {
            left -= candidate.weight;
            if left < 0.0 {
                return Some(candidate.token);
            }
        }
        // Rounding may leave a hair after the last one that has any probability, which is meant then.
        self.0.iter().rev().find(|candidate| candidate.weight > 0.0).map(|candidate| candidate.token)
    }

    fn highest(&self) -> f64 {
        self.0.iter().map(|candidate| candidate.weight).fold(f64::NEG_INFINITY, f64::max)
    }

    fn mass(&self) -> f64 {
        self.0.iter().map(|candidate| candidate.weight).sum()
    }
}
