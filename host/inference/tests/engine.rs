//! The engine's queue, fairness, cancelling and life cycle, on a tiny model of random weights.

#[path = "support/gguf_file.rs"]
mod gguf_file;

use std::time::Duration;

use atelier_inference::{
    AnswerFormat, Card, ChatRequest, Engine, EngineConfig, EngineError, EngineState, Event, FinishReason,
    LOGIT_BIASES_MAX, ModelError, REPETITION_PENALTY_MAX, Role, STOP_BYTES_MAX, STOP_SEQUENCES_MAX,
    TOP_LOGPROBS_MAX, TextEngine, WeightsSource,
};
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

struct Fixture {
    engine: Engine,
    _file: tempfile::NamedTempFile,
}

fn engine(config: EngineConfig) -> Fixture {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), gguf_file::tiny_llama().0).expect("the file can be written");
    Fixture { engine: Engine::lazy(WeightsSource::File(file.path().to_owned()), config), _file: file }
}

/// Runs to its limit unless it is stopped: penalties keep the end marker from being special.
fn ask(text: &str, max_tokens: u32) -> ChatRequest {
    ChatRequest::new([(Role::User, text)]).with_max_tokens(max_tokens).with_sampling(1.0, 1.0, 7)
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it ends in time")
}

/// A generation that surely still runs: one event may be unread, so it pauses after a few tokens.
fn slow_reader() -> EngineConfig {
    EngineConfig { concurrent_max: 1, queued_max: 1, unread_events_max: 1, ..EngineConfig::default() }
}

#[tokio::test]
async fn a_full_queue_is_refused_with_a_time_to_retry_and_a_dropped_answer_frees_its_place() {
    let fixture = engine(slow_reader());
    let running = in_time(fixture.engine.generate(ask("one", 200))).await.expect("admitted");
    let queued = in_time(fixture.engine.generate(ask("two", 200))).await.expect("queued");
    let refused = in_time(fixture.engine.generate(ask("three", 1))).await;
    assert!(
        matches!(refused, Err(EngineError::Busy { retry_after }) if retry_after >= Duration::from_secs(1))
    );

    drop(queued);
    drop(running);
    let freed = async {
        while fixture.engine.free_places() < 2 {
            tokio::task::yield_now().await;
        }
    };
    in_time(freed).await;
    let (_, end) = in_time(async { fixture.engine.generate(ask("four", 3)).await?.collect().await })
        .await
        .expect("it runs");
    assert!(matches!(end, Event::Finished { completion_tokens: 1..=3, .. }));
}

#[tokio::test]
async fn a_paused_reader_does_not_hold_up_the_others() {
    let config = EngineConfig { concurrent_max: 2, unread_events_max: 1, ..EngineConfig::default() };
    let fixture = engine(config);
    let _unread = in_time(fixture.engine.generate(ask("never read", 200))).await.expect("admitted");
    let other = in_time(fixture.engine.generate(ask("read", 20))).await.expect("admitted");
    in_time(other.collect()).await.expect("it ends although the first is never read");
}

#[tokio::test]
async fn a_reader_that_never_reads_is_ended_with_the_reason() {
    let config = EngineConfig { reader_stall_max: Duration::from_millis(50), ..slow_reader() };
    let fixture = engine(config);
    let unread = in_time(fixture.engine.generate(ask("never read", 200))).await.expect("admitted");
    let freed = async {
        while fixture.engine.free_places() < 2 {
            tokio::task::yield_now().await;
        }
    };
    in_time(freed).await;
    assert!(matches!(in_time(unread.collect()).await, Err(EngineError::ReaderStalled { .. })));
}

#[tokio::test]
async fn a_prompt_longer_than_the_context_is_refused_with_the_numbers() {
    let fixture = engine(EngineConfig::default());
    let refused = in_time(fixture.engine.generate(ask(&"x".repeat(400), 1))).await;
    assert!(matches!(
        refused,
        Err(EngineError::ContextTooLong { prompt_tokens: 400.., context_tokens: 256 })
    ));
    assert_eq!(fixture.engine.free_places(), 36);
}

#[tokio::test]
async fn an_answer_ends_at_the_end_of_the_context() {
    let fixture = engine(EngineConfig::default());
    let mut request = ask("go on", 100_000);
    request.temperature = 0.0;
    let (_, end) =
        in_time(async { fixture.engine.generate(request).await?.collect().await }).await.expect("it runs");
    let Event::Finished { reason, prompt_tokens, completion_tokens } = end else {
        panic!("not the end: {end:?}")
    };
    assert!(reason == FinishReason::Stop || prompt_tokens + completion_tokens == 256);
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer_whatever_runs_beside_it() {
    let fixture = engine(EngineConfig::default());
    let answer = |seed| {
        let request =
            ChatRequest::new([(Role::User, "hm")]).with_max_tokens(40).with_sampling(1.0, 0.9, seed);
        let engine = fixture.engine.clone();
        async move { in_time(async { engine.generate(request).await?.collect().await }).await.expect("it runs") }
    };
    let alone = answer(1).await;
    let (beside, other) = tokio::join!(answer(1), answer(2));
    assert_eq!(alone, beside);
    assert_ne!(alone.0, other.0);
}

#[tokio::test]
async fn unloading_ends_running_answers_and_the_next_use_loads_again() {
    let fixture = engine(slow_reader());
    assert_eq!(fixture.engine.state(), EngineState::Unloaded);
    let running = in_time(fixture.engine.generate(ask("one", 200))).await.expect("admitted");
    assert!(matches!(fixture.engine.state(), EngineState::Ready(_)));
    in_time(fixture.engine.unload()).await;
    assert_eq!(fixture.engine.state(), EngineState::Unloaded);
    assert!(matches!(in_time(running.collect()).await, Err(EngineError::Unloaded)));
    in_time(async { fixture.engine.generate(ask("two", 2)).await?.collect().await })
        .await
        .expect("it loads again");
}

#[tokio::test]
async fn a_file_that_cannot_be_loaded_fails_every_waiting_user_and_shows_in_the_state() {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), b"not a model").expect("the file can be written");
    let engine = Engine::lazy(WeightsSource::File(file.path().to_owned()), EngineConfig::default());
    let (first, second) = in_time(async { tokio::join!(engine.warm(), engine.generate(ask("x", 1))) }).await;
    for error in [first.err(), second.err()] {
        assert!(
            matches!(error, Some(EngineError::Model(error)) if matches!(*error, ModelError::Malformed { .. }))
        );
    }
    assert!(matches!(engine.state(), EngineState::Failed { reason } if reason.contains("GGUF")));
}

#[tokio::test]
async fn parameters_out_of_range_are_refused_by_name() {
    let fixture = engine(EngineConfig::default());
    for (parameter, change) in [
        ("temperature", (|request| request.temperature = f32::NAN) as fn(&mut ChatRequest)),
        ("top_p", |request| request.top_p = 0.0),
        ("max_tokens", |request| request.max_tokens = Some(0)),
        ("messages", |request| request.messages.clear()),
        ("stop", |request| request.stop = vec![String::new()]),
        ("stop", |request| request.stop = vec!["x".repeat(STOP_BYTES_MAX + 1)]),
        ("stop", |request| request.stop = vec!["x".to_owned(); STOP_SEQUENCES_MAX + 1]),
        ("top_k", |request| request.top_k = Some(0)),
        ("min_p", |request| request.min_p = 1.1),
        ("frequency_penalty", |request| request.frequency_penalty = -2.1),
        ("presence_penalty", |request| request.presence_penalty = f32::INFINITY),
        ("repetition_penalty", |request| request.repetition_penalty = 0.0),
        ("repetition_penalty", |request| request.repetition_penalty = REPETITION_PENALTY_MAX + 0.1),
        ("logit_bias", |request| request.logit_bias = vec![(0, -100.1)]),
        ("logit_bias", |request| request.logit_bias = vec![(0, 1.0); LOGIT_BIASES_MAX + 1]),
        ("logit_bias", |request| request.logit_bias = vec![(258, 1.0)]),
        ("top_logprobs", |request| request.top_logprobs = Some(TOP_LOGPROBS_MAX + 1)),
    ] {
        let mut request = ask("x", 1);
        change(&mut request);
        let refused = fixture.engine.generate(request).await;
        assert!(
            matches!(refused, Err(EngineError::InvalidRequest { parameter: named, .. }) if named == parameter)
        );
    }
}

#[tokio::test]
async fn a_schema_that_turns_out_too_complex_ends_its_own_answer_alone() {
    let fixture = engine(EngineConfig::default());
    let members: serde_json::Map<_, _> =
        (0..1500).map(|i| (format!("p{i}"), json!({"type": "string"}))).collect();
    let schema = json!({"type": "object", "properties": members}).to_string();
    let complex = ask("x", 50).with_format(AnswerFormat::JsonSchema(schema));
    let (refused, other) = in_time(async {
        tokio::join!(async { fixture.engine.generate(complex).await?.collect().await }, async {
            fixture.engine.generate(ask("x", 20)).await?.collect().await
        })
    })
    .await;
    assert!(
        matches!(&refused, Err(EngineError::InvalidRequest { parameter: "response_format", .. })),
        "{refused:?}"
    );
    other.expect("it is not touched");
    let freed = async {
        while fixture.engine.free_places() < 36 {
            tokio::task::yield_now().await;
        }
    };
    in_time(freed).await;
}

#[tokio::test]
async fn an_answer_cut_by_its_limit_or_by_a_stop_sequence_says_which() {
    let fixture = engine(EngineConfig::default());
    let schema = AnswerFormat::JsonSchema(json!({"const": "abcdef"}).to_string());
    let answer = async |request: ChatRequest| {
        in_time(async { fixture.engine.generate(request).await?.collect().await }).await.expect("it runs")
    };
    let reason = |end: &Event| match end {
        Event::Finished { reason, .. } => *reason,
        other => panic!("not the end: {other:?}"),
    };
    for (max_tokens, stop, text, expected) in [
        (8, None, "\"abcdef\"", FinishReason::Stop),
        (7, None, "\"abcdef", FinishReason::Length),
        (8, Some("cd"), "\"ab", FinishReason::Stop),
        (4, Some("cd"), "\"abc", FinishReason::Length),
        (5, Some("cd"), "\"ab", FinishReason::Stop),
    ] {
        let (told, end) = answer(ask("x", max_tokens).with_format(schema.clone()).with_stop(stop)).await;
        assert_eq!((told.as_str(), reason(&end)), (text, expected), "{max_tokens} {stop:?}");
    }
}

/// An answer, all of it, and how many tokens of its prompt were there already.
async fn answer_and_reused(engine: &Engine, request: ChatRequest) -> ((String, Event), u64) {
    let before = engine.load().prompt_tokens_reused;
    let answer = in_time(async { engine.generate(request).await?.collect().await }).await.expect("it runs");
    (answer, engine.load().prompt_tokens_reused - before)
}

/// 64 and a few tokens that are alike, and some that are not.
fn beginning(end: &str) -> ChatRequest {
    ask(&format!("{}{end}", "the same beginning of every one. ".repeat(2)), 24)
}

#[tokio::test]
async fn a_prompt_that_begins_like_an_earlier_one_is_computed_from_where_they_part() {
    let reusing = engine(EngineConfig::default());
    let computing = engine(EngineConfig { prefix_bytes_max: 0, ..EngineConfig::default() });
    for (end, all) in [("one", 0), ("another", 64), ("another", 64), ("one", 64)] {
        let (expected, none) = answer_and_reused(&computing.engine, beginning(end)).await;
        let (answer, reused) = answer_and_reused(&reusing.engine, beginning(end)).await;
        assert_eq!((none, reused / 64 * 64), (0, all), "{end}: {reused}");
        assert_eq!(answer, expected, "{end}");
    }
    // What was answered is part of a conversation's next prompt.
    assert!(reusing.engine.load().prefix_bytes > computing.engine.load().prefix_bytes);
}

#[tokio::test]
async fn a_prompt_that_two_read_at_once_is_computed_once() {
    let fixture = engine(EngineConfig::default());
    let (alone, _) = answer_and_reused(&fixture.engine, beginning("one")).await;
    in_time(fixture.engine.unload()).await;
    let (one, two) = tokio::join!(
        answer_and_reused(&fixture.engine, beginning("one")),
        answer_and_reused(&fixture.engine, beginning("one"))
    );
    assert_eq!((&one.0, &two.0), (&alone, &alone));
}

#[tokio::test]
async fn tenants_share_no_beginnings() {
    let fixture = engine(EngineConfig::default());
    let of = |scope| ChatRequest { scope, ..beginning("one") };
    let (first, none) = answer_and_reused(&fixture.engine, of(1)).await;
    assert_eq!(none, 0);
    let (other, none) = answer_and_reused(&fixture.engine, of(2)).await;
    assert_eq!((&other, none), (&first, 0));
    let (again, reused) = answer_and_reused(&fixture.engine, of(1)).await;
    assert!(again == first && reused >= 64, "{reused}");
}

#[tokio::test]
async fn what_is_kept_never_keeps_a_request_out() {
    let sizes = engine(EngineConfig::default());
    in_time(sizes.engine.warm()).await.expect("it loads");
    let EngineState::Ready(info) = sizes.engine.state() else { panic!("not ready") };
    // One whole context, and not a page more.
    let memory_bytes_max = info.memory_bytes + info.cache_bytes(info.context_tokens);
    let fixture = engine(EngineConfig { memory_bytes_max, ..EngineConfig::default() });
    for i in 0..20 {
        let request = ask(&format!("{i}{}", "x".repeat(100 + i)), 100);
        let (_, end) = answer_and_reused(&fixture.engine, request).await.0;
        assert!(matches!(end, Event::Finished { .. }));
        let load = fixture.engine.load();
        assert!(load.prefix_bytes > 0 && load.cache_bytes <= load.cache_bytes_max, "{load:?}");
    }
}

#[tokio::test]
async fn a_tenant_with_many_requests_does_not_keep_another_waiting_behind_them() {
    let config = EngineConfig { concurrent_max: 1, unread_events_max: 1, ..EngineConfig::default() };
    let fixture = engine(config);
    let of = |scope, text: &str| ChatRequest { scope, ..ask(text, 20) };
    // It waits for its reader, and the others for it.
    let first = in_time(fixture.engine.generate(of(1, "first"))).await.expect("admitted");
    let ended = std::sync::Mutex::new(Vec::new());
    let run = async |name: &'static str, generation: atelier_inference::Generation| {
        in_time(generation.collect()).await.expect("it runs");
        ended.lock().expect("no panic").push(name);
    };
    let more = in_time(fixture.engine.generate(of(1, "more"))).await.expect("queued");
    let most = in_time(fixture.engine.generate(of(1, "most"))).await.expect("queued");
    let other = in_time(fixture.engine.generate(of(2, "other"))).await.expect("queued");
    tokio::join!(run("first", first), run("more", more), run("most", most), run("other", other));
    assert_eq!(*ended.lock().expect("no panic"), ["first", "other", "more", "most"]);
}

/// On a machine with a card this runs on it.
#[tokio::test]
async fn a_model_for_a_card_runs_on_the_processor_where_there_is_none() {
    let usual = engine(EngineConfig::default());
    let (expected, _) = answer_and_reused(&usual.engine, beginning("one")).await;
    let fits = engine(EngineConfig { card: Card::IfFits(0), ..EngineConfig::default() });
    let (answer, _) = answer_and_reused(&fits.engine, beginning("one")).await;
    let EngineState::Ready(info) = fits.engine.state() else { panic!("not ready") };
    assert!(info.on_card || answer == expected);

    let must = engine(EngineConfig { card: Card::Always(63), ..EngineConfig::default() });
    let refused = in_time(must.engine.warm()).await.expect_err("no machine has 64 cards");
    assert!(matches!(&refused, EngineError::Model(error) if matches!(**error, ModelError::Compute { .. })));
}
