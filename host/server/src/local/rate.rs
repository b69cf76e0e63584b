//! Sound of one channel from one number of samples a second to another, piece by piece.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Indexing, Resampler, WindowFunction};

/// Samples that change their rate together.
const CHUNK: usize = 4096;

/// Sound on its way to another rate.
pub(super) struct Rate {
    from: usize,
    to: usize,
    /// None where it has the rate already.
    resampler: Option<Fft<f32>>,
    /// Samples that are not resampled yet.
    waiting: Vec<f32>,
    /// Samples that the resampler gives before the first.
    early: usize,
    taken: u64,
    given: u64,
}

impl Rate {
    /// # Errors
    /// Why sound of one rate cannot have the other.
    pub(super) fn new(from: usize, to: usize) -> Result<Self, String> {
        // One transform for each chunk, of an even number on both sides: else the filter's middle would lie between two samples.
        let chunk = CHUNK.next_multiple_of(2 * from / common(from, to));
        let made = || {
            let window = WindowFunction::BlackmanHarris2;
            Fft::new_custom(from, to, chunk, 1, 1, window, FixedSync::Input)
        };
        let resampler = (from != to)
            .then(made)
            .transpose()
            .map_err(|error| format!("{from} samples a second cannot become {to}: {error}"))?;
        let early = resampler.as_ref().map_or(0, Resampler::output_delay);
        Ok(Self { from, to, resampler, waiting: Vec::new(), early, taken: 0, given: 0 })
    }

    /// Take what comes next.
    pub(super) fn take(&mut self, samples: impl Iterator<Item = f32>) {
        let before = self.waiting.len();
        self.waiting.extend(samples);
        self.taken += (self.waiting.len() - before) as u64;
    }

    /// Give what is ready; where the sound has ended, all that is due.
    ///
    /// # Errors
    /// The resampler's, none of which is known to occur.
    pub(super) fn give(&mut self, ended: bool, out: &mut Vec<f32>) -> Result<(), String> {
        let due = (self.taken * self.to as u64).div_ceil(self.from as u64);
        let Some(resampler) = &mut self.resampler else {
            self.given += self.waiting.len() as u64;
            out.append(&mut self.waiting);
            return Ok(());
        };
        let failed = |error: &dyn std::fmt::Display| format!("its rate cannot be changed: {error}");
        let mut from = 0;
        loop {
            let (wanted, there) = (resampler.input_frames_next(), self.waiting.len() - from);
            if there < wanted && !(ended && self.given < due) {
                break;
            }
            let taken = there.min(wanted);
            let input = SequentialSlice::new(&self.waiting[from..from + taken], 1, taken);
            let input = input.map_err(|error| failed(&error))?;
            let short = Indexing::new().partial_len(taken);
            let made = resampler
                .process(&input, (taken < wanted).then_some(&short))
                .map_err(|error| failed(&error))?
                .take_data();
            from += taken;
            let early = self.early.min(made.len());
            self.early -= early;
            let left = usize::try_from(due - self.given).unwrap_or(usize::MAX);
            let made = &made[early..];
            let made = &made[..made.len().min(left)];
            self.given += made.len() as u64;
            out.extend_from_slice(made);
        }
        self.waiting.drain(..from);
        Ok(())
    }
}

/// The greatest common divisor (Euclid).
fn common(a: usize, b: usize) -> usize {
    if b == 0 { a } else { common(b, a % b) }
}
