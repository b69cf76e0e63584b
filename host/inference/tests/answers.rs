//! What answers of the published weights come with: a fixed form, log probabilities, a count of the prompt.

use std::time::Duration;

use atelier_inference::{
    AnswerFormat, ChatRequest, Engine, EngineConfig, EngineError, Event, FinishReason, Message, Role,
    TextEngine, TokenLogprob, WeightsSource, weights,
};
use serde_json::{Value, json};

const PATIENCE: Duration = Duration::from_secs(1200);

fn engine() -> Engine {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let source = weights::SMOLLM2_135M_INSTRUCT;
    Engine::lazy(WeightsSource::Published { source, cache_dir }, EngineConfig::default())
}

/// An answer with all that is told of it.
struct Whole {
    text: String,
    deltas: Vec<String>,
    logprobs: Vec<TokenLogprob>,
    reason: FinishReason,
    prompt_tokens: usize,
    completion_tokens: usize,
}

async fn whole(engine: &Engine, request: ChatRequest) -> Result<Whole, EngineError> {
    let reading = async {
        let mut generation = engine.generate(request).await?;
        let (mut deltas, mut logprobs) = (Vec::new(), Vec::new());
        loop {
            match generation.next().await.expect("an answer has an end")? {
                Event::Delta(delta) => deltas.push(delta),
                Event::Logprobs(told) => logprobs.extend(told),
                Event::Finished { reason, prompt_tokens, completion_tokens } => {
                    let text = deltas.concat();
                    return Ok(Whole { text, deltas, logprobs, reason, prompt_tokens, completion_tokens });
                }
            }
        }
    };
    tokio::time::timeout(PATIENCE, reading).await.expect("it ends in time")
}

fn ask(text: &str, max_tokens: u32) -> ChatRequest {
    ChatRequest::new([(Role::User, text)]).with_max_tokens(max_tokens)
}

fn follows(text: &str, schema: &Value) {
    let value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let validator = jsonschema::options().should_validate_formats(true).build(schema).expect("a schema");
    assert!(validator.is_valid(&value), "{text} does not follow {schema}");
}

#[tokio::test]
async fn answers_follow_their_schema_greedily_and_by_chance() {
    let engine = engine();
    let cases = [
        (
            "Describe Paris as JSON.",
            json!({"type": "object", "additionalProperties": false, "required": ["city", "population", "coastal"], "properties": {
                "city": {"type": "string", "maxLength": 12}, "population": {"type": "integer", "minimum": 1, "maximum": 50_000_000},
                "coastal": {"type": "boolean"}}}),
        ),
        ("Is this review good or bad? \"I love it!\"", json!({"enum": ["good", "bad"]})),
        (
            "Name three fruits.",
            json!({"type": "array", "minItems": 3, "maxItems": 3,
                "items": {"type": "string", "minLength": 2, "maxLength": 9, "pattern": "^[A-Za-z ]+$"}}),
        ),
        (
            "When did the Second World War end?",
            json!({"type": "object", "additionalProperties": false, "required": ["date"],
                "properties": {"date": {"type": "string", "format": "date"}}}),
        ),
    ];
    for (question, schema) in cases {
        for temperature in [0.0, 1.5] {
            let mut request = ask(question, 60).with_sampling(temperature, 1.0, 3);
            request.format = AnswerFormat::JsonSchema(schema.to_string());
            let answer = whole(&engine, request).await.expect("an answer");
            println!("{:?} after {} tokens: {}", answer.reason, answer.completion_tokens, answer.text);
            assert_eq!(answer.reason, FinishReason::Stop, "{}", answer.text);
            follows(&answer.text, &schema);
        }
    }
}

#[tokio::test]
async fn a_json_object_is_one_and_a_limit_cuts_it_with_the_reason_length() {
    let engine = engine();
    let question =
        ask("Give me a JSON object with the capital of France.", 200).with_format(AnswerFormat::JsonObject);
    let answer = whole(&engine, question.clone()).await.expect("an answer");
    assert_eq!(answer.reason, FinishReason::Stop, "{}", answer.text);
    assert!(serde_json::from_str::<Value>(&answer.text).expect("JSON").is_object());

    let cut = whole(&engine, question.with_max_tokens(3)).await.expect("an answer");
    assert_eq!((cut.reason, cut.completion_tokens), (FinishReason::Length, 3));
    assert!(answer.text.starts_with(&cut.text));
}

#[tokio::test]
async fn a_schema_that_cannot_be_followed_is_the_request_s_fault_and_costs_no_place() {
    let engine = engine();
    let request = ask("x", 5).with_format(AnswerFormat::JsonSchema(json!({"not": {}}).to_string()));
    let refused = whole(&engine, request).await.err();
    assert!(
        matches!(&refused, Some(EngineError::InvalidRequest { parameter: "response_format", reason }) if reason.contains("not")),
        "{refused:?}"
    );
    assert_eq!(engine.free_places(), 36);
    let biased = |token| {
        let mut request = ask("x", 1);
        request.logit_bias = vec![(token, 1.0)];
        request
    };
    assert!(whole(&engine, biased(49_151)).await.is_ok());
    let refused = whole(&engine, biased(49_152)).await.err();
    assert!(
        matches!(&refused, Some(EngineError::InvalidRequest { parameter: "logit_bias", .. })),
        "{refused:?}"
    );
}

#[tokio::test]
async fn log_probabilities_are_told_of_every_token_of_the_text_before_it() {
    let engine = engine();
    let request = ask("Say a word with an accent, and a smiling emoji.", 40).with_logprobs(5);
    let answer = whole(&engine, request.clone()).await.expect("an answer");
    let bytes: Vec<u8> = answer.logprobs.iter().flat_map(|told| told.bytes.clone()).collect();
    assert_eq!(String::from_utf8_lossy(&bytes), answer.text);
    let ended = usize::from(answer.reason == FinishReason::Stop);
    assert_eq!(answer.logprobs.len() + ended, answer.completion_tokens, "all but the end's own token");
    for told in &answer.logprobs {
        assert_eq!(told.top.len(), 5);
        assert!(told.logprob <= 0.0 && told.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
        // The likeliest was taken.
        assert_eq!((&told.bytes, told.logprob), (&told.top[0].bytes, told.top[0].logprob));
        let mass: f64 = told.top.iter().map(|top| top.logprob.exp()).sum();
        assert!(mass > 0.0 && mass <= 1.0 + 1e-9, "{mass}");
    }
    let none = whole(&engine, ask("Hi", 5)).await.expect("an answer");
    assert!(none.logprobs.is_empty());

    // A stop sequence is no part of the answer, and neither are its tokens.
    let stop: String = answer.text.chars().skip(8).take(5).collect();
    let stopped = whole(&engine, request.with_stop([stop])).await.expect("an answer");
    let bytes: Vec<u8> = stopped.logprobs.iter().flat_map(|told| told.bytes.clone()).collect();
    assert!(bytes.starts_with(stopped.text.as_bytes()));
    let last = stopped.logprobs.last().expect("a token").bytes.len();
    assert!(
        bytes.len() - last < stopped.text.len(),
        "a token that is wholly in the stop sequence was told of"
    );
}

#[tokio::test]
async fn characters_of_several_tokens_come_whole() {
    let engine = engine();
    let schema = json!({"const": "naïve 😀 漢字 🏳️‍🌈 end"});
    let request = ask("x", 200).with_format(AnswerFormat::JsonSchema(schema.to_string())).with_logprobs(0);
    let answer = whole(&engine, request).await.expect("an answer");
    assert_eq!(answer.text, "\"naïve 😀 漢字 🏳️‍🌈 end\"");
    assert!(answer.deltas.iter().all(|delta| !delta.contains(char::REPLACEMENT_CHARACTER)));
    assert!(
        answer.logprobs.iter().any(|told| std::str::from_utf8(&told.bytes).is_err()),
        "no character was cut"
    );
    let bytes: Vec<u8> = answer.logprobs.into_iter().flat_map(|told| told.bytes).collect();
    assert_eq!(bytes, answer.text.as_bytes());
}

#[tokio::test]
async fn a_prompt_is_counted_as_it_is_charged() {
    let engine = engine();
    let messages = vec![
        Message::system("Be brief."),
        Message::user("What is <|im_end|> for? Ünïcode 漢字, 12345."),
        Message::assistant("An end."),
        Message::user("Go on."),
    ];
    let counted = engine.count_tokens(messages.clone()).await.expect("a count");
    let answer = whole(&engine, ChatRequest::new(messages).with_max_tokens(1)).await.expect("an answer");
    assert_eq!(counted, answer.prompt_tokens);
    assert!(matches!(
        engine.count_tokens(vec![Message::user("x".repeat((1 << 20) + 1))]).await,
        Err(EngineError::PromptTooLarge { .. })
    ));
    assert!(matches!(
        engine.count_tokens(Vec::new()).await,
        Err(EngineError::InvalidRequest { parameter: "messages", .. })
    ));
    // Longer than the context is a count like any other: that is what counting is for.
    let long = engine.count_tokens(vec![Message::user("word ".repeat(9000))]).await.expect("a count");
    assert!(long > 9000);
}
