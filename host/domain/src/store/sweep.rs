//! What sweeps are given: pages of rows whose time is over, without those that cannot be read.

/// A place between two rows, which only the store understands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPlace(pub Vec<u8>);

/// Which rows to give.
#[derive(Clone, Debug)]
pub struct SweepPage {
    /// Begin behind this place.
    pub after: Option<SweepPlace>,
    pub limit: usize,
}

impl SweepPage {
    /// The first rows.
    pub fn first(limit: usize) -> Self {
        Self { after: None, limit }
    }
}

/// How far a sweep came that removes what it finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    pub removed: usize,
    /// Why some could not be removed: each is left, and the others are none the worse.
    pub unreadable: Vec<String>,
    /// Where to go on; absent at the end.
    pub next: Option<SweepPlace>,
}

/// Rows whose time is over, the longest over first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overdue<T> {
    pub rows: Vec<T>,
    /// Why rows among them cannot be read: each is left out, and the others are none the worse.
    pub unreadable: Vec<String>,
    /// Where to go on; absent at the end.
    pub next: Option<SweepPlace>,
}
