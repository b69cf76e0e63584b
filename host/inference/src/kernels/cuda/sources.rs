//! Our CUDA sources, and the programs that are made of them.

use crate::gguf::Encoding;

/// Every encoding, in the order of the enumeration in `encodings.cuh`.
pub const ENCODINGS: [Encoding; 11] = [
    Encoding::F32,
    Encoding::F16,
    Encoding::BF16,
    Encoding::Q4_0,
    Encoding::Q4_1,
    Encoding::Q5_0,
    Encoding::Q5_1,
    Encoding::Q8_0,
    Encoding::Q4K,
    Encoding::Q5K,
    Encoding::Q6K,
];

/// What is compiled, loaded and launched together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Program {
    /// Norms, activations, sums and rotations of rows.
    Rows,
    /// Attention over pages.
    Attention,
    /// Products with matrices of one encoding.
    Products(Encoding),
}

/// Types that all programs share.
pub const TYPES: &str = include_str!("types.cuh");
/// Values out of encoded blocks; compiles for the host too.
pub const DECODERS: &str = include_str!("encodings.cuh");

impl Program {
    /// Every program there is.
    pub fn all() -> impl Iterator<Item = Self> {
        [Self::Rows, Self::Attention].into_iter().chain(ENCODINGS.map(Self::Products))
    }

    /// The whole source; messages name the file and line in this folder.
    pub fn source(self) -> String {
        match self {
            Self::Rows => format!("{TYPES}#line 1 \"rows.cu\"\n{}", include_str!("rows.cu")),
            Self::Attention => format!("{TYPES}#line 1 \"attention.cu\"\n{}", include_str!("attention.cu")),
            Self::Products(encoding) => format!(
                "#define ENCODING {}\n{TYPES}#line 1 \"encodings.cuh\"\n{DECODERS}#line 1 \"products.cu\"\n{}",
                number(encoding),
                include_str!("products.cu")
            ),
        }
    }

    /// The kernels in it.
    pub fn kernels(self) -> &'static [&'static str] {
        match self {
            Self::Rows => &[
                "rms_norm",
                "layer_norm",
                "softmax",
                "swiglu",
                "gelu",
                "add",
                "add_bias",
                "take_rows",
                "rope",
            ],
            Self::Attention => &[
                "store",
                "gather",
                "attend_1_2",
                "attend_1_4",
                "attend_1_8",
                "attend_4_2",
                "attend_4_4",
                "attend_4_8",
                "attend_8_2",
                "attend_8_4",
                "attend_8_8",
            ],
            Self::Products(_) => &["few_rows_1", "few_rows_4", "few_rows_8", "many_rows", "embed"],
        }
    }
}

/// The number that sources know an encoding by.
pub(super) fn number(encoding: Encoding) -> usize {
    ENCODINGS.iter().position(|known| *known == encoding).unwrap_or(ENCODINGS.len())
}
