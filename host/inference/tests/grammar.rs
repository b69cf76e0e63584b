//! Answers in a fixed form, whatever the model would rather say: a vocabulary of single bytes, and scores by chance.

#[path = "support/gguf_file.rs"]
mod gguf_file;

use std::io::Cursor;
use std::path::Path;
use std::time::{Duration, Instant};

use atelier_inference::gguf::{Header, Limits};
use atelier_inference::{
    ALTERNATIVES_MAX, AnswerFormat, ChatRequest, Grammars, ModelError, PATTERNS_MAX, REFERENCES_MAX, Role,
    SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, Sampler, Tokenizer,
};
use proptest::prelude::*;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};

const END: u32 = 257;
/// A schema that takes longer than this to refuse or to follow for a token would hold others up; twenty times what was measured.
const PATIENCE: Duration = Duration::from_secs(10);

fn tokenizer() -> Tokenizer {
    let (bytes, _) = gguf_file::tiny_llama();
    let header =
        Header::read(Cursor::new(&bytes), bytes.len() as u64, Path::new("tiny.gguf"), Limits::default())
            .expect("a header");
    Tokenizer::from_gguf(&header).expect("a tokenizer")
}

fn grammars() -> Grammars {
    Grammars::new(&tokenizer()).expect("grammars")
}

fn schema(schema: &Value) -> AnswerFormat {
    AnswerFormat::JsonSchema(schema.to_string())
}

/// What a model that scores by chance answers in this form, within so many tokens, and whether it came to its end.
fn answer(grammars: &Grammars, format: &AnswerFormat, seed: u64, tokens_max: usize) -> (String, bool) {
    let constraint = grammars.compile(format).expect("it compiles");
    let mut request = ChatRequest::new([(Role::User, "x")]).with_sampling(1.0, 1.0, seed);
    // A closing quotation mark, now and then, in place of 250 other bytes.
    request.logit_bias = vec![(u32::from(b'"'), 3.0), (u32::from(b'\\'), 1.0)];
    let mut sampler = Sampler::new(&request, &[], constraint).expect("a sampler");
    let mut chance = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let mut bytes = Vec::new();
    for _ in 0..tokens_max {
        let scores: Vec<f32> = (0..258).map(|_| chance.random::<f32>() * 3.0).collect();
        let choice = sampler.choose(&scores).expect("a choice");
        if choice.token != END {
            bytes.push(u8::try_from(choice.token).expect("no control token but the end"));
        }
        if choice.is_last || choice.token == END {
            return (String::from_utf8(bytes).expect("an answer is UTF-8"), true);
        }
    }
    (String::from_utf8_lossy(&bytes).into_owned(), false)
}

fn person() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["name", "age", "mood"], "properties": {
        "name": {"type": "string", "minLength": 1, "maxLength": 12},
        "age": {"type": "integer", "minimum": 0, "maximum": 150},
        "mood": {"enum": ["glad", "sad", null, 3]},
        "tags": {"type": "array", "items": {"type": "string", "pattern": "^[a-z]{2,5}$"}, "minItems": 1, "maxItems": 3}}})
}

fn schemas() -> Vec<Value> {
    vec![
        person(),
        json!({"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 5}),
        json!({"anyOf": [{"type": "null"}, {"type": "object", "properties": {"x": {"const": 7}}, "required": ["x"],
            "additionalProperties": false}]}),
        json!({"$defs": {"tree": {"type": "object", "additionalProperties": false, "required": ["v"], "properties": {
            "v": {"type": "integer", "minimum": -9, "maximum": 9},
            "kids": {"type": "array", "maxItems": 2, "items": {"$ref": "#/$defs/tree"}}}}}, "$ref": "#/$defs/tree"}),
        json!({"type": "object", "required": ["when"], "additionalProperties": false,
            "properties": {"when": {"type": "string", "format": "date"}}}),
        json!({"type": "string", "maxLength": 20}),
    ]
}

#[test]
fn an_answer_that_ends_parses_and_is_valid_whatever_the_scores() {
    let grammars = grammars();
    let mut ended = 0;
    for value in schemas() {
        let validator = jsonschema::options().should_validate_formats(true).build(&value).expect("a schema");
        for seed in 0..12 {
            let (text, whole) = answer(&grammars, &schema(&value), seed, 600);
            if whole {
                ended += 1;
                let parsed: Value =
                    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
                assert!(validator.is_valid(&parsed), "{text} does not follow {value}");
            } else {
                assert!(serde_json::from_str::<Value>(&text).is_err(), "{text} was whole and went on");
            }
        }
    }
    assert!(ended >= 60, "only {ended} of 72 answers ended");
}

#[test]
fn json_objects_of_any_shape_are_objects() {
    let grammars = grammars();
    let ended = (0..40).filter(|seed| {
        let (text, whole) = answer(&grammars, &AnswerFormat::JsonObject, *seed, 400);
        // A number of chance may be too large for what reads it here, which JSON allows.
        assert!(text.starts_with('{'), "{text}");
        whole && serde_json::from_str::<Value>(&text).is_ok_and(|value| value.is_object())
    });
    assert!(ended.count() >= 10);
}

#[test]
fn members_come_in_the_order_of_the_schema() {
    let value = json!({"type": "object", "additionalProperties": false, "required": ["zebra", "apple", "mango"],
        "properties": {"zebra": {"const": 1}, "apple": {"const": 2}, "mango": {"const": 3}}});
    let (text, whole) = answer(&grammars(), &schema(&value), 1, 400);
    assert!(whole);
    let place = |name| text.find(name).expect("a member");
    assert!(place("zebra") < place("apple") && place("apple") < place("mango"), "{text}");
}

#[test]
fn white_space_between_parts_is_bounded() {
    // Scores that want nothing but spaces and line breaks.
    let grammars = grammars();
    let constraint = grammars
        .compile(&schema(&json!({"type": "array", "items": {"const": 1}, "minItems": 1, "maxItems": 1})));
    let request = ChatRequest::new([(Role::User, "x")]);
    let mut sampler = Sampler::new(&request, &[], constraint.expect("it compiles")).expect("a sampler");
    let mut scores = vec![0.0; 258];
    (scores[usize::from(b' ')], scores[usize::from(b'\n')]) = (5.0, 6.0);
    let mut tokens = 0;
    while !sampler.choose(&scores).expect("a choice").is_last {
        tokens += 1;
        assert!(tokens < 120, "it never ends");
    }
}

#[test]
fn what_cannot_be_kept_to_is_refused_by_name() {
    let grammars = grammars();
    for (value, word) in [
        (json!({"type": "array", "uniqueItems": true}), "uniqueItems"),
        (json!({"not": {"type": "string"}}), "not"),
        (json!({"type": "string", "format": "no-such-format"}), "no-such-format"),
        (json!({"oneOf": [{"type": "object"}, {"type": "object"}]}), "use anyOf"),
        (json!({"type": "string", "pattern": "(?=a)b"}), ""),
        (json!({"$ref": "https://evil.example/schema.json"}), "evil.example"),
        (json!({"$ref": "#/$defs/nowhere"}), "nowhere"),
        (json!({"$ref": "#"}), ""),
        (json!({"type": "string", "pattern": "a(b"}), "unclosed group"),
        (json!({"type": "integer", "minimum": -9e300, "maximum": 9e300}), "beyond what can be compiled"),
        (json!({"type": "wombat"}), "wombat"),
        (json!({"type": "integer", "minimum": 5, "maximum": 4}), ""),
        (json!({"type": "object", "properties": 5}), "properties"),
        (json!([]), "must be an object"),
        (json!(true), "must be an object"),
    ] {
        let refused = grammars.compile(&schema(&value));
        assert!(
            matches!(&refused, Err(ModelError::Unanswerable { parameter: "response_format", reason }) if reason.contains(word) && reason.lines().count() == 1),
            "{value}: {refused:?}"
        );
    }
    let broken = grammars.compile(&AnswerFormat::JsonSchema("{\"type\": ".to_owned()));
    assert!(matches!(&broken, Err(ModelError::Unanswerable { reason, .. }) if reason.contains("not JSON")));
}

#[test]
fn a_caller_cannot_loosen_what_an_answer_keeps_to() {
    let value = json!({"x-guidance": {"lenient": true}, "type": "array", "uniqueItems": true});
    assert!(grammars().compile(&schema(&value)).is_err());
}

/// As large as the bounds allow, and one beyond: the one is compiled or refused in time, the other refused with the bound.
#[test]
fn every_bound_of_a_schema_is_kept() {
    let grammars = grammars();
    let deep = |levels: usize| {
        // The innermost is one level itself.
        let mut value = json!({"type": "null"});
        for _ in 1..levels {
            value = json!({"type": "array", "items": value});
        }
        value
    };
    let chain = |count: usize| {
        let mut defs = serde_json::Map::new();
        for i in 0..count {
            let target = format!("#/$defs/d{}", i + 1);
            defs.insert(format!("d{i}"), json!({"allOf": [{"anyOf": [{"$ref": target}, {"type": "null"}]}]}));
        }
        defs.insert(format!("d{count}"), json!({"type": "null"}));
        json!({"$defs": defs, "$ref": "#/$defs/d0"})
    };
    let patterns = |count: usize| {
        let members: serde_json::Map<_, _> =
            (0..count).map(|i| (format!("^p{i}_[a-z]*$"), json!({"type": "null"}))).collect();
        json!({"type": "object", "patternProperties": members, "additionalProperties": false})
    };
    let alternatives = |count: usize| json!({"oneOf": (0..count).map(|i| json!({"const": format!("v{i}")})).collect::<Vec<_>>()});
    let long = |bytes: usize| {
        let frame = json!({"const": ""}).to_string().len();
        json!({"const": "x".repeat(bytes - frame)})
    };
    for (name, within, beyond) in [
        ("levels deep", deep(SCHEMA_DEPTH_MAX), deep(SCHEMA_DEPTH_MAX + 1)),
        ("references", chain(REFERENCES_MAX - 1), chain(REFERENCES_MAX + 1)),
        ("pattern properties", patterns(PATTERNS_MAX), patterns(PATTERNS_MAX + 1)),
        ("alternatives", alternatives(ALTERNATIVES_MAX), alternatives(ALTERNATIVES_MAX + 1)),
        ("bytes", long(SCHEMA_BYTES_MAX), long(SCHEMA_BYTES_MAX + 1)),
    ] {
        let started = Instant::now();
        let compiled = grammars.compile(&schema(&within));
        println!("{name}: {:?} after {:?}", compiled.as_ref().map(|_| ()), started.elapsed());
        assert!(started.elapsed() < PATIENCE, "{name}");
        assert!(compiled.is_ok(), "{name}: {compiled:?}");
        let refused = grammars.compile(&schema(&beyond));
        assert!(
            matches!(&refused, Err(ModelError::Unanswerable { reason, .. }) if reason.contains(name) && reason.contains("at most") || name == "levels deep"),
            "{name}: {refused:?}"
        );
    }
}

#[test]
fn hostile_schemas_are_refused_or_followed_in_time() {
    let grammars = grammars();
    let words: Vec<String> = (0..6_000).map(|i| format!("w{i:05}")).collect();
    let options = |n: usize| -> Vec<Value> {
        (0..n).map(|i| json!({"properties": {format!("p{i}"): {"type": "string"}}})).collect()
    };
    let nested = format!("{}a{}", "(".repeat(240), ")*".repeat(240));
    let alternation: Vec<String> = (1..60).map(|n| "a".repeat(n)).collect();
    let many: serde_json::Map<_, _> =
        (0..1500).map(|i| (format!("p{i}"), json!({"type": "string"}))).collect();
    let cases = [
        ("endless recursion", json!({"$ref": "#"})),
        ("recursion through allOf", json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]})),
        (
            "two definitions in a circle",
            json!({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}),
        ),
        ("a huge enum", json!({"enum": words})),
        (
            "a product of alternatives",
            json!({"allOf": [{"anyOf": options(200)}, {"anyOf": options(200)}, {"anyOf": options(200)}]}),
        ),
        (
            "a catastrophic pattern",
            json!({"type": "string", "pattern": format!("^({})*$", alternation.join("|"))}),
        ),
        ("a pattern of many states", json!({"type": "string", "pattern": "^(a|b)*a(a|b){200}$"})),
        (
            "nested repetition",
            json!({"type": "string", "pattern": "^((((a{1,100}){1,100}){1,100}){1,100}){1,100}$"}),
        ),
        ("a deeply nested pattern", json!({"type": "string", "pattern": nested})),
        (
            "intersected patterns",
            json!({"allOf": (2..40).map(|n| json!({"type": "string", "pattern": format!("^(.{{{n}}})*$")})).collect::<Vec<_>>()}),
        ),
        ("a great minimum length", json!({"type": "string", "minLength": 4_000_000_000_u64})),
        (
            "a great number of items",
            json!({"type": "array", "items": person(), "minItems": 4_000_000_000_u64}),
        ),
        ("a great range", json!({"type": "integer", "minimum": -9e300, "maximum": 9e300})),
        ("a tiny multiple", json!({"type": "number", "multipleOf": 1e-300})),
        (
            "odd multiples",
            json!({"type": "integer", "allOf": [{"multipleOf": 99991}, {"multipleOf": 99989}]}),
        ),
        ("many optional members", json!({"type": "object", "properties": many})),
        ("a long text that is no pattern", json!({"type": "string", "pattern": "é".repeat(20_000)})),
        ("a wrong type in many letters", json!({"type": "string", "pattern": ["é".repeat(200)]})),
    ];
    for (name, value) in cases {
        let started = Instant::now();
        match grammars.compile(&schema(&value)) {
            Err(ModelError::Unanswerable { reason, .. }) => {
                println!("{name}: refused after {:?}: {reason:.150}", started.elapsed());
                assert!(reason.chars().count() < 400, "{name}: a long reason: {reason}");
            }
            Err(error) => panic!("{name}: {error}"),
            Ok(constraint) => {
                let compiled = started.elapsed();
                let request = ChatRequest::new([(Role::User, "x")]).with_sampling(1.0, 1.0, 5);
                let mut sampler = Sampler::new(&request, &[], constraint).expect("a sampler");
                let mut slowest = Duration::ZERO;
                let mut end = "it went on".to_owned();
                for _ in 0..60 {
                    let step = Instant::now();
                    let choice = sampler.choose(&[0.0; 258]);
                    slowest = slowest.max(step.elapsed());
                    match choice {
                        Ok(choice) if choice.is_last => end = "it ended".to_owned(),
                        Ok(_) => continue,
                        Err(ModelError::Unanswerable { reason, .. }) => end = reason,
                        Err(error) => panic!("{name}: {error}"),
                    }
                    break;
                }
                println!("{name}: compiled in {compiled:?}, slowest token {slowest:?}; {end:.150}");
                assert!(slowest < PATIENCE, "{name}: a token took {slowest:?}");
            }
        }
        assert!(started.elapsed() < PATIENCE, "{name} took {:?}", started.elapsed());
    }
}

/// Anything that is JSON, with schemas' words in it.
fn any_schema() -> impl Strategy<Value = Value> {
    let word = prop::sample::select(vec![
        "type",
        "properties",
        "items",
        "required",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "pattern",
        "format",
        "minLength",
        "maxItems",
        "minimum",
        "multipleOf",
        "additionalProperties",
        "patternProperties",
        "$defs",
        "prefixItems",
        "x-guidance",
        "minProperties",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-5.0..5.0_f64).prop_map(Value::from),
        prop::sample::select(vec![
            "object",
            "string",
            "array",
            "integer",
            "#",
            "#/$defs/a",
            "date",
            "[a-z]+",
            "(",
            "é"
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((word.clone(), inner), 0..6).prop_map(|members| members
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect::<Value>()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn any_json_as_a_schema_is_compiled_or_refused(value in any_schema()) {
        thread_local!(static GRAMMARS: Grammars = grammars());
        let refused = GRAMMARS.with(|grammars| grammars.compile(&schema(&value))).err();
        prop_assert!(matches!(refused, None | Some(ModelError::Unanswerable { .. })), "{:?}", refused);
    }
}
