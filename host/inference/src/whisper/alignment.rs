//! When each word was said: where the decoder looked while it wrote.
//!
//! The way is that of the models' published code (`timing.py` of openai-whisper): attention of the heads that follow the sound,
//! normalised over tokens, smoothed along time, and the cheapest monotonic path through it (dynamic time warping; Giorgino,
//! “Computing and Visualizing Dynamic Time Warping Alignments in R”, doi:10.18637/jss.v031.i07).

use std::ops::Range;

use super::WhisperModel;
use super::decoder::Window;
use super::vocabulary::Vocabulary;
use crate::error::ModelError;
use crate::kernels::cpu::Cpu;

/// Moments of the median that smooths attention.
const SMOOTHED: usize = 7;
/// Marks that belong to the word behind them.
const OPENING: &str = "\"'“¿([{-";
/// Marks that belong to the word before them.
const CLOSING: &str = "\"'.。,，!！?？:：”)]}、";
const SENTENCE_ENDS: &str = ".。!！?？";
/// Steps of the longest usual word.
const USUAL_STEPS_MAX: u32 = 35;

/// A word and when it was said, in steps of 0.02 s from the window's beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) times: Range<u32>,
    /// Its tokens among those that were aligned.
    pub(super) tokens: Range<usize>,
}

impl WhisperModel {
    /// When the words of `text`, tokens that were written for a window of `steps`, were said.
    pub(super) fn align(
        &self,
        window: &mut Window<Cpu>,
        text: &[u32],
        steps: u32,
    ) -> Result<Vec<Spoken>, ModelError> {
        let marks = self.vocabulary.marks;
        let (text, moments) = (&text[..text.len().min(self.shape.positions - 3)], steps as usize);
        if text.is_empty() || moments == 0 {
            return Ok(Vec::new());
        }
        let mut tokens = vec![marks.start, marks.no_times];
        tokens.extend(text);
        tokens.push(marks.end);
        window.cut(0);
        let (_, heads) =
            self.decoder.read(&self.kernels, window, &tokens, 0, Some((&self.alignment_heads, moments)))?;
        let mut mean = vec![0.0; tokens.len() * moments];
        for mut head in heads {
            normalise(&mut head, moments);
            for (mean, row) in mean.chunks_exact_mut(moments).zip(head.chunks_exact(moments)) {
                mean.iter_mut().zip(smooth(row)).for_each(|(mean, x)| *mean += x);
            }
        }
        // The row of a token tells where the next one was heard: those of the mark before the text and of all of it.
        let began = began(&mean[moments..(tokens.len() - 1) * moments], moments);
        let words = words(&self.vocabulary, text);
        let at = |token: usize| began.get(token).map_or(steps, |moment| *moment as u32);
        let spoken =
            words.into_iter().map(|tokens| Spoken { times: at(tokens.start)..at(tokens.end), tokens });
        Ok(shortened(spoken.collect(), &self.vocabulary, text))
    }
}

/// Each moment's attention to mean 0 and variance 1 over tokens.
fn normalise(head: &mut [f32], moments: usize) {
    let count = (head.len() / moments) as f32;
    for moment in 0..moments {
        let column = || head.iter().skip(moment).step_by(moments).copied();
        let mean = column().sum::<f32>() / count;
        let deviation = (column().map(|x| (x - mean) * (x - mean)).sum::<f32>() / count).sqrt();
        let scale = if deviation > 0.0 { 1.0 / deviation } else { 0.0 };
        head.iter_mut().skip(moment).step_by(moments).for_each(|x| *x = (*x - mean) * scale);
    }
}

/// The median of each number and its neighbours; beyond the ends the row is mirrored.
fn smooth(row: &[f32]) -> impl Iterator<Item = f32> + '_ {
    let half = SMOOTHED / 2;
    let last = row.len() - 1;
    (0..row.len()).map(move |at| {
        if row.len() <= half {
            return row[at];
        }
        let mut near: [f32; SMOOTHED] = std::array::from_fn(|index| {
            let place = (at + index).abs_diff(half);
            row[if place > last { 2 * last - place } else { place }]
        });
        near.sort_unstable_by(f32::total_cmp);
        near[half]
    })
}

/// The moment at which the cheapest path comes to each row, where what is looked at costs least.
fn began(attention: &[f32], moments: usize) -> Vec<usize> {
    #[derive(Clone, Copy)]
    enum From {
        Both,
        Row,
        Moment,
    }
    let rows = attention.len() / moments;
    let mut from = vec![From::Both; rows * moments];
    let mut above = vec![f32::INFINITY; moments + 1];
    above[0] = 0.0;
    for (row, attention) in attention.chunks_exact(moments).enumerate() {
        let mut here = vec![f32::INFINITY; moments + 1];
        for (moment, x) in attention.iter().enumerate() {
            let (both, row_before, moment_before) = (above[moment], above[moment + 1], here[moment]);
            let (cost, way) = if both < row_before && both < moment_before {
                (both, From::Both)
            } else if row_before < both && row_before < moment_before {
                (row_before, From::Row)
            } else {
                (moment_before, From::Moment)
            };
            here[moment + 1] = cost - x;
            from[row * moments + moment] = way;
        }
        above = here;
    }
    let mut began = vec![0; rows];
    let (mut row, mut moment) = (rows - 1, moments - 1);
    loop {
        began[row] = moment;
        match (row, moment) {
            (0, 0) => return began,
            (0, _) => moment -= 1,
            (_, 0) => row -= 1,
            _ => match from[row * moments + moment] {
                From::Both => (row, moment) = (row - 1, moment - 1),
                From::Row => row -= 1,
                From::Moment => moment -= 1,
            },
        }
    }
}

/// The tokens of each word, with the marks that belong to it.
fn words(vocabulary: &Vocabulary, text: &[u32]) -> Vec<Range<usize>> {
    let is_in = |word: &str, set: &str| {
        let word = word.trim();
        !word.is_empty() && word.chars().all(|letter| set.contains(letter))
    };
    let mut words: Vec<(Range<usize>, String)> = Vec::new();
    let mut from = 0;
    while from < text.len() {
        // Tokens until their bytes are whole characters.
        let mut to = from + 1;
        while to < text.len() && std::str::from_utf8(&vocabulary.bytes(&text[from..to])).is_err() {
            to += 1;
        }
        let piece = vocabulary.text(&text[from..to]);
        let is_mark =
            !piece.trim().is_empty() && piece.trim().chars().all(|letter| letter.is_ascii_punctuation());
        match words.last_mut() {
            // A mark in the text stands alone first: what follows it without a space goes on with it.
            Some((tokens, word)) if !piece.starts_with(' ') && !is_mark => {
                tokens.end = to;
                word.push_str(&piece);
            }
            _ => words.push((from..to, piece)),
        }
        from = to;
    }
    let mut joined: Vec<(Range<usize>, String)> = Vec::new();
    for (tokens, word) in words {
        match joined.last_mut() {
            Some((before, said)) if !word.starts_with(' ') && is_in(&word, CLOSING) => {
                before.end = tokens.end;
                said.push_str(&word);
            }
            Some((before, said)) if said.starts_with(' ') && is_in(said, OPENING) => {
                before.end = tokens.end;
                said.push_str(&word);
            }
            _ => joined.push((tokens, word)),
        }
    }
    joined.into_iter().map(|(tokens, _)| tokens).collect()
}

/// Words beside a sentence's end without the pause there.
fn shortened(mut words: Vec<Spoken>, vocabulary: &Vocabulary, text: &[u32]) -> Vec<Spoken> {
    let mut lengths: Vec<u32> =
        words.iter().map(|word| word.times.end - word.times.start).filter(|steps| *steps > 0).collect();
    lengths.sort_unstable();
    let Some(median) = lengths.get(lengths.len() / 2) else { return words };
    let steps_max = 2 * (*median).min(USUAL_STEPS_MAX);
    let mut follows_end = false;
    for word in &mut words {
        let said = vocabulary.text(&text[word.tokens.clone()]);
        let ends = said.trim_end().ends_with(|letter| SENTENCE_ENDS.contains(letter));
        if word.times.end - word.times.start > steps_max {
            if ends {
                word.times.end = word.times.start + steps_max;
            } else if follows_end {
                word.times.start = word.times.end - steps_max;
            }
        }
        follows_end = ends;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_follows_what_is_looked_at() {
        // Three tokens over six moments: the first looks at 0 and 1, the second at 2 to 4, the third at 5.
        let mut attention = vec![-0.5; 18];
        for (row, moments) in [(0, 0..2), (1, 2..5), (2, 5..6)] {
            moments.for_each(|moment| attention[row * 6 + moment] = 1.0);
        }
        assert_eq!(began(&attention, 6), [0, 2, 5]);
    }

    #[test]
    fn a_median_drops_what_stands_out_and_mirrors_at_the_ends() {
        let row = [0.0, 0.0, 9.0, 0.0, 1.0, 1.0, 1.0, 1.0];
        let found: Vec<f32> = smooth(&row).collect();
        assert_eq!(found, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
        assert_eq!(smooth(&[2.0, 3.0]).collect::<Vec<_>>(), [2.0, 3.0]);
    }
}
