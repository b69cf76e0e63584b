//! Reading checkpoints of PyTorch: tensors by name, and nothing else.
//!
//! Follows what PyTorch says of its files (<https://docs.pytorch.org/docs/stable/notes/serialization.html>): a zip archive whose `data.pkl`
//! is a pickle of the names and shapes, beside a `data/KEY` for each storage, not compressed. Python's reader runs whatever a pickle
//! names; this one knows the opcodes and the few names that a dictionary of tensors needs, builds nothing else and refuses the rest.

mod checkpoint;
mod machine;
mod pickle;

pub use checkpoint::Checkpoint;
pub use pickle::{Dtype, Limits, StateDict, TensorEntry};
