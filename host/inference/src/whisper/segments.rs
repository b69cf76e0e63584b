//! Where a window's tokens are cut into segments, and where the next window begins.

use std::ops::Range;

use super::vocabulary::Vocabulary;

/// A segment of a window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    /// When it begins and ends, in steps of 0.02 s from the window's beginning.
    pub(super) times: Range<u32>,
    /// Its tokens, its times included.
    pub(super) tokens: Range<usize>,
}

/// The segments in `tokens`, and by how many steps the next window begins later. The window holds `steps` of sound.
///
/// As the models' published code does (`transcribe.py` of openai-whisper): what follows the last pair of times is heard again with
/// the next window, since it may have been cut off.
pub(super) fn cut(vocabulary: &Vocabulary, tokens: &[u32], steps: u32) -> (Vec<Cut>, u32) {
    let is_time = |at: usize| tokens.get(at).is_some_and(|token| vocabulary.is_time(*token));
    let time = |at: usize| tokens[at].saturating_sub(vocabulary.marks.first_time).min(steps);
    let count = tokens.len();
    let mut edges: Vec<usize> = (1..count).filter(|at| is_time(*at) && is_time(at - 1)).collect();
    // One time alone at the end: nothing was said behind it.
    let ends_alone = count >= 2 && !is_time(count - 2) && is_time(count - 1);
    if edges.is_empty() {
        let last = (0..count).rev().find(|at| is_time(*at)).map(time).filter(|last| *last > 0);
        let first = if is_time(0) { time(0) } else { 0 };
        let end = last.filter(|last| *last > first).unwrap_or(steps);
        return (vec![Cut { times: first..end, tokens: 0..count }], steps);
    }
    if ends_alone {
        edges.push(count);
    }
    let mut cuts = Vec::with_capacity(edges.len());
    let mut from = 0;
    for edge in &edges {
        cuts.push(Cut { times: time(from)..time(edge - 1), tokens: from..*edge });
        from = *edge;
    }
    let advance = match ends_alone {
        true => steps,
        // Never by nothing: the same would be heard for ever.
        false => match time(from - 1) {
            0 => steps,
            last => last,
        },
    };
    (cuts, advance)
}
