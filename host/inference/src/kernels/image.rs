//! What models of pictures compute with beside [`Kernels`].

use super::Kernels;
use crate::error::ModelError;

/// Height and width in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
}

impl Size {
    /// All pixels.
    pub fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Both sides so many times as long.
    #[must_use]
    pub fn times(self, factor: usize) -> Self {
        Self { height: self.height * factor, width: self.width * factor }
    }
}

/// A 3×3 convolution as a file has it.
#[derive(Clone, Copy, Debug)]
pub struct Convolution<'a> {
    /// Channels that it sees.
    pub inputs: usize,
    /// `[outputs, inputs, 3, 3]`.
    pub weights: &'a [f32],
    /// One for each output.
    pub bias: &'a [f32],
    /// What negative results of each output are multiplied with (He et al., arXiv:1502.01852); 1 leaves them as they are.
    pub slopes: &'a [f32],
}

/// What is done to each number of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// What is negative becomes 0.
    Relu,
    /// The hyperbolic tangent.
    Tanh,
}

/// How a square filter lies over a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taps {
    /// The filter's side.
    pub side: usize,
    /// Pixels of the larger picture from one place of the filter to the next.
    pub stride: usize,
    /// Pixels that are cut off on every side of the larger picture.
    pub padding: usize,
}

impl Taps {
    /// The size of what [`ImageKernels::fold`] gives.
    pub fn spread(self, size: Size) -> Size {
        let side = |length: usize| (length - 1) * self.stride + self.side - 2 * self.padding;
        Size { height: side(size.height), width: side(size.width) }
    }
}

/// The operations of picture models on one device. A picture is a tensor with a row per pixel, line by line, and a column per channel. Shapes
/// that do not fit each other are bugs of the caller and panic, as with [`Kernels`].
pub trait ImageKernels: Kernels {
    /// A convolution's weights on the device, in whatever layout it wants.
    type Filter: std::fmt::Debug + Send + Sync;

    /// Bring a convolution to the device.
    ///
    /// # Errors
    /// As [`Kernels::tensor`].
    fn filter(&self, convolution: Convolution<'_>) -> Result<Self::Filter, ModelError>;

    /// Bytes that [`ImageKernels::filter`] will take.
    fn filter_bytes(inputs: usize, outputs: usize) -> u64;

    /// Bytes that [`ImageKernels::conv3x3`] takes while it runs.
    fn scratch_bytes(&self, inputs: usize, outputs: usize) -> u64;

    /// Convolution with a border of one zero. `parts` are pictures of `size` whose channels stand behind each other, never copied together.
    fn conv3x3(&self, parts: &[&Self::Tensor], size: Size, filter: &Self::Filter, out: &mut Self::Tensor);

    /// `out = x · factors[0] + y · factors[1]`.
    fn weighted_sum(&self, x: &Self::Tensor, y: &Self::Tensor, factors: [f32; 2], out: &mut Self::Tensor);

    /// Channel `c·factor² + i·factor + j` of a pixel becomes channel `c` of the pixel at row `i` and column `j` of its square (Shi et al.,
    /// arXiv:1609.05158).
    fn pixel_shuffle(&self, x: &Self::Tensor, size: Size, factor: usize, out: &mut Self::Tensor);

    /// Every pixel becomes a square of `factor` by `factor` pixels.
    fn nearest(&self, x: &Self::Tensor, size: Size, factor: usize, out: &mut Self::Tensor);

    /// Cubic convolution with a = −0.75 (Keys 1981), pixels as areas whose centres do not align at the corners; beyond the border is the
    /// border's pixel.
    fn cubic(&self, x: &Self::Tensor, from: Size, to: Size, out: &mut Self::Tensor);

    /// The second half of a transposed convolution (Dumoulin and Visin, arXiv:1603.07285), of which [`Kernels::linear`] is the first: `x` has
    /// for each pixel of `size` what it adds to `side²` pixels of the larger picture, tap by tap, line by line, each with the channels of
    /// `out`. `out` is the sum at each of its pixels plus `bias`, one row, through `activation`.
    fn fold(
        &self,
        x: &Self::Tensor,
        size: Size,
        taps: Taps,
        bias: &Self::Tensor,
        activation: Activation,
        out: &mut Self::Tensor,
    );
}
