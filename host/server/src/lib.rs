//! The server: configuration, HTTP, command line, telemetry. [`app`] is the only place where concrete types are built.

mod admin;
pub mod app;
pub(crate) mod backup;
pub mod cli;
pub mod config;
#[doc(hidden)]
pub mod fuzzing;
pub mod heap;
pub mod http;
mod key_file;
mod listener;
mod local;
mod mail_sender;
mod metrics;
mod pieces;
mod plugin_host;
mod sealing;
mod telemetry;
mod webhook_sender;
mod workers;
