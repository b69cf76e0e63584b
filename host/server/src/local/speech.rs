//! A text spoken by an in-house voice, sentence by sentence.

use std::sync::Arc;

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::generation::speech::{SpeechEvent, SpeechRequest};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::Voice;
use atelier_inference::piper::PiperInfo;
use atelier_inference::{self as inference, EngineError, Speech, SpeechEngine};
use bytes::Bytes;
use serde_json::{Value, json};

use super::failure::{engine_error, reported};
use super::rate::Rate;

/// Samples of a second without a head that says how many there are, as OpenAI's API has them.
const PCM_RATE: usize = 24_000;
/// As 16-bit numbers.
const SAMPLE_BYTES: u32 = 2;

/// The options as JSON Schema (2020-12): there are none.
pub(super) fn schema() -> Value {
    json!({"type": "object", "additionalProperties": false, "properties": {}})
}

/// The speakers of a voice, by their numbers.
pub(super) fn voices(info: &PiperInfo) -> Vec<Voice> {
    let languages = vec![info.voice.espeak_voice.clone()];
    let speakers = 0..info.voice.speakers;
    let voice = |speaker: usize| Voice {
        id: speaker.to_string(),
        name: format!("Speaker {speaker}"),
        languages: languages.clone(),
        preview_url: None,
        labels: Vec::new(),
        owner: None,
    };
    speakers.map(voice).collect()
}

/// Where a text stands.
pub(super) enum Turn {
    Begin(Arc<dyn SpeechEngine>, Box<SpeechRequest>),
    Going(Speech, Box<Going>),
    Ended,
}

/// How samples are given, and how many were.
pub(super) struct Going {
    rate: Option<Rate>,
    characters: u64,
    spoken: u64,
}

type Next = Option<(Result<Vec<SpeechEvent>, ProviderError>, Turn)>;

impl Turn {
    pub(super) async fn next(self) -> Next {
        match self {
            Self::Begin(engine, request) => Some(match begin(engine.as_ref(), *request).await {
                Ok((events, speech, going)) => (Ok(events), Self::Going(speech, Box::new(going))),
                Err(error) => (Err(error), Self::Ended),
            }),
            Self::Going(mut speech, mut going) => Some(match speech.next().await {
                Some(Ok(samples)) => {
                    let heard = going.audio(samples);
                    (heard.map(|audio| vec![SpeechEvent::Audio(audio)]), Self::Going(speech, going))
                }
                Some(Err(error)) => (Err(engine_error(error)), Self::Ended),
                None => (going.end(speech.sample_rate()), Self::Ended),
            }),
            Self::Ended => None,
        }
    }
}

/// What the voice cannot do is refused, never silently left out.
async fn begin(
    engine: &dyn SpeechEngine,
    request: SpeechRequest,
) -> Result<(Vec<SpeechEvent>, Speech, Going), ProviderError> {
    let model = &request.model;
    let refuse = |message: String, param| Err(reported(FailureCode::InvalidRequest, message, Some(param)));
    let format = request.format.as_deref().unwrap_or("wav");
    if !matches!(format, "wav" | "pcm") {
        let message = format!("{model} speaks wav or pcm, not {format}: say so with response_format");
        return Err(reported(FailureCode::Unsupported, message, Some("response_format")));
    }
    if request.instructions.is_some() {
        let message = format!("{model} takes no instructions on how to speak");
        return Err(reported(FailureCode::Unsupported, message, Some("instructions")));
    }
    // Loaded by now, or soon: only it knows its speakers.
    let info = engine.warm().await.map_err(engine_error)?;
    let language = &info.voice.espeak_voice;
    if let Some(wanted) = &request.language
        && !language.to_ascii_lowercase().starts_with(&wanted.to_ascii_lowercase())
    {
        return refuse(format!("{model} speaks {language} alone, not {wanted:?}"), "language");
    }
    let Some(speaker) = voices(&info).iter().position(|voice| voice.id == request.voice) else {
        let most = info.voice.speakers - 1;
        let said = if most == 0 { "0".to_owned() } else { format!("0 to {most}") };
        return refuse(format!("{model} has no voice {:?}; it has {said}", request.voice), "voice");
    };
    let characters = request.text.chars().count() as u64;
    let wanted = inference::SpeechRequest {
        text: request.text,
        speed: request.speed.map_or(1.0, |speed| speed as f32),
        speaker,
    };
    let is_wav = format == "wav";
    let mut speech = engine.speak(wanted).await.map_err(engine_error)?;
    // What cannot be spoken is refused, which it can be until something was sent.
    let first = speech.next().await.unwrap_or(Err(EngineError::Stopped)).map_err(engine_error)?;
    let rate = speech.sample_rate();
    let (mut events, rate) = match is_wav {
        true => (vec![SpeechEvent::Started("audio/wav".to_owned()), SpeechEvent::Audio(head(rate))], None),
        false => {
            let rate = Rate::new(rate as usize, PCM_RATE).map_err(broken)?;
            (vec![SpeechEvent::Started("audio/pcm".to_owned())], Some(rate))
        }
    };
    let mut going = Going { rate, characters, spoken: 0 };
    events.push(SpeechEvent::Audio(going.audio(first)?));
    Ok((events, speech, going))
}

impl Going {
    fn audio(&mut self, samples: Vec<i16>) -> Result<Bytes, ProviderError> {
        self.spoken += samples.len() as u64;
        let Some(rate) = &mut self.rate else { return Ok(bytes(samples.into_iter())) };
        rate.take(samples.into_iter().map(|sample| f32::from(sample) / f32::from(i16::MAX)));
        self.resampled(false)
    }

    fn resampled(&mut self, ended: bool) -> Result<Bytes, ProviderError> {
        let Some(rate) = &mut self.rate else { return Ok(Bytes::new()) };
        let mut changed = Vec::new();
        rate.give(ended, &mut changed).map_err(broken)?;
        let sample = |sample: f32| (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
        Ok(bytes(changed.into_iter().map(sample)))
    }

    fn end(&mut self, sample_rate: u32) -> Result<Vec<SpeechEvent>, ProviderError> {
        let rest = self.resampled(true)?;
        let spoken_ms = (self.spoken * 1000).div_ceil(u64::from(sample_rate.max(1)));
        let usage =
            vec![UsageLine::new("characters", self.characters), UsageLine::new("audio-ms", spoken_ms)];
        let audio = (!rest.is_empty()).then_some(SpeechEvent::Audio(rest));
        Ok(audio.into_iter().chain([SpeechEvent::Finished(usage)]).collect())
    }
}

fn broken(reason: String) -> ProviderError {
    tracing::error!(reason, "a voice's samples could not be resampled");
    engine_error(EngineError::Stopped)
}

fn bytes(samples: impl Iterator<Item = i16>) -> Bytes {
    samples.flat_map(i16::to_le_bytes).collect()
}

/// The head of a RIFF file whose length is not known yet, of one channel: both lengths are as long as can be.
fn head(rate: u32) -> Bytes {
    let mut head = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0".to_vec();
    head.extend_from_slice(&rate.to_le_bytes());
    head.extend_from_slice(&(rate * SAMPLE_BYTES).to_le_bytes());
    head.extend_from_slice(b"\x02\0\x10\0data\xff\xff\xff\xff");
    head.into()
}
