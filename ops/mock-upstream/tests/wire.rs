//! The mock upstream through real sockets.

#![expect(
    clippy::unwrap_used,
    reason = "clippy.toml allows it in tests, but does not see the tests' own client"
)]

#[path = "wire/client.rs"]
mod client;

#[path = "wire/anthropic.rs"]
mod anthropic;
#[path = "wire/control.rs"]
mod control;
#[path = "wire/faults.rs"]
mod faults;
#[path = "wire/gemini.rs"]
mod gemini;
#[path = "wire/instant.rs"]
mod instant;
#[path = "wire/openai.rs"]
mod openai;
#[path = "wire/openai_media.rs"]
mod openai_media;
#[path = "wire/others.rs"]
mod others;
#[path = "wire/replicate.rs"]
mod replicate;
