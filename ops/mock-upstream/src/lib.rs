//! The far end of the wire for tests and benchmarks: one server that speaks the
//! protocols of OpenAI, Anthropic, Replicate, ElevenLabs, Ollama and Gemini,
//! answers deterministically, misbehaves on request and remembers what it was
//! asked.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), mock_upstream::StartError> {
//! use mock_upstream::{Config, MockUpstream};
//!
//! let upstream = MockUpstream::start(Config::default()).await?;
//! println!("point the client at {}/v1", upstream.url());
//! assert!(upstream.requests().is_empty());
//! # Ok(())
//! # }
//! ```
//!
//! A fault is asked for by the model's name (`mock-chat+cut`), by the request
//! header `x-mock-fault: drip=50`, for the next few requests
//! ([`MockUpstream::fault_next`]) or for all of them ([`Config::fault`]).
//! [`Fault`] lists them.

mod answer;
mod anthropic;
mod call;
mod chaos;
mod config;
mod connection;
mod control;
mod dialect;
mod elevenlabs;
mod fault;
mod gate;
mod gemini;
pub mod instant;
mod journal;
mod media;
mod ollama;
mod openai;
mod replicate;
mod reply;
mod server;
mod shelf;

pub use config::Config;
pub use dialect::Dialect;
pub use fault::{Fault, FaultKind, UnknownFault};
pub use journal::{Charge, Charges, Ending, RecordedRequest, RecordedWebhook, Spoilt};
pub use replicate::webhook::sign as sign_webhook;
pub use server::{MockUpstream, StartError, WaitError};
