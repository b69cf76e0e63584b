//! Two real engines under one budget of memory: they swap, wait and give room back.

#[path = "support/gguf_file.rs"]
mod gguf_file;

use std::time::Duration;

use atelier_inference::{
    Budget, ChatRequest, Engine, EngineConfig, EngineError, EngineState, ModelError, Role, TextEngine,
    WeightsSource,
};

const PATIENCE: Duration = Duration::from_secs(60);

struct Fixture {
    engines: [Engine; 2],
    files: [tempfile::NamedTempFile; 2],
    budget: Budget,
}

/// Two models where one and a half have room.
async fn fixture(waited_max: Duration) -> Fixture {
    let files = [(); 2].map(|()| {
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        std::fs::write(file.path(), gguf_file::tiny_llama().0).expect("the file can be written");
        file
    });
    let source = |index: usize| WeightsSource::File(files[index].path().to_owned());
    let config =
        EngineConfig { concurrent_max: 1, queued_max: 1, unread_events_max: 1, ..EngineConfig::default() };
    let alone = Budget::new(2 << 30, waited_max);
    let measured = Engine::within(source(0), config.clone(), alone.clone());
    in_time(measured.warm()).await.expect("it loads");
    let budget = Budget::new(alone.used_bytes() * 3 / 2, waited_max);
    // Each as large as it was alone: its cache does not shrink to what the other leaves.
    let engines = [0, 1].map(|index| Engine::within(source(index), config.clone(), budget.clone()));
    Fixture { engines, files, budget }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it ends in time")
}

fn ask(max_tokens: u32) -> ChatRequest {
    ChatRequest::new([(Role::User, "one")]).with_max_tokens(max_tokens).with_sampling(1.0, 1.0, 7)
}

#[tokio::test]
async fn an_idle_model_makes_room_for_the_next_and_loads_again_when_asked() {
    let Fixture { engines: [a, b], files: _files, budget } = fixture(PATIENCE).await;
    in_time(a.warm()).await.expect("it fits");
    let of_one = budget.used_bytes();
    for (next, last) in [(&b, &a), (&a, &b)] {
        in_time(async { next.generate(ask(3)).await?.collect().await }).await.expect("it runs");
        assert_eq!(last.state(), EngineState::Unloaded);
        assert!(matches!(next.state(), EngineState::Ready(_)));
        assert_eq!(budget.used_bytes(), of_one);
    }
}

#[tokio::test]
async fn a_model_in_use_is_not_unloaded_and_the_next_waits_until_its_requests_end() {
    let Fixture { engines: [a, b], files: _files, .. } = fixture(PATIENCE).await;
    let running = in_time(a.generate(ask(200))).await.expect("admitted");
    let waiting = tokio::spawn({
        let b = b.clone();
        async move { b.warm().await }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!waiting.is_finished() && matches!(a.state(), EngineState::Ready(_)));
    drop(running);
    in_time(waiting).await.expect("no panic").expect("the other became idle");
    assert_eq!(a.state(), EngineState::Unloaded);
}

#[tokio::test]
async fn a_model_whose_room_stays_in_use_is_refused_with_the_numbers() {
    let Fixture { engines: [a, b], files: _files, budget } = fixture(Duration::from_millis(100)).await;
    let _running = in_time(a.generate(ask(200))).await.expect("admitted");
    let refused = in_time(b.warm()).await;
    let used = budget.used_bytes();
    let Err(EngineError::NoRoom { needed_bytes, free_bytes, total_bytes }) = refused else {
        panic!("not refused: {refused:?}")
    };
    assert_eq!((needed_bytes, free_bytes), (used, total_bytes - used));
}

#[tokio::test]
async fn a_load_that_fails_gives_its_room_back() {
    let Fixture { engines: [a, b], files, budget } = fixture(PATIENCE).await;
    // Its header is whole and its memory is planned; then its second block lacks a matrix.
    let (mut bytes, _) = gguf_file::tiny_llama();
    let name = b"blk.1.ffn_down.weight";
    let at = bytes.windows(name.len()).position(|part| part == name).expect("it is there");
    bytes[at] = b'x';
    std::fs::write(files[0].path(), bytes).expect("the file can be written");
    let failed = in_time(a.warm()).await;
    assert!(
        matches!(&failed, Err(EngineError::Model(error)) if matches!(**error, ModelError::BadTensor { .. })),
        "{failed:?}"
    );
    assert_eq!(budget.used_bytes(), 0);
    in_time(b.warm()).await.expect("all is free");
}
