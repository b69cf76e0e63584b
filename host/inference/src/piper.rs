//! Piper's voices: text becomes phonemes (eSpeak NG, as a program of its own), and phonemes become sound by one network.
//!
//! The network is VITS (Kim et al., “Conditional Variational Autoencoder with Adversarial Learning for End-to-End Text-to-Speech”,
//! arXiv:2106.06103), as an ONNX file that rten runs on the CPU. Phonemes, ids and the description beside the network are those of
//! Piper's training (rhasspy/piper and piper-phonemize, whose documentation and formats are followed).

mod clauses;
mod model;
mod phonemes;
mod voice;

pub use clauses::{Clause, sentences};
pub use model::{LENGTH_MAX, LENGTH_MIN, PHONEMES_MAX, PiperInfo, PiperModel};
pub use phonemes::{PHONEMES_BYTES_MAX, Phonemizer};
pub use voice::{Scales, Voice};
