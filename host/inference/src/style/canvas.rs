//! What the network computes in place of a picture: one with sides that it takes.

use crate::kernels::image::Size;
use crate::picture::Picture;

/// The network makes a picture smaller by this factor and larger again.
const STRIDE: usize = 4;
/// The least side: smaller ones are not what the published network is meant for, and below 8 it cannot reflect its borders.
const SIDE_MIN: usize = 32;

/// A picture continued on the right and below, by reflection about its last pixels.
pub(super) struct Canvas {
    pub(super) size: Size,
}

impl Canvas {
    /// The least canvas for a picture.
    pub(super) fn new(picture: Size) -> Self {
        let side = |side: usize| side.max(SIDE_MIN).next_multiple_of(STRIDE);
        Self { size: Size { height: side(picture.height), width: side(picture.width) } }
    }

    /// Its pixels. None: more than can be counted.
    pub(super) fn pixels(&self) -> Option<usize> {
        self.size.height.checked_mul(self.size.width)
    }

    /// The most pixels of a canvas for pictures of so many: room for the smallest, and for rounding the sides of the largest up where they
    /// are not all too different.
    pub(super) fn pixels_max(picture: usize) -> usize {
        picture.saturating_add(picture / 64).saturating_add(SIDE_MIN * SIDE_MIN)
    }

    /// Red, then green, then blue, from 0 to 1.
    pub(super) fn colours(&self, picture: &Picture) -> Vec<f32> {
        let (Size { height, width }, bytes) = (self.size, picture.bytes());
        let columns: Vec<usize> = (0..width).map(|column| reflected(column, picture.width())).collect();
        let mut found = Vec::with_capacity(3 * height * width);
        for colour in 0..3 {
            for line in 0..height {
                let line = reflected(line, picture.height());
                let bytes = columns.iter().map(|column| bytes[picture.at(line, *column) + colour]);
                found.extend(bytes.map(|byte| f32::from(byte) / 255.0));
            }
        }
        found
    }

    /// The picture with these colours, in the order of [`Canvas::colours`], and with the alpha that it had.
    pub(super) fn painted(&self, picture: &Picture, colours: &[f32]) -> Picture {
        let Size { height, width } = self.size;
        let mut found = picture.clone();
        for line in 0..picture.height() {
            for column in 0..picture.width() {
                let at = picture.at(line, column);
                for (colour, byte) in found.bytes_mut()[at..at + 3].iter_mut().enumerate() {
                    let value = colours[(colour * height + line) * width + column];
                    *byte = (value.clamp(0.0, 1.0) * 255.0).round() as u8;
                }
            }
        }
        found
    }
}

/// Which of `count` pixels in a row stands at `at`, where the row goes on by going back and forth: 0 1 2 1 0 1 …
fn reflected(at: usize, count: usize) -> usize {
    let last = count - 1;
    if last == 0 {
        return 0;
    }
    let at = at % (2 * last);
    at.min(2 * last - at)
}

#[cfg(test)]
mod tests {
    use super::{Canvas, reflected};
    use crate::kernels::image::Size;

    #[test]
    fn a_row_goes_on_by_going_back_and_forth() {
        let row = |count: usize| (0..7).map(|at| reflected(at, count)).collect::<Vec<_>>();
        assert_eq!(row(1), [0; 7]);
        assert_eq!(row(2), [0, 1, 0, 1, 0, 1, 0]);
        assert_eq!(row(4), [0, 1, 2, 3, 2, 1, 0]);
    }

    #[test]
    fn sides_are_multiples_of_four_and_never_too_small() {
        let of = |height, width| Canvas::new(Size { height, width }).size;
        assert_eq!(of(1, 33), Size { height: 32, width: 36 });
        assert_eq!(of(64, 65), Size { height: 64, width: 68 });
    }

    #[test]
    fn every_picture_of_usual_sides_has_a_canvas_within_the_bound() {
        for (height, width) in [(1, 1), (32, 32), (97, 101), (1021, 1025), (301, 2401)] {
            let pixels = Canvas::new(Size { height, width }).pixels();
            assert!(pixels.is_some_and(|pixels| pixels <= Canvas::pixels_max(height * width)));
        }
    }
}
