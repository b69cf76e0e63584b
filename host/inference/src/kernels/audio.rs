//! What models of sound compute with beside [`Kernels`]: convolutions along time, and attention to another sequence.

use super::Kernels;

/// The operations of speech models on one device. Shapes that do not fit each other are bugs of the caller and panic, as with
/// [`Kernels`].
pub trait AudioKernels: Kernels {
    /// Convolution along time. `x` has a row per moment and a column per channel; `weight` has a row per output and, as its
    /// columns, the channels of the first moment that it sees, those of the second, and so on. Row `t` of `out` begins at
    /// moment `t·stride − padding`; moments outside of `x` are zeros.
    ///
    /// A short-time Fourier transform is one of a single channel whose weights are windowed cosines and sines.
    fn conv1d(
        &self,
        x: &Self::Tensor,
        weight: &Self::Matrix,
        stride: usize,
        padding: usize,
        out: &mut Self::Tensor,
    );

    /// `out[i][j] = x[i][j]² + x[i][j + n]²`, where `out` has `n` columns and `x` has `2n`: the power of a spectrum whose real
    /// parts come first.
    fn power(&self, x: &Self::Tensor, out: &mut Self::Tensor);

    /// Attention of `queries` in which every row sees the first `length` rows of another sequence, whose keys and values are in
    /// `pages`, for one block of the model.
    fn attend_across(
        &self,
        queries: &Self::Tensor,
        block: usize,
        pages: &[Self::Page],
        length: usize,
        out: &mut Self::Tensor,
    );

    /// How much of its attention each row of `queries` gives to each row of the other sequence, by one head of
    /// [`AudioKernels::attend_across`]: `out` has a row per query and `length` columns, and its rows sum to 1.
    fn attention_across(
        &self,
        queries: &Self::Tensor,
        block: usize,
        head: usize,
        pages: &[Self::Page],
        out: &mut Self::Tensor,
    );
}
