//! Which token may follow: times come in pairs and never go back, marks are not written, silence is not written first.
//!
//! The rules are those of the models' published code (`ApplyTimestampRules`, `SuppressBlank` and `SuppressTokens` in
//! openai-whisper's `decoding.py`).

use super::vocabulary::Vocabulary;

/// Latest time, in steps of 0.02 s, that the first segment of a window may begin at.
const FIRST_TIME_MAX: usize = 50;

/// What a model's configuration says besides.
#[derive(Clone, Debug, Default)]
pub(super) struct Suppressed {
    /// Tokens that are never written.
    pub(super) always: Vec<u32>,
    /// Tokens that are not written first.
    pub(super) first: Vec<u32>,
}

/// Take the chance from tokens that may not follow `written`.
pub(super) fn apply(scores: &mut [f32], vocabulary: &Vocabulary, suppressed: &Suppressed, written: &[u32]) {
    const NEVER: f32 = f32::NEG_INFINITY;
    let marks = vocabulary.marks;
    let (end, first_time) = (marks.end as usize, marks.first_time as usize);
    let mut never = |token: u32| {
        if let Some(score) = scores.get_mut(token as usize) {
            *score = NEVER;
        }
    };
    suppressed.always.iter().copied().for_each(&mut never);
    never(marks.no_times);
    if written.is_empty() {
        suppressed.first.iter().copied().for_each(&mut never);
        // A window begins with a time, and soon.
        scores[..first_time].fill(NEVER);
        let latest = (first_time + FIRST_TIME_MAX + 1).min(scores.len());
        scores[latest..].fill(NEVER);
        return;
    }
    let is_time = |token: Option<&u32>| token.is_some_and(|token| vocabulary.is_time(*token));
    let last_is_time = is_time(written.last());
    let before_is_time = written.len() < 2 || is_time(written.get(written.len() - 2));
    if last_is_time {
        match before_is_time {
            true => scores[first_time..].fill(NEVER),
            false => scores[..end].fill(NEVER),
        }
    }
    if let Some(latest) = written.iter().rev().find(|token| vocabulary.is_time(**token)) {
        // A segment that begins may not end at once; one that ends may be followed by one that begins then.
        let from = *latest as usize + usize::from(!last_is_time || before_is_time);
        scores[first_time..from.min(vocabulary.len())].fill(NEVER);
    }
    // Where all times together are likelier than any other token, it is a time.
    let (text, times) = scores.split_at(first_time);
    let likeliest = text.iter().copied().fold(NEVER, f32::max);
    if log_sum(times) > likeliest {
        scores[..first_time].fill(NEVER);
    }
}

/// The logarithm of the sum of the numbers' powers of e.
pub(super) fn log_sum(scores: &[f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    if largest == f32::NEG_INFINITY {
        return largest;
    }
    largest + scores.iter().map(|score| (score - largest).exp()).sum::<f32>().ln()
}
