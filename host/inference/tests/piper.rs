//! Piper's voices: their description, eSpeak NG within bounds, and a published voice against onnxruntime (`piper/reference.py`).

#![cfg(unix)]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use atelier_inference::piper::{PHONEMES_MAX, Phonemizer, PiperModel, Scales, Voice};
use atelier_inference::{ModelError, PhonemizerError, weights};
use serde_json::{Value, json};

#[path = "support/program.rs"]
mod program;

/// 16-bit floats.
const SOUND: &[u8] = include_bytes!("piper/sound.bin");
const PHONEMES: &str = "ðə kwˈɪk bɹˈaʊn fˈɑːks dʒˈʌmps ˌoʊvɚ ðə lˈeɪzi dˈɑːɡ.";
const NO_NOISE: Scales = Scales { noise: 0.0, length: 1.0, noise_width: 0.0 };
/// Of full scale: half the last of the reference's 11 bits is 1.2e-4 here, and sums in another order add to it; measured 1.3e-4.
const DIFFERENCE_MAX: f32 = 5e-4;

fn description() -> Value {
    json!({
        "audio": { "sample_rate": 22050 },
        "espeak": { "voice": "en-us" },
        "inference": { "noise_scale": 0.667, "length_scale": 1, "noise_w": 0.8 },
        "phoneme_type": "espeak",
        "num_symbols": 8,
        "num_speakers": 1,
        "phoneme_id_map": { "_": [0], "^": [1], "$": [2], " ": [3], "a": [4], "b": [5, 6], "\u{327}": [7] },
    })
}

fn voice(description: &Value) -> Result<Voice, ModelError> {
    Voice::from_json(description.to_string().as_bytes())
}

#[test]
fn phonemes_become_the_ids_that_voices_are_trained_on() {
    let voice = voice(&description()).expect("it is whole");
    assert_eq!(voice.ids("ab", 9), [[1, 0, 4, 0, 5, 6, 0, 2]]);
    // Marks of the voice itself and what it does not know are left out; letters and their marks come apart.
    assert_eq!(voice.ids("^a_x$", 9), [[1, 0, 4, 0, 2]]);
    assert_eq!(voice.ids("a\u{327}", 9), [[1, 0, 4, 0, 7, 0, 2]]);
    assert!(voice.ids("", 9).is_empty() && voice.ids("   ", 9).is_empty());
}

#[test]
fn a_row_that_is_too_long_is_cut_between_words_or_where_it_must_be() {
    let voice = voice(&description()).expect("it is whole");
    assert_eq!(voice.ids("aa aa", 4), [vec![1, 0, 4, 0, 4, 0, 3, 0, 2], vec![1, 0, 4, 0, 4, 0, 2]]);
    assert_eq!(voice.ids("aaaaa", 2).len(), 3);
}

#[test]
fn a_description_that_is_wrong_is_refused_by_name() {
    let cases = [
        ("/audio/sample_rate", json!(7999), "sample_rate"),
        ("/audio/sample_rate", json!(-1), "voice.onnx.json"),
        ("/espeak/voice", json!("-f/etc/passwd"), "espeak.voice"),
        ("/espeak/voice", json!("en us"), "espeak.voice"),
        ("/espeak/voice", json!(""), "espeak.voice"),
        ("/espeak/voice", json!("e".repeat(65)), "espeak.voice"),
        ("/inference/length_scale", json!(0), "inference"),
        ("/inference/noise_w", json!(1e9), "inference"),
        ("/num_speakers", json!(4097), "num_speakers"),
        ("/num_symbols", json!(4097), "num_symbols"),
        ("/num_symbols", json!(7), "phoneme_id_map"),
        ("/phoneme_type", json!("text"), "phoneme_type"),
        ("/phoneme_id_map", json!({ "_": [0], "^": [1] }), "phoneme_id_map.$"),
        ("/phoneme_id_map/a", json!([]), "phoneme_id_map"),
        ("/phoneme_id_map/a", json!([1, 1, 1, 1, 1, 1, 1, 1, 1]), "phoneme_id_map"),
        ("/phoneme_id_map/a", json!([-4]), "voice.onnx.json"),
        ("/phoneme_id_map", json!({ "ab": [0] }), "phoneme_id_map"),
    ];
    for (at, value, says) in cases {
        let mut description = description();
        *description.pointer_mut(at).expect("it is there") = value.clone();
        let refused = voice(&description).expect_err("it must be refused").to_string();
        assert!(refused.contains(says), "{at} {value}: {refused}");
    }
    assert!(Voice::from_json(b"{").is_err());
}

#[test]
fn files_beyond_their_bounds_or_of_another_kind_are_refused() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (json, onnx) = (folder.path().join("voice.onnx.json"), folder.path().join("voice.onnx"));
    std::fs::write(&json, vec![b' '; (1 << 20) + 1]).expect("it is written");
    let refuses = |says: &str| {
        let refused = PiperModel::load(folder.path(), None).expect_err("it must be refused").to_string();
        assert!(refused.contains(says), "{refused}");
    };
    refuses("at most 1048576 are read");
    std::fs::write(&json, description().to_string()).expect("it is written");
    refuses("reading");
    std::fs::write(&onnx, [0xff; 1000]).expect("it is written");
    refuses("not a usable model file");
    std::fs::File::create(&onnx).expect("it is made").set_len((1 << 30) + 1).expect("it is sparse");
    refuses("at most 1073741824 are read");
}

fn joe() -> PiperModel {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let source = weights::PIPER_EN_US_JOE_MEDIUM;
    let folder = weights::fetch(&source, &cache_dir, |_| ()).expect("the weights can be fetched");
    weights::verify(&source, &cache_dir).expect("they are whole");
    PiperModel::load(&folder, None).expect("the voice loads")
}

#[test]
fn the_published_voice_speaks_what_onnxruntime_speaks() {
    let model = joe();
    assert_eq!(model.info().voice.sample_rate, 22_050);
    let rows = model.rows(PHONEMES, 1.0);
    let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
    let found = model.speak(row, NO_NOISE, 0).expect("it speaks");
    let expected: Vec<f32> =
        SOUND.as_chunks().0.iter().map(|bytes| half::f16::from_le_bytes(*bytes).to_f32()).collect();
    assert_eq!(found.len(), expected.len());
    let apart = found.iter().zip(&expected).map(|(found, expected)| (found - expected).abs());
    let difference = apart.fold(0.0, f32::max);
    println!("greatest difference {difference:.1e} of full scale");
    assert!(difference < DIFFERENCE_MAX, "{difference}");
    let slow = model.speak(row, Scales { length: 2.0, ..NO_NOISE }, 0).expect("it speaks");
    let ratio = slow.len() as f64 / found.len() as f64;
    // Each phoneme's length is rounded up to a whole frame, so it is not quite twice; measured 1.76.
    assert!((1.6..2.0).contains(&ratio), "{ratio}");
    // Bounds: half the length at twice the time, speakers and scales that there are.
    assert_eq!(model.rows(&"a".repeat(2 * PHONEMES_MAX), 2.0).len(), 4);
    assert!(matches!(
        model.speak(row, NO_NOISE, 1),
        Err(ModelError::Unanswerable { parameter: "speaker", .. })
    ));
    let endless = Scales { length: f32::INFINITY, ..NO_NOISE };
    assert!(matches!(
        model.speak(row, endless, 0),
        Err(ModelError::Unanswerable { parameter: "scales", .. })
    ));
}

async fn said(script: &str, clause: &str) -> Result<String, PhonemizerError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    program::phonemizer(folder.path(), script).phonemes("en-us", clause).await
}

#[tokio::test]
async fn a_clause_goes_by_standard_input_and_arguments_hold_nothing_of_it() {
    let found =
        said("IFS= read -r line; echo \"$line\"; echo \"$*\"", "-v fr; $(id)").await.expect("it ends");
    assert_eq!(found, "-v fr; $ -q --ipa -b 1 --stdin -v en-us", "marks of languages are in parentheses");
    let found = said("cat >/dev/null; echo ${HOME-none}", "x").await.expect("it ends");
    assert_eq!(found, "none", "what it need not know it is not told");
}

#[tokio::test]
async fn a_program_that_is_not_there_is_said_with_how_to_install_it() {
    let phonemizer = Phonemizer { program: PathBuf::from("/nowhere/espeak-ng"), ..Phonemizer::default() };
    let refused = phonemizer.probe("en-us").await.expect_err("it must be refused");
    assert!(matches!(refused, PhonemizerError::Missing { .. }), "{refused}");
    assert!(refused.to_string().contains("apt install espeak-ng"), "{refused}");
}

#[tokio::test]
async fn a_program_that_fails_is_reported_with_what_it_said() {
    let refused =
        said("echo no such voice >&2; exit 3", "x").await.expect_err("it must be refused").to_string();
    assert!(refused.contains("exit status: 3") && refused.contains("no such voice"), "{refused}");
    let refused = said("printf '\\377'", "x").await.expect_err("it must be refused").to_string();
    assert!(refused.contains("not UTF-8"), "{refused}");
    // Far more than is kept of it, and than a pipe holds.
    let refused = said("head -c 300000 /dev/zero | tr '\\0' e >&2; exit 1", "x").await.expect_err("refused");
    assert!(refused.to_string().len() < 800, "{refused}");
}

#[tokio::test]
async fn a_program_that_writes_too_much_or_never_ends_is_stopped() {
    let refused = said("exec cat /dev/zero", "x").await.expect_err("it must be refused");
    assert!(matches!(refused, PhonemizerError::TooMuch { .. }), "{refused}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut phonemizer = program::phonemizer(folder.path(), "exec sleep 600");
    phonemizer.clause_time_max = Duration::from_millis(200);
    let started = Instant::now();
    let refused = phonemizer.phonemes("en-us", "x").await.expect_err("it must be refused");
    assert!(matches!(refused, PhonemizerError::TimedOut { .. }), "{refused}");
    assert!(started.elapsed() < Duration::from_secs(60));
}

#[tokio::test]
async fn espeak_ng_itself_says_what_the_voice_was_trained_on() {
    let Some(phonemizer) = program::espeak().await else {
        println!("eSpeak NG is not here, and ATELIER_ESPEAK names none: not tested");
        return;
    };
    let found = phonemizer.phonemes("en-us", "The quick brown fox jumps over the lazy dog").await;
    assert_eq!(found.expect("it speaks") + ".", PHONEMES);
    let refused = phonemizer.probe("xx-none").await.expect_err("there is no such language").to_string();
    assert!(refused.contains("does not exist"), "{refused}");
}
