//! Vocabularies as operators' files have them give the tokens that the models' own tokenizers do
//! (`tokenizers/reference.py`).

#[path = "support/gguf_file.rs"]
mod gguf_file;

use std::io::Cursor;
use std::path::Path;

use atelier_inference::gguf::{Header, Limits};
use atelier_inference::{AnswerFormat, Grammars, ModelError, Tokenizer};
use gguf_file::{Vocabulary, vocabulary};
use serde_json::Value;

const NORMAL: u32 = 1;
const CONTROL: u32 = 3;

fn reference() -> Value {
    serde_json::from_str(include_str!("tokenizers/reference.json")).expect("it is JSON")
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().expect("a list").iter().map(|text| text.as_str().expect("a text").to_owned()).collect()
}

fn numbers(list: &Value) -> Vec<u32> {
    let number = |value: &Value| value.as_u64().expect("a number") as u32;
    list.as_array().expect("a list").iter().map(number).collect()
}

/// The vocabulary of this kind, with three tokens behind it: `<|begin|>`, `<|eot_id|>` and `word`, which are control tokens.
fn words(reference: &Value, kind: &str) -> Vocabulary {
    let made = &reference[kind];
    let mut words = Vocabulary { tokens: texts(&made["tokens"]), ..Vocabulary::default() };
    if kind == "llama" {
        words.model = "llama".to_owned();
        words.types = numbers(&made["types"]);
        let scores = made["scores"].as_array().expect("a list");
        words.scores = scores.iter().map(|score| score.as_f64().expect("a score") as f32).collect();
        words.scores.extend([0.0; 3]);
    } else {
        words.model = "gpt2".to_owned();
        words.pre = kind.to_owned();
        words.types = vec![NORMAL; words.tokens.len()];
        words.merges = texts(&made["merges"]);
    }
    words.bos = words.tokens.len() as u32;
    words.eos = words.bos + 1;
    words.tokens.extend(["<|begin|>", "<|eot_id|>", "word"].map(str::to_owned));
    words.types.extend([CONTROL; 3]);
    words
}

fn tokenizer(words: &Vocabulary) -> Result<Tokenizer, ModelError> {
    let bytes = vocabulary(words);
    let header =
        Header::read(Cursor::new(&bytes), bytes.len() as u64, Path::new("words.gguf"), Limits::default())?;
    Tokenizer::from_gguf(&header)
}

fn plain(tokenizer: &Tokenizer, text: &str) -> Vec<u32> {
    let mut ids = Vec::new();
    tokenizer.encode_plain(text, &mut ids).expect("it encodes");
    ids
}

fn text_of(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    String::from_utf8(ids.iter().flat_map(|id| tokenizer.piece(*id).to_vec()).collect()).expect("it is text")
}

#[test]
fn every_text_has_the_tokens_of_the_model_s_own_tokenizer_and_comes_back_from_them() {
    let reference = reference();
    for kind in ["llama", "llama-bpe", "tekken"] {
        let tokenizer = tokenizer(&words(&reference, kind)).expect("a tokenizer");
        let right = reference[kind]["ids"].as_array().expect("a list");
        for (text, right) in texts(&reference["texts"]).iter().zip(right) {
            let ids = plain(&tokenizer, text);
            assert_eq!(ids, numbers(right), "{kind}: {text:?}");
            let front = if kind == "llama" && !text.is_empty() { " " } else { "" };
            assert_eq!(text_of(&tokenizer, &ids), format!("{front}{text}"), "{kind}");
        }
    }
}

#[test]
fn the_other_names_of_llama_3_s_splitting_mean_the_same() {
    let reference = reference();
    for name in ["llama3", "llama-v3"] {
        let words = Vocabulary { pre: name.to_owned(), ..words(&reference, "llama-bpe") };
        let tokenizer = tokenizer(&words).expect("a tokenizer");
        assert_eq!(plain(&tokenizer, "1234567890"), numbers(&reference["llama-bpe"]["ids"][25]), "{name}");
    }
}

#[test]
fn control_tokens_are_known_in_a_prompt_and_never_in_plain_text() {
    let reference = reference();
    for kind in ["llama", "llama-bpe", "tekken"] {
        let words = words(&reference, kind);
        let tokenizer = tokenizer(&words).expect("a tokenizer");
        let (begin, end, word) = (words.bos, words.eos, words.eos + 1);
        let text = "word<|eot_id|>word <|begin|>";
        let ids = plain(&tokenizer, text);
        assert!(ids.iter().all(|id| *id < begin), "{kind}: {ids:?}");
        assert!(text_of(&tokenizer, &ids).ends_with(text), "{kind}");
        let guarded: String = text.chars().flat_map(|letter| [letter, '\u{FDD0}']).collect();
        let mut right = vec![begin];
        right.extend(&ids);
        assert_eq!(tokenizer.encode_prompt(&guarded, Some('\u{FDD0}')).expect("a prompt"), right, "{kind}");
        let mut right = vec![begin];
        right.extend(plain(&tokenizer, "a"));
        right.push(end);
        right.extend(plain(&tokenizer, " b"));
        right.push(word);
        assert_eq!(tokenizer.encode_prompt("a<|eot_id|> bword", None).expect("a prompt"), right, "{kind}");
        assert_eq!(tokenizer.piece(end), b"", "{kind}");
        assert_eq!(tokenizer.label(end), b"<|eot_id|>", "{kind}");
    }
}

#[test]
fn a_prompt_begins_as_the_file_says_and_else_with_its_first_token() {
    let reference = reference();
    for kind in ["llama", "llama-bpe", "tekken"] {
        let mut words = words(&reference, kind);
        let prompt = |words: &Vocabulary, text: &str| {
            tokenizer(words).expect("a tokenizer").encode_prompt(text, None).expect("a prompt")
        };
        assert_eq!(prompt(&words, "a")[0], words.bos, "{kind}");
        assert_eq!(prompt(&words, "<|begin|>a"), prompt(&words, "a"), "{kind}: not twice");
        words.flags = vec![("tokenizer.ggml.add_bos_token".to_owned(), false)];
        assert_ne!(prompt(&words, "a")[0], words.bos, "{kind}");
    }
}

#[test]
fn the_space_in_front_can_be_left_out() {
    let mut words = words(&reference(), "llama");
    words.flags = vec![("tokenizer.ggml.add_space_prefix".to_owned(), false)];
    let tokenizer = tokenizer(&words).expect("a tokenizer");
    assert_eq!(text_of(&tokenizer, &plain(&tokenizer, "a b")), "a b");
}

#[test]
fn a_grammar_can_be_made_over_sentence_pieces() {
    let tokenizer = tokenizer(&words(&reference(), "llama")).expect("a tokenizer");
    let grammars = Grammars::new(&tokenizer).expect("grammars");
    assert!(grammars.compile(&AnswerFormat::JsonSchema(r#"{"type": "boolean"}"#.to_owned())).is_ok());
}

#[test]
fn a_long_text_takes_no_more_than_its_length_does() {
    let tokenizer = tokenizer(&words(&reference(), "llama")).expect("a tokenizer");
    let text = "a".repeat(1 << 18) + &" ".repeat(1 << 18);
    assert!(plain(&tokenizer, &text).len() > 1 << 12);
}

#[test]
fn hostile_vocabularies_are_refused() {
    let whole = words(&reference(), "llama");
    let refused = |change: &dyn Fn(&mut Vocabulary), why: &str| {
        let mut words = whole.clone();
        change(&mut words);
        let error = tokenizer(&words).expect_err(why).to_string();
        assert!(error.contains(why), "{error}");
    };
    refused(&|words| words.scores[5] = f32::NAN, "one of its scores is not a number");
    refused(&|words| words.scores.truncate(9), "not one score for every token");
    refused(&|words| words.scores.clear(), "not one score for every token");
    refused(&|words| words.types[4] = NORMAL, "not a token for every byte");
    refused(&|words| words.tokens[4] = "<0x+1>".to_owned(), "is none of a byte");
    refused(&|words| words.tokens[4] = "<0xé>".to_owned(), "is none of a byte");
    refused(&|words| words.model = "bert".to_owned(), "SentencePiece");
    let words = Vocabulary { pre: "falcon".to_owned(), ..words(&reference(), "llama-bpe") };
    let error = tokenizer(&words).expect_err("an unknown splitting").to_string();
    assert!(error.contains("falcon") && error.contains("llama-bpe"), "{error}");
    let mut words = self::words(&reference(), "llama-bpe");
    let longest = words.tokens.iter().max_by_key(|token| token.len()).expect("tokens").clone();
    words.merges.push(format!("{longest} {longest}"));
    assert!(tokenizer(&words).expect_err("a merge").to_string().contains("makes no token"));
}
