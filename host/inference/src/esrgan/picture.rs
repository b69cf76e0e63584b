//! Pieces of pictures, and pictures out of pieces.

use super::tiles::{Rectangle, Tile};
use crate::picture::Picture;

impl Picture {
    /// Colours from 0 to 1.
    pub(super) fn window(&self, window: Rectangle) -> Vec<f32> {
        let mut values = Vec::with_capacity(window.width * window.height * 3);
        for line in window.top..window.top + window.height {
            let from = self.at(line, window.left);
            let pixels =
                self.bytes()[from..from + window.width * self.channels()].chunks_exact(self.channels());
            values.extend(
                pixels.flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).map(|x| f32::from(x) / 255.0),
            );
        }
        values
    }

    /// Black, `scale` times as large, with this picture's alpha.
    pub(super) fn enlarged(&self, scale: usize) -> Self {
        let (width, height, channels) = (self.width() * scale, self.height() * scale, self.channels());
        let mut out = Self::black(width, height, channels);
        if channels == 4 {
            let columns: Vec<_> = (0..width).map(|at| between(at, scale, self.width())).collect();
            for line in 0..height {
                let (above, below, down) = between(line, scale, self.height());
                for (column, (left, right, across)) in columns.iter().enumerate() {
                    let alpha = |line, column| f32::from(self.bytes()[self.at(line, column) + 3]);
                    let mix = |line| alpha(line, *left) * (1.0 - across) + alpha(line, *right) * across;
                    let at = out.at(line, column) + 3;
                    out.bytes_mut()[at] = (mix(above) * (1.0 - down) + mix(below) * down + 0.5) as u8;
                }
            }
        }
        out
    }

    /// Put a tile's core, out of the colours of its whole window, where it belongs.
    pub(super) fn place(&mut self, values: &[f32], tile: Tile, scale: usize) {
        let Tile { core, window } = tile;
        let (width, channels) = (window.width * scale, self.channels());
        for line in 0..core.height * scale {
            let from = ((core.top - window.top) * scale + line) * width + (core.left - window.left) * scale;
            let values = values[from * 3..(from + core.width * scale) * 3].as_chunks::<3>().0;
            let at = self.at(core.top * scale + line, core.left * scale);
            for (pixel, values) in self.bytes_mut()[at..].chunks_exact_mut(channels).zip(values) {
                // To the nearest; the cast stops at both ends.
                pixel.iter_mut().zip(values).for_each(|(byte, value)| *byte = (value * 255.0 + 0.5) as u8);
            }
        }
    }
}

/// The two pixels that an enlarged one lies between, and how far it is from the first.
fn between(at: usize, scale: usize, length: usize) -> (usize, usize, f32) {
    let place = ((at as f32 + 0.5) / scale as f32 - 0.5).max(0.0);
    let first = (place as usize).min(length - 1);
    (first, (first + 1).min(length - 1), place - first as f32)
}
