//! How likely tokens were, in chats and in transcripts.

use atelier_plugin_sdk::chat::{ChatEvent, TokenLogprob, TopLogprob};
use serde::Deserialize;

/// Log probabilities of an answer or of a piece of it.
#[derive(Deserialize)]
pub struct Logprobs {
    content: Option<Vec<Token>>,
    refusal: Option<Vec<Token>>,
}

#[derive(Deserialize)]
pub struct Token {
    token: String,
    logprob: f64,
    bytes: Option<Vec<u8>>,
    #[serde(default)]
    top_logprobs: Vec<Top>,
}

#[derive(Deserialize)]
struct Top {
    token: String,
    logprob: f64,
    bytes: Option<Vec<u8>>,
}

impl Logprobs {
    /// Those of the content, followed by those of a refusal.
    pub fn event(self) -> Option<ChatEvent> {
        let all = tokens(self.content.into_iter().flatten().chain(self.refusal.into_iter().flatten()));
        (!all.is_empty()).then_some(ChatEvent::Logprobs(all))
    }
}

/// In the contract's shape.
pub fn tokens(tokens: impl IntoIterator<Item = Token>) -> Vec<TokenLogprob> {
    let top = |Top { token, logprob, bytes }| {
        let bytes = odd(&token, bytes);
        TopLogprob { token, logprob, bytes }
    };
    let token = |Token { token, logprob, bytes, top_logprobs }| {
        let bytes = odd(&token, bytes);
        TokenLogprob { token, logprob, bytes, top: top_logprobs.into_iter().map(top).collect() }
    };
    tokens.into_iter().map(token).collect()
}

/// A token's bytes where they are others than its text's.
fn odd(token: &str, bytes: Option<Vec<u8>>) -> Option<Vec<u8>> {
    bytes.filter(|bytes| bytes != token.as_bytes())
}
