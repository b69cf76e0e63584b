//! Reading safetensors files.
//!
//! Follows the format's own description (<https://github.com/huggingface/safetensors#format>): the header's length in
//! eight bytes, the header in JSON, then the tensors' bytes, little-endian, without holes. The crate of the same name
//! wants the whole file in memory or mapped; this reader takes the header alone, under [`Limits`], and then one tensor at
//! a time. A file comes from outside, so nothing in it is believed before it is checked against the file's length.

mod dtype;
mod header;
mod read;

pub use dtype::Dtype;
pub use header::{Header, Limits, TensorEntry};
pub use read::TensorReader;
