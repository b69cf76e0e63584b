//! From a core WebAssembly module and a manifest to one plugin file.
//!
//! A plugin is a component whose custom section [`MANIFEST_SECTION`] holds its manifest as JSON, with a detached
//! minisign signature beside it:
//!
//! ```text
//! core module ──componentize──▶ component ──package──▶ NAME-VERSION.wasm ──sign──▶ NAME-VERSION.wasm.minisig
//! ```
//!
//! Toolchains that make components themselves (Python, JavaScript) start at the second step.

mod component;
mod manifest;
mod signature;

pub use component::{componentize, manifest_of, package, provider_version};
pub use manifest::Manifest;
pub use signature::{sign, verify};

/// The component custom section that holds the manifest as JSON.
pub const MANIFEST_SECTION: &str = "atelier:manifest";

/// Why a plugin file could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// The core module is not one that `wit-bindgen`, or a generator of the same metadata, made.
    #[error("the module does not become a component: {0}")]
    Componentize(String),
    /// The bytes are not a valid component.
    #[error("not a valid component: {0}")]
    InvalidComponent(#[from] wasmparser::BinaryReaderError),
    /// Neither an import nor an export belongs to `atelier:provider`.
    #[error(
        "the component neither imports nor exports an interface of atelier:provider: is its world the right one?"
    )]
    NoProviderInterface,
    /// Interfaces of several versions in one component.
    #[error(
        "the component mixes versions of atelier:provider ({0}): make all its bindings from one wit folder"
    )]
    MixedProviderVersions(String),
    /// The manifest is not TOML.
    #[error("the manifest is not valid TOML: {0}")]
    ManifestSyntax(#[from] toml::de::Error),
    /// The manifest has a value that JSON cannot carry, or lacks one that packaging needs.
    #[error("manifest: {0}")]
    Manifest(String),
    /// The component carries a manifest already; which of two counts would be ambiguous.
    #[error(
        "the component already carries a section `{MANIFEST_SECTION}`; package the component it was made from"
    )]
    ManifestPresent,
    /// The signature could not be made, or does not verify.
    #[error("signature: {0}")]
    Signature(#[from] minisign::PError),
}
