//! A voice's file that is damaged or made to do harm: it is refused, or what it takes stays within its bound. The process that the tests
//! run in is the one that must not end.

#![cfg(unix)]

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use atelier_inference::piper::{PHONEMES_MAX, PiperModel, Scales};
use atelier_inference::{ModelError, weights};
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tempfile::TempDir;

/// Bytes of the published file that are its graph: nodes before the weights; whole numbers, shapes and names behind them.
const GRAPH: [std::ops::Range<u64>; 2] = [0..439_233, 63_057_052..63_201_294];
const MUTATIONS: usize = 300;
const CUTS: u64 = 60;
const NO_NOISE: Scales = Scales { noise: 0.0, length: 1.0, noise_width: 0.0 };
/// Of the whole process: what a voice is planned to take, and what it has besides.
#[cfg(target_os = "linux")]
const PROCESS_KIB_MAX: u64 = 1 << 20;

/// A copy of the published voice.
fn voice() -> (TempDir, File) {
    let cache_dir = weights::cache_dir().expect("a cache folder");
    let source = weights::PIPER_EN_US_JOE_MEDIUM;
    let published = weights::fetch(&source, &cache_dir, |_| ()).expect("the weights can be fetched");
    weights::verify(&source, &cache_dir).expect("they are whole");
    let folder = tempfile::tempdir().expect("a temporary folder");
    for name in ["voice.onnx", "voice.onnx.json"] {
        std::fs::copy(published.join(name), folder.path().join(name)).expect("it is copied");
    }
    let path = folder.path().join("voice.onnx");
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it is there");
    (folder, file)
}

fn refusal(folder: &Path) -> String {
    PiperModel::load(folder, None).expect_err("it must be refused").to_string()
}

/// Where the numbers of a weight begin, in so many bytes behind its name.
fn weight(folder: &Path, name: &str) -> u64 {
    let bytes = std::fs::read(folder.join("voice.onnx")).expect("it is there");
    // The first is in a node; the numbers come with a field's number and a length of one byte before them.
    let name_at = bytes.windows(name.len()).rposition(|found| found == name.as_bytes());
    (name_at.expect("it is there") + name.len() + 2) as u64
}

fn assert_memory_is_bounded() {
    #[cfg(target_os = "linux")]
    {
        let status = std::fs::read_to_string("/proc/self/status").expect("Linux says");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("the most it held");
        let kib: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
        println!("the process held {} MiB at most", kib >> 10);
        assert!(kib < PROCESS_KIB_MAX, "{kib} KiB");
    }
}

#[test]
fn a_voice_cut_anywhere_is_refused() {
    let (folder, file) = voice();
    let length = file.metadata().expect("it has a length").len();
    let within = (0..CUTS).map(|cut| cut * length / CUTS);
    let mut ends: Vec<u64> =
        within.chain((0..100).map(|cut| cut * 4_000)).chain(length - 40..length).collect();
    ends.sort_unstable_by(|a, b| b.cmp(a));
    for end in ends {
        file.set_len(end).expect("it is cut");
        assert!(PiperModel::load(folder.path(), None).is_err(), "cut at {end}");
    }
    assert_memory_is_bounded();
}

#[test]
fn a_graph_with_any_other_byte_is_refused_before_it_computes() {
    let (folder, file) = voice();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    for mutation in 0..MUTATIONS {
        let at = random.random_range(GRAPH[mutation % 2].clone());
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("it is there");
        let other = byte[0] ^ random.random_range(1..=255_u8);
        file.write_all_at(&[other], at).expect("it is written");
        let refused = refusal(folder.path());
        assert!(refused.contains("Piper's graph") || refused.contains("no ONNX file"), "{at}: {refused}");
        file.write_all_at(&byte, at).expect("it is written");
    }
    let model = PiperModel::load(folder.path(), None).expect("it is whole again");
    assert!(model.speak(&[1, 0, 14, 0, 2], NO_NOISE, 0).is_ok());
    assert_memory_is_bounded();
}

/// A field with a length.
fn field(number: u8, held: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, held.len() as u8], held].concat()
}

#[test]
fn graphs_that_ask_for_memory_are_refused() {
    let (folder, _) = voice();
    for operator in ["ConstantOfShape", "Expand", "Tile", "Pad", "Range", "Resize", "Loop"] {
        let node = [field(1, b"n"), field(2, b"output"), field(4, operator.as_bytes())].concat();
        // One whole number, 2^40, of the type of 64 bits.
        let number = field(9, &(1_u64 << 40).to_le_bytes());
        let tensor = [&[0x08, 1, 0x10, 7][..], &field(8, b"n"), &number].concat();
        let graph = [field(1, &node), field(5, &tensor), field(12, &field(1, b"output"))].concat();
        let model = [&[0x08, 8][..], &field(7, &graph), &field(8, &[0x10, 15])].concat();
        std::fs::write(folder.path().join("voice.onnx"), model).expect("it is written");
        let refused = refusal(folder.path());
        assert!(refused.contains("Piper's graph"), "{operator}: {refused}");
    }
}

/// The graph is the published one, and weights alone say how long each phoneme lasts.
#[test]
fn weights_that_would_speak_for_ever_are_refused_when_they_speak() {
    let (folder, file) = voice();
    let at = weight(folder.path(), "dp.flows.0.m");
    for (weight, says) in [(-15.0_f32, "frames"), (-80.0, "frames"), (-1e30, "finite"), (f32::NAN, "finite")]
    {
        file.write_all_at(&weight.to_le_bytes(), at).expect("it is written");
        let model = PiperModel::load(folder.path(), None).expect("its graph is known");
        let refused = model
            .speak(&[1, 0, 14, 0, 2], NO_NOISE, 0)
            .map(|samples| samples.len())
            .expect_err("it must be refused")
            .to_string();
        println!("{weight}: {refused}");
        assert!(refused.contains(says), "{weight}: {refused}");
    }
    assert_memory_is_bounded();
}

#[test]
fn what_is_spoken_at_once_is_bounded() {
    let (folder, _) = voice();
    let model = PiperModel::load(folder.path(), None).expect("it is whole");
    let text: String = "hˈɛloʊ, wˈɜːld; ".chars().cycle().take(PHONEMES_MAX).collect();
    let rows = model.rows(&text, 1.0);
    let longest = model.speak(&rows[0], NO_NOISE, 0).expect("it speaks");
    println!("{} phonemes are {} frames", PHONEMES_MAX, longest.len() / 256);
    let slow = Scales { length: 8.0, ..NO_NOISE };
    let refused =
        model.speak(&rows[0], slow, 0).map(|samples| samples.len()).expect_err("it must be refused");
    assert!(refused.to_string().contains("at most 2048 are spoken"), "{refused}");
    let refused = model.speak(&[14; 1025], NO_NOISE, 0).map(|samples| samples.len());
    let refused = refused.expect_err("it must be refused");
    assert!(matches!(refused, ModelError::Unanswerable { parameter: "row", .. }), "{refused}");
    // As much as there may be of both: memory is what was planned.
    let length = 1_980.0 / (longest.len() / 256) as f32;
    let most = model.speak(&rows[0], Scales { length, ..NO_NOISE }, 0).expect("it speaks");
    println!("{} frames", most.len() / 256);
    assert_memory_is_bounded();
}

/// A graph that is not the known one is run where its operator says so, and by its own digest alone.
#[test]
fn a_graph_that_is_trusted_is_run() {
    let (folder, file) = voice();
    // The name of whoever wrote the file.
    let bytes = std::fs::read(folder.path().join("voice.onnx")).expect("it is there");
    let at = bytes.windows(7).position(|found| found == b"pytorch").expect("it is there") as u64;
    file.write_all_at(b"P", at).expect("it is written");
    let refused = PiperModel::load(folder.path(), Some(&"0".repeat(64))).expect_err("it must be refused");
    let ModelError::Unsupported { found, .. } = &refused else { panic!("{refused}") };
    assert!(refused.to_string().contains("graph_sha256"), "{refused}");
    assert!(PiperModel::inspect(folder.path(), None).is_err());
    PiperModel::inspect(folder.path(), Some(found)).expect("it is trusted");
    let model = PiperModel::load(folder.path(), Some(found)).expect("it is trusted");
    assert!(model.speak(&[1, 0, 14, 0, 2], NO_NOISE, 0).is_ok());
}
