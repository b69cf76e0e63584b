//! Answers in a fixed form: JSON that follows a schema.
//!
//! The schema becomes a grammar (the crate llguidance: an Earley parser over a lexer of regular expressions' derivatives). Before each token it
//! says which tokens the answer can go on with, so that an answer that ends by itself is always in the form. Keywords that cannot be kept to
//! are refused by name, never passed over.

mod schema;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use llguidance::api::TopLevelGrammar;
use llguidance::toktrie::{ApproximateTokEnv, TokEnv, TokRxInfo, TokTrie};
use llguidance::{Matcher, ParserFactory};

use crate::error::ModelError;
use crate::request::AnswerFormat;
use crate::sampler::NEVER;
use crate::tokenizer::Tokenizer;
pub use schema::{ALTERNATIVES_MAX, PATTERNS_MAX, REFERENCES_MAX, SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX};

/// The request's parameter that all of this is about.
const PARAMETER: &str = "response_format";
/// Compiling recurses with the schema and its references, whose number is bounded: enough for the deepest, taken only as it is used.
const STACK_BYTES: usize = 64 << 20;
/// Work on regular expressions: at most about 20 ms before the first token and 15 ms for each further one. Both are counted, not timed, so that
/// the same schema is refused on every machine.
const COMPILE_FUEL_MAX: u64 = 1_000_000;
const STEP_FUEL_MAX: u64 = 200_000;
/// Parser items for one token, and at one place of the answer.
const STEP_ITEMS_MAX: usize = 50_000;
const ROW_ITEMS_MAX: usize = 2_000;
/// States of the lexer, of 1 to 2 KB each: what one answer's grammar takes in memory.
const LEXER_STATES_MAX: usize = 20_000;
/// Symbols in the grammar's productions.
const GRAMMAR_SIZE_MAX: usize = 200_000;
/// Of a refusal.
const REASON_CHARS_MAX: usize = 300;
/// How the crate's messages of its own panics begin.
const PANIC: &str = "panic";

/// Makes grammars for one vocabulary. Clones share it.
#[derive(Clone)]
pub struct Grammars {
    factory: Arc<ParserFactory>,
    /// One schema is compiled at a time, which bounds the memory that hostile ones take together.
    turn: Arc<Mutex<()>>,
}

/// How one answer must go on.
pub struct Constraint(Matcher);

impl Grammars {
    /// Index a vocabulary. Takes a moment: once for a model.
    ///
    /// # Errors
    /// [`ModelError::Tokenizer`] where the vocabulary cannot be indexed.
    pub fn new(tokenizer: &Tokenizer) -> Result<Self, ModelError> {
        let failed = |reason: String| ModelError::Tokenizer { reason };
        let count = u32::try_from(tokenizer.vocabulary_len()).map_err(|error| failed(error.to_string()))?;
        let Some(end) = tokenizer.ends().first().copied() else {
            return Err(failed("it names no end token".to_owned()));
        };
        // A token without bytes is none that an answer could hold. The byte FF, which no UTF-8 text holds, would mark a control token here.
        let words: Vec<Vec<u8>> = (0..count)
            .map(|id| tokenizer.piece(id))
            .map(|piece| if piece.first() == Some(&TokTrie::SPECIAL_TOKEN_MARKER) { &[] } else { piece })
            .map(<[u8]>::to_vec)
            .collect();
        let trie = TokTrie::from(&TokRxInfo::new(count, end), &words).with_eos_tokens(tokenizer.ends());
        let vocabulary: TokEnv = Arc::new(ApproximateTokEnv::new(trie));
        let mut factory =
            ParserFactory::new_simple(&vocabulary).map_err(|error| failed(error.to_string()))?;
        factory.quiet();
        let limits = factory.limits_mut();
        limits.initial_lexer_fuel = COMPILE_FUEL_MAX;
        limits.step_lexer_fuel = STEP_FUEL_MAX;
        limits.step_max_items = STEP_ITEMS_MAX;
        limits.max_items_in_row = ROW_ITEMS_MAX;
        limits.max_lexer_states = LEXER_STATES_MAX;
        limits.max_grammar_size = GRAMMAR_SIZE_MAX;
        // Messages go to callers: what is wrong, without the parser's state.
        limits.verbose_errors = false;
        Ok(Self { factory: Arc::new(factory), turn: Arc::default() })
    }

    /// Compile a format; `None` for plain text. Blocks, for the work that the limits allow.
    ///
    /// # Errors
    /// [`ModelError::Unanswerable`] where the schema is none, asks for what cannot be kept to, or is beyond a limit.
    pub fn compile(&self, format: &AnswerFormat) -> Result<Option<Constraint>, ModelError> {
        let schema = match format {
            AnswerFormat::Text => return Ok(None),
            AnswerFormat::JsonObject => schema::any_object(),
            AnswerFormat::JsonSchema(text) => schema::checked(text)?,
        };
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let factory = self.factory.clone();
        let compile = move || {
            let grammar = TopLevelGrammar::from_json_schema(schema);
            factory.create_parser(grammar).map_err(refused)
        };
        let thread = std::thread::Builder::new().name("grammar".to_owned()).stack_size(STACK_BYTES);
        let thread =
            thread.spawn(compile).map_err(|error| ModelError::Compute { reason: error.to_string() })?;
        let parser = thread.join().map_err(|_| refused(PANIC))??;
        let mut matcher = Matcher::new(Ok(parser));
        // A schema that nothing follows shows here, before an answer has begun. What is found out is kept for the first token.
        matcher.compute_mask().map_err(refused)?;
        Ok(Some(Constraint(matcher)))
    }
}

impl Constraint {
    /// Rule out every token by which the answer could not go on. The end is ruled out until the answer is whole.
    ///
    /// # Errors
    /// [`ModelError::Unanswerable`] where finding out takes more work than the limits allow.
    pub(crate) fn restrict(&mut self, scores: &mut [f32]) -> Result<(), ModelError> {
        let allowed = self.0.compute_mask_or_eos().map_err(refused)?;
        for (token, score) in scores.iter_mut().enumerate() {
            if token >= allowed.len() || !allowed.get(token) {
                *score = NEVER;
            }
        }
        Ok(())
    }

    /// Take the token that was chosen; whether the answer is whole, with nothing that could follow.
    ///
    /// # Errors
    /// As [`Constraint::restrict`].
    pub(crate) fn accept(&mut self, token: u32) -> Result<bool, ModelError> {
        self.0.consume_token(token).map_err(refused)?;
        Ok(self.0.is_stopped())
    }
}

/// What the crate says of it, for callers: on one line, without what only its authors can use.
fn refused(error: impl fmt::Display) -> ModelError {
    let text = error.to_string();
    let text = text.split(['<', '\u{0}']).next().unwrap_or_default();
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = if text.starts_with(PANIC) {
        // A sum beyond its numbers, say; caught there.
        "it is beyond what can be compiled".to_owned()
    } else if text.contains("coerce_one_of") {
        "the alternatives of a oneOf may overlap; use anyOf".to_owned()
    } else if text.contains("NoExtension") {
        "nothing follows it".to_owned()
    } else {
        text.chars().take(REASON_CHARS_MAX).collect()
    };
    let reason = format!("the schema cannot be followed: {reason}");
    ModelError::Unanswerable { parameter: PARAMETER, reason }
}

impl fmt::Debug for Grammars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grammars").finish_non_exhaustive()
    }
}

impl fmt::Debug for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Constraint").field("stopped", &self.0.is_stopped()).finish_non_exhaustive()
    }
}
