//! What a plugin's author works with, behind `atelier plugin new|build|check|test|sign`.
//!
//! [`template`] writes a plugin to begin with, [`build`] makes its file, [`check`] reads a file and tells all mistakes at once,
//! [`conformance`] holds a plugin against what the contract promises, and [`sign`] signs it. The suite runs the plugin in the
//! host's own sandbox, with a clock and randomness that never change, against an [`upstream`] that replays
//! [recorded exchanges](exchange) and misbehaves on purpose.

pub mod bench;
pub mod build;
pub mod cases;
pub mod check;
pub mod clock;
pub mod conformance;
pub mod exchange;
pub mod report;
pub mod sign;
pub mod template;
pub mod upstream;
