//! The provider contract `atelier:provider@0.1`, as seen from the host.

pub mod bindings;
pub mod convert;
pub mod exports;
pub mod imports;
