//! Pictures as bytes.

use std::fmt;

use crate::kernels::image::Size;

/// Red, green and blue, and where so alpha, a byte each, pixel by pixel, line by line.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    width: usize,
    height: usize,
    channels: usize,
    bytes: Vec<u8>,
}

impl Picture {
    /// A picture of 3 channels, or of 4 with alpha. None where it has no pixel or the bytes do not fit.
    pub fn new(width: usize, height: usize, channels: usize, bytes: Vec<u8>) -> Option<Self> {
        let needed = width.checked_mul(height)?.checked_mul(channels)?;
        (needed > 0 && matches!(channels, 3 | 4) && needed == bytes.len()).then_some(Self {
            width,
            height,
            channels,
            bytes,
        })
    }

    pub(crate) fn black(width: usize, height: usize, channels: usize) -> Self {
        Self { width, height, channels, bytes: vec![0; width * height * channels] }
    }

    /// Pixels of a line.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Lines.
    pub fn height(&self) -> usize {
        self.height
    }

    /// 3, or 4 with alpha.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// All bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// All bytes, without copying them.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    pub(crate) fn size(&self) -> Size {
        Size { height: self.height, width: self.width }
    }

    /// Where a pixel's bytes begin.
    pub(crate) fn at(&self, line: usize, column: usize) -> usize {
        (line * self.width + column) * self.channels
    }
}

impl fmt::Debug for Picture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { width, height, channels, .. } = self;
        write!(f, "Picture({width}×{height}, {channels} channels)")
    }
}
