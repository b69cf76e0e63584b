//! Whisper tiny.en, fetched by hash on first use, against what CTranslate2 makes of the same recording (`whisper/reference.py`).

#[path = "support/recording.rs"]
mod recording;

use std::path::PathBuf;
use std::sync::OnceLock;

use atelier_inference::weights::{self, Source};
use atelier_inference::whisper::Manner;
use atelier_inference::{
    EngineError, Transcriber, TranscriberConfig, TranscriptionEngine, WeightsSource, WhisperModel,
};
use serde::Deserialize;

/// Of the spectrogram, whose numbers lie between -1 and 2.
const MEL_DIFFERENCE_MAX: f32 = 2e-4;
/// Of what the encoder hears, relative to the largest number.
const MOMENTS_DIFFERENCE_MAX: f32 = 1e-3;
/// Of scores, which lie between -10 and 30.
const SCORES_DIFFERENCE_MAX: f32 = 2e-2;
/// Steps of 0.02 s by which a word may begin earlier or later.
const STEPS_DIFFERENCE_MAX: i64 = 2;

#[derive(Deserialize)]
struct Reference {
    samples: usize,
    mel: Vec<Vec<f32>>,
    moments: Vec<Vec<f32>>,
    tokens: Vec<u32>,
    picked: Vec<usize>,
    scores: Vec<Vec<f32>>,
    alignments: Vec<(usize, i64)>,
}

fn reference() -> Reference {
    serde_json::from_str(include_str!("whisper/reference.json")).expect("the reference")
}

fn fetched(source: &Source) -> PathBuf {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    weights::fetch(source, &cache_dir, |_| ()).expect("the files can be fetched")
}

fn beckett() -> Vec<f32> {
    let path = fetched(&weights::SPEECH);
    let folder = if path.is_dir() { path } else { path.parent().expect("a folder").to_owned() };
    let (samples, rate) = recording::read(&folder.join("beckett.wav"));
    assert_eq!(rate, 16_000);
    samples
}

fn model() -> &'static WhisperModel {
    static MODEL: OnceLock<WhisperModel> = OnceLock::new();
    MODEL.get_or_init(|| WhisperModel::load(&fetched(&weights::WHISPER_TINY_EN)).expect("the weights load"))
}

fn window() -> Vec<f32> {
    let mut samples = beckett();
    assert_eq!(samples.len(), reference().samples);
    samples.resize(model().info().shape.window_samples(), 0.0);
    samples
}

fn engine(config: TranscriberConfig) -> Transcriber {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    Transcriber::lazy(WeightsSource::Published { source: weights::WHISPER_TINY_EN, cache_dir }, config)
}

/// The greatest difference of two rows of numbers.
fn apart<'n>(pairs: impl Iterator<Item = (&'n f32, &'n f32)>) -> f32 {
    pairs.map(|(one, other)| (one - other).abs()).fold(0.0, f32::max)
}

#[test]
fn its_dimensions_are_told_before_it_is_loaded() {
    let info = WhisperModel::inspect(&fetched(&weights::WHISPER_TINY_EN)).expect("it is described");
    let shape = info.shape;
    assert_eq!((shape.mels, shape.moments, shape.width, shape.heads), (80, 1500, 384, 6));
    assert_eq!((shape.encoder_blocks, shape.decoder_blocks), (4, 4));
    assert_eq!((shape.positions, shape.vocabulary), (448, 51_864));
    assert!((37_000_000..39_000_000).contains(&info.parameters), "{}", info.parameters);
}

#[test]
fn the_spectrogram_is_that_of_transformers() {
    let found = model().spectrogram(&window()).expect("a window");
    let found: Vec<f32> =
        found.chunks_exact(80).step_by(97).flat_map(|frame| frame.iter().step_by(7)).copied().collect();
    let expected = reference().mel.concat();
    assert_eq!(found.len(), expected.len());
    let apart = apart(found.iter().zip(&expected));
    println!("greatest difference {apart:e}");
    assert!(apart < MEL_DIFFERENCE_MAX, "{apart}");
}

#[test]
fn the_encoder_hears_what_ctranslate2_hears() {
    let found = model().moments(&window()).expect("a window");
    let found: Vec<f32> =
        found.chunks_exact(384).step_by(61).flat_map(|moment| moment.iter().step_by(31)).copied().collect();
    let expected = reference().moments.concat();
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
    let apart = apart(found.iter().zip(&expected)) / largest;
    println!("greatest difference {apart:e} of {largest}");
    assert!(apart < MOMENTS_DIFFERENCE_MAX, "{apart}");
}

#[test]
fn the_decoder_scores_what_may_follow_as_ctranslate2_does() {
    let Reference { tokens, picked, scores, .. } = reference();
    let mut read = vec![50_257];
    read.extend(&tokens);
    let found = model().scores(&window(), &read).expect("scores");
    let vocabulary = model().info().shape.vocabulary;
    let mut compared = 0;
    let mut furthest = 0.0_f32;
    for (found, expected) in found.chunks_exact(vocabulary).zip(&scores) {
        for (token, expected) in picked.iter().zip(expected) {
            // Those that may not follow have no score there.
            if *expected > -1e30 {
                furthest = furthest.max((found[*token] - expected).abs());
                compared += 1;
            }
        }
    }
    println!("greatest difference {furthest:e} of {compared} scores");
    assert!(compared > 60, "{compared}");
    assert!(furthest < SCORES_DIFFERENCE_MAX, "{furthest}");
}

#[tokio::test]
async fn a_recording_is_written_down_with_the_tokens_of_ctranslate2() {
    let engine = engine(TranscriberConfig::default());
    let mut transcription =
        engine.transcribe(recording::Samples::new(beckett()), Manner::default()).await.expect("it begins");
    let mut tokens = Vec::new();
    let mut text = String::new();
    let mut seconds = 0.0;
    while let Some(heard) = transcription.next().await.expect("it goes on") {
        for segment in heard.segments {
            assert!(segment.seconds.start < segment.seconds.end && segment.words.is_empty());
            tokens.extend(segment.tokens);
            text += &segment.text;
        }
        seconds = heard.seconds;
    }
    println!("{text}");
    assert_eq!(tokens, reference().tokens);
    assert_eq!(text.trim(), "Ever tried, ever failed. No matter, try again. Fail again. Fail better.");
    assert!((9.9..10.0).contains(&seconds), "{seconds}");
}

#[tokio::test]
async fn words_begin_where_ctranslate2_hears_them() {
    let engine = engine(TranscriberConfig::default());
    let manner = Manner { word_times: true, ..Manner::default() };
    let mut transcription =
        engine.transcribe(recording::Samples::new(beckett()), manner).await.expect("it begins");
    let mut words = Vec::new();
    while let Some(heard) = transcription.next().await.expect("it goes on") {
        words.extend(heard.segments.into_iter().flat_map(|segment| segment.words));
    }
    let said: Vec<&str> = words.iter().map(|word| word.text.as_str()).collect();
    let expected = [
        "Ever", "tried,", "ever", "failed.", "No", "matter,", "try", "again.", "Fail", "again.", "Fail",
        "better.",
    ];
    assert_eq!(said, expected);
    // The moment at which the path first comes to each token of text.
    let alignments = reference().alignments;
    let began = |token: usize| {
        alignments.iter().find(|(at, _)| *at == token).map(|(_, moment)| *moment).expect("it is aligned")
    };
    let firsts = [0, 1, 3, 4, 6, 7, 9, 10, 12, 13, 15, 16];
    for (word, token) in words.iter().zip(firsts) {
        let found = (word.seconds.start / 0.02).round() as i64;
        println!("{} {found} {}", word.text, began(token));
        assert!((found - began(token)).abs() <= STEPS_DIFFERENCE_MAX, "{}: {found}", word.text);
        assert!(word.seconds.start <= word.seconds.end);
    }
}

#[tokio::test]
async fn a_recording_that_is_too_long_is_refused_by_its_length() {
    let engine = engine(TranscriberConfig { seconds_max: 5, ..TranscriberConfig::default() });
    let mut transcription =
        engine.transcribe(recording::Samples::new(beckett()), Manner::default()).await.expect("it begins");
    let refused = transcription.next().await;
    assert!(
        matches!(&refused, Err(EngineError::InvalidRequest { parameter: "file", reason }) if reason.contains("5 s")),
        "{refused:?}"
    );
}
