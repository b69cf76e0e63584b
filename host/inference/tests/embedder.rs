//! The embedding engine's limits, queue, cancelling and life cycle, on a tiny encoder of random weights.

#[path = "support/bert_folder.rs"]
mod bert_folder;

use std::time::Duration;

use atelier_inference::{
    Embedder, EmbedderConfig, EmbeddingEngine, EmbeddingInput, EmbeddingRequest, Embeddings, EngineError,
    EngineState, ModelError, TEXT_BYTES_MAX, WeightsSource,
};
use bert_folder::{TOKENS_MAX, WIDTH};

const PATIENCE: Duration = Duration::from_secs(60);

struct Fixture {
    engine: Embedder,
    folder: tempfile::TempDir,
}

fn engine(config: EmbedderConfig) -> Fixture {
    let folder = tempfile::tempdir().expect("a temporary folder");
    bert_folder::write(folder.path());
    Fixture { engine: Embedder::lazy(WeightsSource::File(folder.path().to_owned()), config), folder }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it ends in time")
}

impl Fixture {
    async fn embed(&self, request: EmbeddingRequest) -> Result<Embeddings, EngineError> {
        in_time(self.engine.embed(request)).await
    }

    #[track_caller]
    fn refuses(&self, request: EmbeddingRequest, why: &str) -> impl Future<Output = ()> {
        let caller = std::panic::Location::caller();
        async move {
            let refused = self.embed(request).await.expect_err("it must be refused").to_string();
            assert!(refused.contains(why), "{caller}: {refused:?} does not say {why:?}");
            // The place is given back by the thread that refused, a moment after its word.
            in_time(async {
                while self.engine.free_places() < 36 {
                    tokio::task::yield_now().await;
                }
            })
            .await;
        }
    }
}

/// Enough for the engine to be busy for many steps.
fn long_request() -> EmbeddingRequest {
    EmbeddingRequest::new((0..2048).map(|_| "a ".repeat(TOKENS_MAX))).truncated()
}

/// A request that surely runs: its engine has no place left, and its model is there.
async fn begun(engine: &Embedder) -> tokio::task::JoinHandle<Result<Embeddings, EngineError>> {
    in_time(engine.warm()).await.expect("it loads");
    let before = engine.free_places();
    let running = tokio::spawn({
        let engine = engine.clone();
        async move { engine.embed(long_request()).await }
    });
    let begun = async {
        while engine.free_places() == before {
            tokio::task::yield_now().await;
        }
    };
    in_time(begun).await;
    running
}

fn difference(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[tokio::test]
async fn each_text_has_its_vector_in_order_and_every_token_counts() {
    let fixture = engine(EmbedderConfig::default());
    let texts = ["a", "ab", "c ! b", "zebra"];
    let together = fixture.embed(EmbeddingRequest::new(texts)).await.expect("it runs");
    // Two marks each; `ab` is two pieces, `zebra` one unknown.
    assert_eq!(together.tokens, 3 + 4 + 5 + 3);
    for (text, vector) in texts.iter().zip(&together.vectors) {
        assert_eq!(vector.len(), WIDTH);
        let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
        assert!((length - 1.0).abs() < 1e-5, "length {length}");
        let alone = fixture.embed(EmbeddingRequest::new([*text])).await.expect("it runs");
        assert!(difference(&alone.vectors[0], vector) < 1e-5, "{text:?} depends on what is beside it");
    }
    assert!(difference(&together.vectors[0], &together.vectors[1]) > 1e-3);
}

#[tokio::test]
async fn tokens_are_taken_with_their_marks_or_without() {
    let fixture = engine(EmbedderConfig::default());
    let text = fixture.embed(EmbeddingRequest::new(["ab"])).await.expect("it runs");
    for ids in [vec![4, 7], vec![2, 4, 7, 3]] {
        let request = EmbeddingRequest { inputs: vec![EmbeddingInput::Tokens(ids)], truncate: false };
        assert_eq!(fixture.embed(request).await.expect("it runs"), text);
    }
    let request = EmbeddingRequest { inputs: vec![EmbeddingInput::Tokens(vec![4, 9])], truncate: false };
    fixture.refuses(request, "input[0] has a token outside the vocabulary").await;
}

#[tokio::test]
async fn what_is_empty_or_too_large_is_refused() {
    let fixture = engine(EmbedderConfig::default());
    fixture.refuses(EmbeddingRequest::new([""; 0]), "there are 0 inputs, not 1 to 2048").await;
    fixture.refuses(EmbeddingRequest::new(["a"; 2049]), "there are 2049 inputs, not 1 to 2048").await;
    fixture.refuses(EmbeddingRequest::new(["a", ""]), "input[1] is empty").await;
    let none = EmbeddingRequest { inputs: vec![EmbeddingInput::Tokens(Vec::new())], truncate: false };
    fixture.refuses(none, "input[0] is empty").await;
    let long = "a".repeat(TEXT_BYTES_MAX + 1);
    fixture
        .refuses(EmbeddingRequest::new(["a", &long]).truncated(), "input[1] has more than 131072 bytes")
        .await;
    let many = EmbeddingRequest::new(vec!["a".repeat(TEXT_BYTES_MAX); 33]);
    fixture.refuses(many, "at most 4194304 are read").await;
    fixture.embed(EmbeddingRequest::new([&long[1..]])).await.expect("a word however long is one token");
    fixture.embed(EmbeddingRequest::new(["a"; 2048])).await.expect("it is the limit");
}

#[tokio::test]
async fn a_text_that_is_too_long_is_refused_or_cut_as_the_caller_wishes() {
    let fixture = engine(EmbedderConfig::default());
    let longest = "a ".repeat(TOKENS_MAX - 2);
    let fits = fixture.embed(EmbeddingRequest::new([&longest])).await.expect("it fits");
    assert_eq!(fits.tokens, TOKENS_MAX);
    for longer in [format!("{longest}b"), format!("{longest}{}", "b ".repeat(50_000))] {
        let refused = fixture.embed(EmbeddingRequest::new(["a", &longer])).await;
        assert!(matches!(refused, Err(EngineError::InputTooLong { index: 1, tokens_max: TOKENS_MAX })));
        let cut = fixture.embed(EmbeddingRequest::new([longer]).truncated()).await.expect("it is cut");
        assert_eq!(cut, fits);
    }
    let tokens = |ids| EmbeddingRequest { inputs: vec![EmbeddingInput::Tokens(ids)], truncate: true };
    assert_eq!(fixture.embed(tokens(vec![4; 1000])).await.expect("it is cut"), fits);
}

#[tokio::test]
async fn a_full_engine_refuses_with_a_time_to_retry_and_a_caller_who_leaves_frees_the_place() {
    let fixture = engine(EmbedderConfig { places_max: 1, ..EmbedderConfig::default() });
    let running = begun(&fixture.engine).await;
    let refused = fixture.embed(EmbeddingRequest::new(["a"])).await;
    assert!(
        matches!(refused, Err(EngineError::Busy { retry_after }) if retry_after >= Duration::from_secs(1))
    );
    running.abort();
    let freed = async {
        while fixture.engine.free_places() < 1 {
            tokio::task::yield_now().await;
        }
    };
    in_time(freed).await;
    assert!(in_time(running).await.expect_err("it was aborted").is_cancelled(), "it ran to its end");
    fixture.embed(EmbeddingRequest::new(["a"])).await.expect("the place is free");
}

#[tokio::test]
async fn a_small_request_does_not_wait_for_a_large_one() {
    let fixture = engine(EmbedderConfig::default());
    let running = begun(&fixture.engine).await;
    fixture.embed(EmbeddingRequest::new(["a"])).await.expect("it runs");
    assert!(!running.is_finished(), "the large one came first");
    let all = in_time(running).await.expect("no panic").expect("it runs");
    assert_eq!((all.vectors.len(), all.tokens), (2048, 2048 * TOKENS_MAX));
    assert!(all.vectors.iter().all(|vector| difference(vector, &all.vectors[0]) < 1e-5));
}

#[tokio::test]
async fn unloading_ends_what_runs_and_the_next_use_loads_again() {
    let fixture = engine(EmbedderConfig::default());
    assert_eq!(fixture.engine.state(), EngineState::Unloaded);
    let running = begun(&fixture.engine).await;
    assert!(matches!(fixture.engine.state(), EngineState::Ready(info) if info.dimensions == WIDTH));
    in_time(fixture.engine.unload()).await;
    assert_eq!(fixture.engine.state(), EngineState::Unloaded);
    assert!(matches!(in_time(running).await.expect("no panic"), Err(EngineError::Unloaded)));
    fixture.embed(EmbeddingRequest::new(["a"])).await.expect("it loads again");
}

#[tokio::test]
async fn a_model_that_cannot_be_loaded_fails_every_waiting_user_and_shows_in_the_state() {
    let fixture = engine(EmbedderConfig::default());
    std::fs::write(fixture.folder.path().join("model.safetensors"), b"not a model")
        .expect("it can be written");
    let asked = fixture.engine.embed(EmbeddingRequest::new(["a"]));
    let (first, second) = in_time(async { tokio::join!(fixture.engine.warm(), asked) }).await;
    for error in [first.err(), second.err()] {
        assert!(
            matches!(error, Some(EngineError::Model(error)) if matches!(*error, ModelError::Malformed { .. }))
        );
    }
    assert!(
        matches!(fixture.engine.state(), EngineState::Failed { reason } if reason.contains("model.safetensors"))
    );
    assert_eq!(fixture.engine.free_places(), 36);
}

#[tokio::test]
async fn a_model_larger_than_its_budget_is_refused_with_both_numbers_before_its_weights_are_read() {
    let fixture = engine(EmbedderConfig { memory_bytes_max: 1000, ..EmbedderConfig::default() });
    // Nothing to read: what is needed is known without.
    std::fs::remove_file(fixture.folder.path().join("model.safetensors")).expect("it can be removed");
    let Err(EngineError::Model(error)) = fixture.embed(EmbeddingRequest::new(["a"])).await else {
        panic!("it was loaded")
    };
    assert!(matches!(*error, ModelError::DoesNotFit { needed_bytes: 1001.., limit_bytes: 1000 }), "{error}");
}
