//! The deterministic content of every answer.

mod schema;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub(crate) use schema::instance;

use crate::call::Call;
use crate::fault::FaultKind;

/// What a conversation asks for, whichever provider's shape it came in.
#[derive(Debug, Default)]
pub(crate) struct Prompt {
    /// The text of the last message that a user wrote.
    pub last_user_text: String,
    /// Images in the whole conversation.
    pub images: usize,
    /// Words in the whole conversation, which stand for tokens.
    pub input_tokens: usize,
    /// What a tool answered, when the conversation ends with that.
    pub tool_result: Option<String>,
}

impl Prompt {
    /// Add one message's content: a text, or a list of parts.
    pub fn add(&mut self, role: &str, content: &Value) {
        let mut text = String::new();
        let mut result = None;
        match content {
            Value::String(whole) => text.push_str(whole),
            Value::Array(parts) => {
                for part in parts {
                    let kind = part["type"].as_str().unwrap_or_default();
                    self.images += usize::from(matches!(kind, "image_url" | "image" | "input_image"));
                    if kind == "tool_result" {
                        let inner = &part["content"];
                        result = Some(inner.as_str().map_or_else(|| inner.to_string(), str::to_owned));
                    }
                    text.push_str(part["text"].as_str().unwrap_or_default());
                }
            }
            _ => {}
        }
        self.input_tokens += text.split_whitespace().count();
        if role == "tool" {
            result = Some(text.clone());
        }
        if role == "user" && result.is_none() {
            self.last_user_text = text;
        }
        self.tool_result = result;
    }

    /// Whether the answer is to be a tool call.
    pub fn wants_tool(&self, forced: bool) -> bool {
        self.tool_result.is_none() && (forced || self.last_user_text.to_lowercase().contains("weather"))
    }

    /// The answer's text.
    pub fn text(&self) -> String {
        let mut text = format!("Hello from the mock: {}", self.last_user_text);
        if self.images > 0 {
            let noun = if self.images == 1 { "image" } else { "images" };
            text.push_str(&format!(" (with {} {noun})", self.images));
        }
        if let Some(result) = &self.tool_result {
            text.push_str(&format!(" (the tool said: {result})"));
        }
        text
    }
}

/// An answer cut into the pieces that a stream sends, each of which counts as one token.
pub(crate) fn tokens(call: &Call, text: &str) -> Vec<String> {
    if call.has_fault(FaultKind::EchoSplit) {
        return fragments(text, 3);
    }
    text.split_inclusive(' ').map(str::to_owned).collect()
}

/// A text in pieces of so many characters.
pub(crate) fn fragments(text: &str, length: usize) -> Vec<String> {
    let letters: Vec<char> = text.chars().collect();
    letters.chunks(length).map(|piece| piece.iter().collect()).collect()
}

/// A 64-bit FNV-1a hash: the seed of everything that is to depend on a text.
pub(crate) fn seed(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

/// A unit vector that depends on the text alone.
pub(crate) fn embedding(text: &str, dimensions: usize) -> Vec<f32> {
    let mut state = seed(text);
    let mut next = || {
        // SplitMix64: any generator that is the same everywhere would do.
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        ((mixed >> 40) as f32 / (1u32 << 23) as f32) - 1.0
    };
    let mut vector: Vec<f32> = (0..dimensions).map(|_| next()).collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
