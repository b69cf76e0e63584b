//! What must hold for any bytes from outside.
//!
//! Each property is a function of bytes that panics where something does not hold. `targets/` lets libFuzzer look for such bytes
//! (`cargo xtask fuzz`), `tests/corpus.rs` replays `corpus/`: what the search begins with, and everything that it ever found. A file of
//! the corpus is simply what the product would read: a stream, a manifest, a form behind its content type.

mod configuration;
mod ctranslate2;
mod egress;
mod form;
mod gguf;
mod manifest;
mod memory;
mod ncnn;
mod safetensors;
mod sparse;
mod streams;
mod torch;
mod webhook;

pub use configuration::configuration;
pub use ctranslate2::ctranslate2;
pub use egress::egress_url;
pub use form::multipart;
pub use gguf::gguf;
pub use manifest::{manifest, plugin_file};
pub use ncnn::ncnn;
pub use safetensors::safetensors;
pub use streams::{ndjson, sse};
pub use torch::torch;
pub use webhook::webhook_signature;

/// A property.
pub type Property = fn(&[u8]);

/// All of them, by the names of their targets and of their folders in `corpus/`.
pub const PROPERTIES: [(&str, Property); 13] = [
    ("configuration", configuration),
    ("ctranslate2", ctranslate2),
    ("egress_url", egress_url),
    ("gguf", gguf),
    ("manifest", manifest),
    ("multipart", multipart),
    ("ncnn", ncnn),
    ("ndjson", ndjson),
    ("plugin_file", plugin_file),
    ("safetensors", safetensors),
    ("sse", sse),
    ("torch", torch),
    ("webhook_signature", webhook_signature),
];
