//! What a caller asks for.

mod limits;

pub use limits::{
    LOGIT_BIASES_MAX, REPETITION_PENALTY_MAX, STOP_BYTES_MAX, STOP_SEQUENCES_MAX, TOP_LOGPROBS_MAX,
};

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Instructions that stand above the conversation.
    System,
    /// The person or program that asks.
    User,
    /// The model.
    Assistant,
    /// The result of a tool.
    Tool,
}

impl Role {
    /// The word that chat templates use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
        }
    }
}

/// One turn of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said. Control tokens written in it stay plain text: they cannot end a turn or forge another.
    pub text: String,
}

impl Message {
    /// A turn of the conversation.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        Self { role, text: text.into() }
    }

    /// A system turn.
    pub fn system(text: impl Into<String>) -> Self {
        Self::new(Role::System, text)
    }

    /// A user's turn.
    pub fn user(text: impl Into<String>) -> Self {
        Self::new(Role::User, text)
    }

    /// A turn of the model.
    pub fn assistant(text: impl Into<String>) -> Self {
        Self::new(Role::Assistant, text)
    }
}

impl<T: Into<String>> From<(Role, T)> for Message {
    fn from((role, text): (Role, T)) -> Self {
        Self::new(role, text)
    }
}

/// What form an answer takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum AnswerFormat {
    /// Text as the model makes it.
    #[default]
    Text,
    /// A JSON object.
    JsonObject,
    /// JSON that follows this JSON Schema (2020-12, as text), its members in the order of the schema. See [`crate::Grammars`] for what a schema
    /// may hold.
    JsonSchema(String),
}

/// A conversation to continue, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct ChatRequest {
    /// The conversation so far; at least one turn.
    pub messages: Vec<Message>,
    /// Tokens to generate at most; `None` for as many as the context holds.
    pub max_tokens: Option<u32>,
    /// 0 takes the likeliest token every time (and is deterministic); higher is more varied. 0 to 2.
    pub temperature: f32,
    /// Draw from the likeliest tokens that together have this probability. Above 0, to 1.
    pub top_p: f32,
    /// Draw from this many of the likeliest tokens; `None` from all. At least 1.
    pub top_k: Option<u32>,
    /// Draw from the tokens that have at least this share of the likeliest one's probability. 0 (all) to 1.
    pub min_p: f32,
    /// The same seed, request and model give the same answer; `None` draws one.
    pub seed: Option<u64>,
    /// Texts that end the answer and are not part of it; at most 16 of at most 512 bytes.
    pub stop: Vec<String>,
    /// Lowers the chance of a token by this much per time that it was generated. -2 to 2.
    pub frequency_penalty: f32,
    /// Lowers the chance of a token that was generated at all by this much. -2 to 2.
    pub presence_penalty: f32,
    /// Lowers the chance of a token that stands in the prompt or the answer: its score is divided by this, or multiplied where it is negative.
    /// Above 0, to 10; 1 changes nothing.
    pub repetition_penalty: f32,
    /// Added to the scores of these tokens. -100 to 100; -100 rules a token out. At most 1,024 of them.
    pub logit_bias: Vec<(u32, f32)>,
    /// Tell how likely each token of the answer was, and as many of the likeliest at its place, at most 20; `None` tells nothing.
    pub top_logprobs: Option<u8>,
    /// Whose it is, as one tenant's number. What was computed of a prompt's beginning serves requests of the same number alone, as how soon
    /// an answer begins tells that another began alike; and of those who wait, tenants take turns.
    pub scope: u64,
    /// What form the answer takes. An answer that ends by itself has it; one that `max_tokens` or a stop sequence ends may be cut anywhere.
    pub format: AnswerFormat,
}

impl ChatRequest {
    /// A greedy request without limits of its own.
    pub fn new(messages: impl IntoIterator<Item = impl Into<Message>>) -> Self {
        Self {
            messages: messages.into_iter().map(Into::into).collect(),
            max_tokens: None,
            temperature: 0.0,
            top_p: 1.0,
            seed: None,
            stop: Vec::new(),
            frequency_penalty: 0.0,
            presence_penalty: 0.0,
            top_k: None,
            min_p: 0.0,
            repetition_penalty: 1.0,
            logit_bias: Vec::new(),
            top_logprobs: None,
            scope: 0,
            format: AnswerFormat::Text,
        }
    }

    /// Generate at most this many tokens.
    pub fn with_max_tokens(mut self, max_tokens: u32) -> Self {
        self.max_tokens = Some(max_tokens);
        self
    }

    /// Sample at this temperature, from this seed.
    pub fn with_sampling(mut self, temperature: f32, top_p: f32, seed: u64) -> Self {
        (self.temperature, self.top_p, self.seed) = (temperature, top_p, Some(seed));
        self
    }

    /// Answer in this form.
    pub fn with_format(mut self, format: AnswerFormat) -> Self {
        self.format = format;
        self
    }

    /// Tell how likely tokens were, and as many of the likeliest at each place.
    pub fn with_logprobs(mut self, top: u8) -> Self {
        self.top_logprobs = Some(top);
        self
    }

    /// End the answer at any of these texts.
    pub fn with_stop(mut self, stop: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.stop = stop.into_iter().map(Into::into).collect();
        self
    }

    /// Bytes of text in all messages.
    pub fn text_bytes(&self) -> usize {
        self.messages.iter().map(|message| message.text.len()).sum()
    }
}
