//! The sandbox: providers as WebAssembly components.
//!
//! The only importer of `wasmtime`. A [`Sandbox`] compiles, examines and loads components; a [`SandboxedProvider`] is one
//! configured instance of a plugin behind the domain's [`Provider`](atelier_domain::provider::Provider) port. Each call gets a
//! fresh instance with its own limits, two clocks, and one way out: [`egress`].

mod artefact;
mod blank;
mod breaker;
mod call;
mod cpu;
pub mod egress;
mod engine;
mod fresh;
#[doc(hidden)]
pub mod fuzzing;
mod host_state;
mod lane;
mod limits;
mod package;
mod provider;
mod sandbox;
mod session;
mod traffic;
mod v0_1;

pub use artefact::{CompileError, CompileLimits, Compiler, compile_in_this_process};
pub use call::{CallReport, NoObserver, Observer};
pub use host_state::Used;
pub use limits::Profile;
pub use package::{Examination, FILE_BYTES_MAX, Package, PackageError, examine};
pub use provider::{InstanceSettings, InvalidInstance, SandboxedProvider};
pub use sandbox::{LoadedPlugin, Sandbox, SandboxConfig, SandboxError};
pub use traffic::retry_after;
pub use v0_1::imports::quota::QuotaWindow;
