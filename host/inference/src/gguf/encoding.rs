//! How tensors are encoded in a file: ggml's block layouts, as the GGUF specification and ggml's `ggml-common.h` define them.

use crate::error::ModelError;

/// An encoding of numbers, `ggml_type` of the specification. The variants' names are the specification's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// IEEE 754, 32 bits.
    F32,
    /// IEEE 754, 16 bits.
    F16,
    /// The upper half of an F32.
    BF16,
    /// 32 numbers of 4 bits and a scale.
    Q4_0,
    /// 32 numbers of 4 bits, a scale and a minimum.
    Q4_1,
    /// 32 numbers of 5 bits and a scale.
    Q5_0,
    /// 32 numbers of 5 bits, a scale and a minimum.
    Q5_1,
    /// 32 numbers of 8 bits and a scale.
    Q8_0,
    /// 256 numbers of 4 bits; eight scales and minima of 6 bits, themselves scaled.
    Q4K,
    /// 256 numbers of 5 bits; eight scales and minima of 6 bits, themselves scaled.
    Q5K,
    /// 256 numbers of 6 bits; sixteen scales of 8 bits, themselves scaled.
    Q6K,
}

impl Encoding {
    /// The encoding with this code in a file.
    ///
    /// # Errors
    /// [`ModelError::Unsupported`] names the code.
    pub fn from_code(code: u32) -> Result<Self, ModelError> {
        Ok(match code {
            0 => Self::F32,
            1 => Self::F16,
            2 => Self::Q4_0,
            3 => Self::Q4_1,
            6 => Self::Q5_0,
            7 => Self::Q5_1,
            8 => Self::Q8_0,
            12 => Self::Q4K,
            13 => Self::Q5K,
            14 => Self::Q6K,
            30 => Self::BF16,
            other => {
                return Err(ModelError::Unsupported {
                    what: "tensor encoding",
                    found: other.to_string(),
                    known: "F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q4_K, Q5_K and Q6_K",
                });
            }
        })
    }

    /// Numbers that are encoded together.
    pub fn block_size(self) -> usize {
        match self {
            Self::F32 | Self::F16 | Self::BF16 => 1,
            Self::Q4_0 | Self::Q4_1 | Self::Q5_0 | Self::Q5_1 | Self::Q8_0 => 32,
            Self::Q4K | Self::Q5K | Self::Q6K => 256,
        }
    }

    /// Bytes of such a block.
    pub fn block_bytes(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::BF16 => 2,
            Self::Q4_0 => 18,
            Self::Q4_1 => 20,
            Self::Q5_0 => 22,
            Self::Q5_1 => 24,
            Self::Q8_0 => 34,
            Self::Q4K => 144,
            Self::Q5K => 176,
            Self::Q6K => 210,
        }
    }

    /// Decode whole blocks: `bytes` of them into as many `values`.
    ///
    /// # Panics
    /// Where the two lengths do not belong together.
    pub fn decode(self, bytes: &[u8], values: &mut [f32]) {
        let (size, length) = (self.block_size(), self.block_bytes());
        assert_eq!(bytes.len() / length * size, values.len(), "bytes and values do not belong together");
        let blocks = bytes.chunks_exact(length).zip(values.chunks_exact_mut(size));
        match self {
            Self::F32 => blocks.for_each(|(b, y)| y[0] = f32::from_le_bytes([b[0], b[1], b[2], b[3]])),
            Self::F16 => blocks.for_each(|(b, y)| y[0] = half_at(b, 0)),
            Self::BF16 => blocks.for_each(|(b, y)| y[0] = f32::from_bits(u32::from(word_at(b, 0)) << 16)),
            Self::Q4_0 => blocks.for_each(|(b, y)| {
                let scale = half_at(b, 0);
                nibbles(&b[2..], y, |q| scale * (f32::from(q) - 8.0));
            }),
            Self::Q4_1 => blocks.for_each(|(b, y)| {
                let (scale, least) = (half_at(b, 0), half_at(b, 2));
                nibbles(&b[4..], y, |q| scale * f32::from(q) + least);
            }),
            Self::Q5_0 => blocks.for_each(|(b, y)| {
                let scale = half_at(b, 0);
                fives(&b[2..6], &b[6..], y, |q| scale * (f32::from(q) - 16.0));
            }),
            Self::Q5_1 => blocks.for_each(|(b, y)| {
                let (scale, least) = (half_at(b, 0), half_at(b, 2));
                fives(&b[4..8], &b[8..], y, |q| scale * f32::from(q) + least);
            }),
            Self::Q8_0 => blocks.for_each(|(b, y)| {
                let scale = half_at(b, 0);
                y.iter_mut().zip(&b[2..]).for_each(|(y, q)| *y = scale * f32::from(*q as i8));
            }),
            Self::Q4K | Self::Q5K => blocks.for_each(|(b, y)| decode_k(self, b, y)),
            Self::Q6K => blocks.for_each(|(b, y)| decode_q6k(b, y)),
        }
    }
}

pub(crate) fn word_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn half_at(bytes: &[u8], at: usize) -> f32 {
    half::f16::from_bits(word_at(bytes, at)).to_f32()
}

/// Low nibbles are the first half of a block, high nibbles the second.
fn nibbles(bytes: &[u8], values: &mut [f32], value: impl Fn(u8) -> f32) {
    let (low, high) = values.split_at_mut(16);
    for ((byte, low), high) in bytes.iter().zip(low).zip(high) {
        *low = value(byte & 15);
        *high = value(byte >> 4);
    }
}

fn fives(fifth: &[u8], bytes: &[u8], values: &mut [f32], value: impl Fn(u8) -> f32) {
    let fifth = u32::from_le_bytes([fifth[0], fifth[1], fifth[2], fifth[3]]);
    for at in 0..16 {
        let bit = |place: usize| ((fifth >> place & 1) as u8) << 4;
        values[at] = value(bytes[at] & 15 | bit(at));
        values[at + 16] = value(bytes[at] >> 4 | bit(at + 16));
    }
}

/// The 6-bit scale and minimum of one of the eight parts of a K block.
pub(crate) fn scale_and_least(packed: &[u8], part: usize) -> (u8, u8) {
    if part < 4 {
        return (packed[part] & 63, packed[part + 4] & 63);
    }
    let shared = packed[part + 4];
    (shared & 15 | (packed[part - 4] >> 6) << 4, shared >> 4 | (packed[part] >> 6) << 4)
}

fn decode_k(encoding: Encoding, block: &[u8], values: &mut [f32]) {
    let (scale, least) = (half_at(block, 0), half_at(block, 2));
    let quants = &block[if encoding == Encoding::Q5K { 48 } else { 16 }..];
    for (part, values) in values.chunks_exact_mut(32).enumerate() {
        let (s, m) = scale_and_least(&block[4..16], part);
        let (scale, least) = (scale * f32::from(s), least * f32::from(m));
        for (at, value) in values.iter_mut().enumerate() {
            let four = quants[part / 2 * 32 + at] >> (4 * (part % 2)) & 15;
            let fifth = if encoding == Encoding::Q5K { (block[16 + at] >> part & 1) << 4 } else { 0 };
            *value = scale * f32::from(four | fifth) - least;
        }
    }
}

fn decode_q6k(block: &[u8], values: &mut [f32]) {
    let scale = half_at(block, 208);
    for (at, value) in values.iter_mut().enumerate() {
        let (half, within) = (at / 128, at % 128);
        let (quarter, place) = (within / 32, within % 32);
        let low = block[half * 64 + (quarter % 2) * 32 + place] >> (4 * (quarter / 2)) & 15;
        let high = block[128 + half * 32 + place] >> (2 * quarter) & 3;
        let part = block[192 + half * 8 + within / 16] as i8;
        *value = scale * f32::from(part) * (f32::from(low | high << 4) - 32.0);
    }
}
