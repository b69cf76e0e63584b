//! The steps that `cargo xtask` (all plugins of this repository) and `atelier plugin` (one plugin of an author's) have in common.
//!
//! [`toolchain`] finds or fetches a compiler for WebAssembly, [`compile`] turns a crate into a component with it, [`key`] keeps
//! key pairs for signing. What comes after, from a component to a plugin's file, is the crate `plugin-package`.

pub mod apt;
pub mod cache;
pub mod compile;
pub mod key;
pub mod process;
pub mod progress;
pub mod toolchain;
