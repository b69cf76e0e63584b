//! In-house models: weights by hash, a llama-family text model and a BERT-family encoder on the CPU, and engines that several
//! requests share.
//!
//! ```no_run
//! use atelier_inference::{ChatRequest, Engine, EngineConfig, Role, TextEngine, WeightsSource, weights};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let source = weights::SMOLLM2_135M_INSTRUCT;
//! let source = WeightsSource::Published { source, cache_dir: weights::cache_dir()? };
//! let engine = Engine::lazy(source, EngineConfig::default());
//! let request = ChatRequest::new([(Role::User, "What is the capital of France?")]).with_max_tokens(32);
//! let (answer, _) = engine.generate(request).await?.collect().await?;
//! println!("{answer}");
//! # Ok(())
//! # }
//! ```
//!
//! [`TextEngine`] is the port; [`Engine`] stands behind it, as [`Embedder`] stands behind [`EmbeddingEngine`]. A model file is data from outside: [`gguf`] bounds what
//! its header may claim, and [`TextModel`] decides from the header what memory the model takes before reading weights.

pub mod bert;
mod chat_template;
pub mod ctranslate2;
pub mod dcgan;
mod dimension;
mod embedding;
mod engine;
mod error;
pub mod esrgan;
mod floats;
mod folder;
mod generation;
pub mod gguf;
mod grammar;
mod imaging;
pub mod kernels;
mod language;
mod layers;
pub mod llama;
mod loading;
mod model;
pub mod ncnn;
mod onnx;
mod pace;
mod picture;
pub mod piper;
pub mod planner;
mod pretrained;
mod request;
mod residency;
mod running;
pub mod safetensors;
mod sampler;
mod speech;
pub mod style;
mod tensors;
mod text_stream;
mod tokenizer;
pub mod torch;
mod transcription;
pub mod weights;
pub mod whisper;

pub use bert::{BertInfo, BertModel};
pub use embedding::{
    Embedder, EmbedderConfig, EmbeddingEngine, EmbeddingInput, EmbeddingRequest, Embeddings, TEXT_BYTES_MAX,
};
pub use engine::{Card, Engine, EngineConfig, EngineState, TextEngine, TextLoad, WeightsSource};
pub use error::{EngineError, FetchError, ModelError, PhonemizerError};
pub use generation::{Event, FinishReason, Generation, GenerationSender, TokenLogprob, TopLogprob};
pub use grammar::{
    ALTERNATIVES_MAX, Constraint, Grammars, PATTERNS_MAX, REFERENCES_MAX, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX,
};
pub use imaging::{
    ImageConfig, ImageEngine, ImageFamily, ImageInfo, ImageMaker, ImageRequest, Making, PiecesDone,
};
pub use llama::{Precision, Slice};
pub use model::{ModelInfo, PREFILL_TOKENS_MAX, TextCache, TextModel};
pub use picture::Picture;
pub use request::{
    AnswerFormat, ChatRequest, LOGIT_BIASES_MAX, Message, REPETITION_PENALTY_MAX, Role, STOP_BYTES_MAX,
    STOP_SEQUENCES_MAX, TOP_LOGPROBS_MAX,
};
pub use residency::{Budget, ROOM_WAITED_MAX};
pub use sampler::{Choice, Logprobs, Sampler};
pub use speech::{SPEED_MAX, SPEED_MIN, Speech, SpeechEngine, SpeechRequest, Synthesizer, SynthesizerConfig};
pub use text_stream::TextStream;
pub use tokenizer::Tokenizer;
pub use transcription::{Transcriber, TranscriberConfig, Transcription, TranscriptionEngine};
pub use whisper::{WhisperInfo, WhisperModel};
