//! A voice's description: the JSON beside its network.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;

use crate::error::ModelError;

/// Bytes of the JSON; the largest of Piper's, with hundreds of speakers, has some 20 KiB.
pub(super) const JSON_BYTES_MAX: u64 = 1 << 20;
const SYMBOLS_MAX: usize = 4096;
const SPEAKERS_MAX: usize = 4096;
/// Ids of one phoneme.
const IDS_MAX: usize = 8;
const SAMPLE_RATES: std::ops::RangeInclusive<u32> = 8_000..=48_000;
const PAD: char = '_';
const BEGIN: char = '^';
const END: char = '$';

/// What a network of the family is told beside phonemes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// How much the sound varies, times a standard deviation; 0: not at all.
    pub noise: f32,
    /// How long a sentence takes, as a multiple of the voice's natural length.
    pub length: f32,
    /// How much the lengths of phonemes vary; 0: not at all.
    pub noise_width: f32,
}

/// What a voice is.
#[derive(Clone, Debug, PartialEq)]
pub struct Voice {
    /// Samples a second of what it speaks.
    pub sample_rate: u32,
    /// eSpeak NG's name of the language, as `en-us`.
    pub espeak_voice: String,
    /// How it sounds unless told otherwise.
    pub scales: Scales,
    /// How many people it can sound like, numbered from 0; at least one.
    pub speakers: usize,
    ids: HashMap<char, Vec<i32>>,
}

#[derive(Deserialize)]
struct File {
    audio: Audio,
    espeak: Espeak,
    inference: Inference,
    #[serde(default)]
    phoneme_type: Option<String>,
    num_symbols: usize,
    num_speakers: usize,
    phoneme_id_map: BTreeMap<String, Vec<usize>>,
}

#[derive(Deserialize)]
struct Audio {
    sample_rate: u32,
}

#[derive(Deserialize)]
struct Espeak {
    voice: String,
}

#[derive(Deserialize)]
struct Inference {
    noise_scale: f32,
    length_scale: f32,
    noise_w: f32,
}

impl Voice {
    /// Read the description as Piper's training writes it.
    ///
    /// # Errors
    /// [`ModelError`] names what is wrong with it.
    pub fn from_json(json: &[u8]) -> Result<Self, ModelError> {
        let bad = |key: &str, found: String, reason: &str| ModelError::BadMetadata {
            key: key.to_owned(),
            found: found.chars().take(80).collect(),
            reason: reason.to_owned(),
        };
        let file: File = serde_json::from_slice(json)
            .map_err(|error| bad("voice.onnx.json", format!("{} bytes", json.len()), &error.to_string()))?;
        if let Some(found) = file.phoneme_type.filter(|kind| kind != "espeak") {
            let found = found.chars().take(80).collect();
            return Err(ModelError::Unsupported { what: "phoneme_type", found, known: "espeak" });
        }
        let sample_rate = file.audio.sample_rate;
        if !SAMPLE_RATES.contains(&sample_rate) {
            return Err(bad("sample_rate", sample_rate.to_string(), "it is not from 8000 to 48000"));
        }
        // It becomes an argument of a program: nothing that the program could take for anything else.
        let espeak_voice = file.espeak.voice;
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_+".contains(&byte);
        if !espeak_voice.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
            || espeak_voice.len() > 64
            || !espeak_voice.bytes().all(in_name)
        {
            return Err(bad("espeak.voice", espeak_voice, "it is no name of a voice"));
        }
        let Inference { noise_scale: noise, length_scale: length, noise_w: noise_width } = file.inference;
        let scales = Scales { noise, length, noise_width };
        scales.check().map_err(|reason| bad("inference", format!("{scales:?}"), &reason))?;
        // Piper's own reading: a voice of one speaker may say 0.
        let speakers = file.num_speakers.max(1);
        if speakers > SPEAKERS_MAX {
            return Err(bad("num_speakers", speakers.to_string(), "it is more than 4096"));
        }
        if !(1..=SYMBOLS_MAX).contains(&file.num_symbols) {
            return Err(bad("num_symbols", file.num_symbols.to_string(), "it is not from 1 to 4096"));
        }
        let mut ids = HashMap::new();
        for (phoneme, its) in file.phoneme_id_map {
            let mut chars = phoneme.chars();
            let (Some(only), None) = (chars.next(), chars.next()) else {
                return Err(bad("phoneme_id_map", phoneme, "it is not one character"));
            };
            if its.is_empty() || its.len() > IDS_MAX || its.iter().any(|id| *id >= file.num_symbols) {
                return Err(bad("phoneme_id_map", phoneme, "its ids are none, too many, or no symbols"));
            }
            ids.insert(only, its.into_iter().map(|id| id as i32).collect());
        }
        for needed in [PAD, BEGIN, END] {
            if !ids.contains_key(&needed) {
                return Err(ModelError::MissingMetadata { key: format!("phoneme_id_map.{needed}") });
            }
        }
        Ok(Self { sample_rate, espeak_voice, scales, speakers, ids })
    }

    /// The ids of phonemes as the network was trained on them: `^ _ p _ … p _ $`, whatever it does not know left out. More than
    /// `phonemes_max` are cut into several such rows, between words where there are any. None where nothing is known.
    pub fn ids(&self, phonemes: &str, phonemes_max: usize) -> Vec<Vec<i32>> {
        let known: Vec<char> = phonemes
            .nfd()
            .filter(|phoneme| ![PAD, BEGIN, END].contains(phoneme) && self.ids.contains_key(phoneme))
            .collect();
        let mut rest = known.as_slice();
        let mut rows = Vec::new();
        while !rest.is_empty() {
            let end = match rest.len() > phonemes_max.max(1) {
                true => {
                    let most = &rest[..phonemes_max.max(1)];
                    most.iter().rposition(|phoneme| *phoneme == ' ').map_or(most.len(), |space| space + 1)
                }
                false => rest.len(),
            };
            let (row, after) = rest.split_at(end);
            rest = after;
            // A row of punctuation and spaces alone would be a breath of noise.
            if row.iter().any(|phoneme| phoneme.is_alphabetic()) {
                rows.push(self.row(row));
            }
        }
        rows
    }

    fn row(&self, phonemes: &[char]) -> Vec<i32> {
        let (pad, mut row) = (&self.ids[&PAD], self.ids[&BEGIN].clone());
        row.extend(pad);
        for phoneme in phonemes {
            row.extend(&self.ids[phoneme]);
            row.extend(pad);
        }
        row.extend(&self.ids[&END]);
        row
    }
}

impl Scales {
    /// What is wrong with them, where something is.
    pub(super) fn check(&self) -> Result<(), String> {
        let in_range = (0.0..=2.0).contains(&self.noise)
            && (0.0..=2.0).contains(&self.noise_width)
            && (0.1..=8.0).contains(&self.length);
        if in_range { Ok(()) } else { Err("noise is from 0 to 2, length from 0.1 to 8".to_owned()) }
    }
}
