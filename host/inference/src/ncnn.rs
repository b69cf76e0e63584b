//! Models as ncnn stores them: a graph as lines of text (`.param`) and its weights behind one another (`.bin`).
//!
//! The formats are those of ncnn's wiki, “param and model file structure”. Only the layers that the families here use are read. Both files
//! are data from outside: every count is bounded, nothing is allocated by a number that a file claims, and an error names its line or byte.

mod graph;
mod operation;
mod weights;

pub use graph::{Graph, Layer, Limits};
pub use operation::{Operation, Resize};
pub use weights::{LayerWeights, Span, WeightFile, Weights};
