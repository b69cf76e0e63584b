//! Which part of a picture is computed at a time.

use crate::kernels::image::Size;

/// Every tile and window begins on this grid, which is that of the convolution's squares: the same pixels are in the same square.
pub(super) const GRID: usize = 4;

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    /// The first line.
    pub top: usize,
    /// The first column.
    pub left: usize,
    /// Lines.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// One piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tile {
    /// What is kept of it.
    pub core: Rectangle,
    /// What is computed: the core and its border, as far as the picture goes.
    pub window: Rectangle,
}

/// Tiles that cover a picture once, each with a core of up to `side` by `side`.
pub(super) fn tiles(size: Size, side: usize, border: usize) -> Vec<Tile> {
    let columns = spans(size.width, side, border);
    let lines = spans(size.height, side, border);
    let tile = |((top, height), (window_top, window_height)): Spans,
                ((left, width), (window_left, window_width)): Spans| Tile {
        core: Rectangle { top, left, height, width },
        window: Rectangle { top: window_top, left: window_left, height: window_height, width: window_width },
    };
    lines.iter().flat_map(|line| columns.iter().map(|column| tile(*line, *column))).collect()
}

/// Starts and lengths of a core and its window.
type Spans = ((usize, usize), (usize, usize));

/// As few as can be, of nearly the same length.
fn spans(length: usize, side: usize, border: usize) -> Vec<Spans> {
    let count = length.div_ceil(side).max(1);
    let each = length.div_ceil(count).next_multiple_of(GRID);
    (0..length)
        .step_by(each)
        .map(|start| {
            let end = (start + each).min(length);
            let (from, to) = (start.saturating_sub(border), (end + border).min(length));
            ((start, end - start), (from, to - from))
        })
        .collect()
}
