//! Choices that can be made again: SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators").

/// A sequence of choices.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to below `high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low).max(1)
    }

    /// One of several.
    pub fn of<'a, T>(&mut self, choices: &'a [T]) -> Option<&'a T> {
        let place = self.between(0, choices.len() as u64) as usize;
        choices.get(place)
    }
}
