//! Reading CTranslate2 model files (`model.bin`).
//!
//! Follows what that project's converter writes (<https://github.com/OpenNMT/CTranslate2>, version 6 of its binary form):
//! the name and revision of a specification, then every variable as name, shape, type and bytes, little-endian, then names
//! that stand for other variables. There is no table of contents: the reader goes from variable to variable and passes
//! over their bytes, so that of any file only the names, under [`Limits`], are in memory. A file comes from outside: nothing
//! in it is believed before it is checked against the file's length.

mod header;
mod read;

pub use header::{Dtype, Header, Limits, Variable};
pub use read::VariableReader;
