//! The speech engine's limits, queue, cancelling and life cycle, on the published voice with a stand-in for eSpeak NG.

#![cfg(unix)]

use std::time::Duration;

use atelier_inference::{
    EngineError, EngineState, ModelError, PhonemizerError, Speech, SpeechEngine, SpeechRequest, Synthesizer,
    SynthesizerConfig, WeightsSource, weights,
};

#[path = "support/program.rs"]
mod program;

const PATIENCE: Duration = Duration::from_secs(120);
const HELLO: &str = "cat >/dev/null; echo 'həlˈoʊ'";
const PAUSE: usize = 4410;

struct Fixture {
    engine: Synthesizer,
    _folder: tempfile::TempDir,
}

fn engine(script: &str, change: impl FnOnce(&mut SynthesizerConfig)) -> Fixture {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut config = SynthesizerConfig {
        phonemizer: program::phonemizer(folder.path(), script),
        threads: Some(1),
        unread_pieces_max: 1,
        ..SynthesizerConfig::default()
    };
    change(&mut config);
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let source = WeightsSource::Published { source: weights::PIPER_EN_US_JOE_MEDIUM, cache_dir };
    Fixture { engine: Synthesizer::lazy(source, config), _folder: folder }
}

async fn in_time<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, what).await.expect("it ends in time")
}

/// A hundred sentences, of which the first is spoken.
async fn begun(engine: &Synthesizer) -> Speech {
    let mut speech = in_time(engine.speak(SpeechRequest::new("Hi. ".repeat(100)))).await.expect("it begins");
    in_time(speech.next()).await.expect("a piece").expect("it is spoken");
    speech
}

async fn all_free(engine: &Synthesizer, places: usize) {
    in_time(async {
        while engine.free_places() < places {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn each_sentence_is_a_piece_with_a_pause_before_all_but_the_first() {
    let fixture = engine(HELLO, |_| ());
    let mut speech = in_time(fixture.engine.speak(SpeechRequest::new("One. Two."))).await.expect("it begins");
    assert_eq!(speech.sample_rate(), 22_050);
    let first = in_time(speech.next()).await.expect("a piece").expect("it is spoken");
    let second = in_time(speech.next()).await.expect("a piece").expect("it is spoken");
    assert!(in_time(speech.next()).await.is_none() && in_time(speech.next()).await.is_none());
    assert!(first[..PAUSE].iter().any(|sample| *sample != 0));
    assert!(second[..PAUSE].iter().all(|sample| *sample == 0) && second.len() > PAUSE + 5_000);
    assert!(first.iter().any(|sample| sample.unsigned_abs() > 1_000), "it is not silent");
}

#[tokio::test]
async fn speed_is_kept_and_what_is_out_of_range_is_refused() {
    let fixture = engine(HELLO, |config| config.text_bytes_max = 16);
    let speak = |request| in_time(fixture.engine.speak(request));
    let mut lengths = Vec::new();
    for speed in [0.25, 4.0] {
        let speech = speak(SpeechRequest::new("Hi.").with_speed(speed)).await.expect("it begins");
        lengths.push(in_time(speech.collect()).await.expect("it is spoken").len());
    }
    // Sixteen times but for whole frames, of which each phoneme has one at least; measured 8.
    assert!(lengths[0] > 5 * lengths[1], "{lengths:?}");
    for (request, says) in [
        (SpeechRequest::new("Hi").with_speed(0.24), "`speed`"),
        (SpeechRequest::new("Hi").with_speed(4.1), "`speed`"),
        (SpeechRequest::new("Hi").with_speed(f32::NAN), "`speed`"),
        (SpeechRequest::new(" \n"), "`input`: it is empty"),
        (SpeechRequest::new("x".repeat(17)), "at most 16 are read"),
        (SpeechRequest { speaker: 1, ..SpeechRequest::new("Hi") }, "`speaker`"),
    ] {
        let refused = speak(request).await.expect_err("it must be refused").to_string();
        assert!(refused.contains(says), "{refused}");
    }
    let nothing = speak(SpeechRequest::new("...")).await.expect("it begins");
    let refused = in_time(nothing.collect()).await.expect_err("it must be refused").to_string();
    assert!(refused.contains("nothing in it that can be spoken"), "{refused}");
    all_free(&fixture.engine, 8).await;
}

#[tokio::test]
async fn one_request_more_than_there_are_places_is_busy_and_who_leaves_frees_one() {
    let fixture = engine(HELLO, |config| config.places_max = 2);
    let running = begun(&fixture.engine).await;
    let waiting = in_time(fixture.engine.speak(SpeechRequest::new("Hi"))).await.expect("it waits");
    let refused = in_time(fixture.engine.speak(SpeechRequest::new("Hi"))).await.expect_err("no place");
    assert!(matches!(refused, EngineError::Busy { .. }), "{refused}");
    drop(running);
    in_time(waiting.collect()).await.expect("its turn comes when the first is given up");
    all_free(&fixture.engine, 2).await;
}

#[tokio::test]
async fn a_reader_that_stalls_ends_its_request_and_is_told() {
    let fixture = engine(HELLO, |config| config.reader_stall_max = Duration::from_millis(100));
    let speech =
        in_time(fixture.engine.speak(SpeechRequest::new("Hi. ".repeat(100)))).await.expect("it begins");
    all_free(&fixture.engine, 8).await;
    let ended = in_time(speech.collect()).await;
    assert!(matches!(ended, Err(EngineError::ReaderStalled { .. })), "{ended:?}");
}

#[tokio::test]
async fn unloading_ends_what_runs_and_what_waits_and_the_next_use_loads_again() {
    let fixture = engine(HELLO, |_| ());
    let running = begun(&fixture.engine).await;
    let waiting = in_time(fixture.engine.speak(SpeechRequest::new("Hi"))).await.expect("it waits");
    in_time(fixture.engine.unload()).await;
    for speech in [running, waiting] {
        let ended = in_time(speech.collect()).await;
        assert!(matches!(ended, Err(EngineError::Unloaded)), "{ended:?}");
    }
    assert_eq!(fixture.engine.state(), EngineState::Unloaded);
    let again = in_time(fixture.engine.speak(SpeechRequest::new("Hi"))).await.expect("it is loaded again");
    assert!(!in_time(again.collect()).await.expect("it is spoken").is_empty());
}

#[tokio::test]
async fn a_program_that_fails_ends_the_request_and_a_warm_up_with_its_words() {
    let fixture = engine("echo broken >&2; exit 1", |_| ());
    let speech = in_time(fixture.engine.speak(SpeechRequest::new("Hi"))).await.expect("it begins");
    let errors = [
        in_time(speech.collect()).await.expect_err("it must fail"),
        in_time(fixture.engine.warm()).await.expect_err("it must fail"),
    ];
    for error in errors {
        let EngineError::Model(error) = error else { panic!("{error}") };
        assert!(matches!(&*error, ModelError::Phonemizer(PhonemizerError::Failed { .. })), "{error}");
    }
}

#[tokio::test]
async fn a_voice_beyond_the_memory_is_refused_before_it_is_read() {
    let fixture = engine(HELLO, |config| config.memory_bytes_max = 100 << 20);
    let Err(EngineError::Model(error)) = in_time(fixture.engine.warm()).await else {
        panic!("it was loaded")
    };
    assert!(matches!(*error, ModelError::DoesNotFit { limit_bytes: 104_857_600, .. }), "{error}");
}
