//! ElevenLabs' API (<https://elevenlabs.io/docs/api-reference>), below `/elevenlabs`.

use std::sync::Arc;

use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Extension, Router};
use serde_json::{Value, json};

use crate::answer;
use crate::call::Call;
use crate::dialect::Dialect;
use crate::media;
use crate::reply::{Answer, Reply};
use crate::server::Shared;

const VOICES: usize = 25;
const PAGE_MAX: usize = 100;
const PIECE_BYTES: usize = 1024;
const LETTERS_MAX: usize = 40_000;
/// Frames of MP3 for each word, about half a second.
const FRAMES_PER_WORD: usize = 19;

pub(crate) fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/text-to-speech/{voice}", post(speak))
        .route("/v1/text-to-speech/{voice}/stream", post(speak))
        .route("/v1/text-to-speech/{voice}/with-timestamps", post(speak_with_timestamps))
        .route("/v1/sound-generation", post(sound))
        .route("/v1/voices", get(voices))
        .route("/v1/voices/{voice}", get(get_voice))
        .route("/v2/voices", get(voices_page))
        .route("/v1/models", get(models))
}

/// The text to speak, if the voice exists and the request is whole.
fn wanted(call: &Call, voice_id: &str) -> Result<String, Reply> {
    known(voice_id)?;
    let text = required_text(call)?;
    if text.chars().count() > LETTERS_MAX {
        let message = format!("A maximum request length of {LETTERS_MAX} characters is allowed.");
        let status = StatusCode::BAD_REQUEST;
        return Err(Dialect::ElevenLabs.refuse_about(
            status,
            &message,
            None,
            Some("max_character_limit_exceeded"),
        ));
    }
    Ok(text)
}

fn required_text(call: &Call) -> Result<String, Reply> {
    let missing = || {
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        Dialect::ElevenLabs.refuse_about(status, "Field required", Some("text"), None)
    };
    call.text("text").map(str::to_owned).ok_or_else(missing)
}

fn known(voice_id: &str) -> Result<(), Reply> {
    if !voice_id.starts_with("missing") {
        return Ok(());
    }
    let message = format!("A voice with voice_id {voice_id} was not found.");
    Err(Dialect::ElevenLabs.refuse_about(StatusCode::NOT_FOUND, &message, None, Some("voice_not_found")))
}

/// The sound of a text in the format that `output_format` names, and its content type.
fn sound_of(call: &Call, text: &str) -> Result<(&'static str, Vec<u8>), Reply> {
    let words = text.split_whitespace().count().max(1);
    let format = call.query("output_format").unwrap_or("mp3_44100_128");
    let refused = || {
        let message = format!("output_format '{format}' is not offered: use mp3_44100_128 or pcm_RATE.");
        Dialect::ElevenLabs.refuse_about(
            StatusCode::BAD_REQUEST,
            &message,
            None,
            Some("output_format_not_allowed"),
        )
    };
    match format.split_once('_') {
        Some(("mp3", _)) => Ok(("audio/mpeg", media::mp3(words * FRAMES_PER_WORD))),
        Some(("pcm", rate)) => {
            let rate =
                rate.parse().ok().filter(|rate| (8_000..=48_000).contains(rate)).ok_or_else(refused)?;
            Ok(("audio/pcm", media::pcm(words as f32 * 0.5, rate)))
        }
        _ => Err(refused()),
    }
}

async fn speak(Extension(call): Extension<Arc<Call>>, Path(voice_id): Path<String>) -> Answer {
    let text = wanted(&call, &voice_id)?;
    let (kind, file) = sound_of(&call, &text)?;
    Ok(Reply::pieces(kind, media::in_pieces(file, PIECE_BYTES))
        .header("character-cost", text.chars().count().to_string())
        .header("history-item-id", call.id("hist"))
        .charged())
}

async fn speak_with_timestamps(
    Extension(call): Extension<Arc<Call>>,
    Path(voice_id): Path<String>,
) -> Answer {
    let text = wanted(&call, &voice_id)?;
    let (_, file) = sound_of(&call, &text)?;
    let letters: Vec<String> = text.chars().map(String::from).collect();
    let at = |offset: f64| (0..letters.len()).map(|at| (at as f64 + offset) * 0.1).collect::<Vec<_>>();
    let alignment = json!({
        "characters": letters,
        "character_start_times_seconds": at(0.0),
        "character_end_times_seconds": at(1.0),
    });
    let body = json!({
        "audio_base64": answer::base64(&file),
        "alignment": alignment,
        "normalized_alignment": alignment,
    });
    Ok(Reply::json(&body).charged())
}

async fn sound(Extension(call): Extension<Arc<Call>>) -> Answer {
    let text = required_text(&call)?;
    let (kind, file) = sound_of(&call, &text)?;
    Ok(Reply::pieces(kind, media::in_pieces(file, PIECE_BYTES))
        .header("character-cost", text.chars().count().to_string())
        .charged())
}

fn voice(number: usize) -> Value {
    json!({
        "voice_id": format!("mockvoice{number:02}"),
        "name": format!("Mock {number}"),
        "category": "premade",
        "labels": {"accent": "american", "gender": "neutral", "use_case": "narration"},
        "description": null,
        "preview_url": null,
        "available_for_tiers": [],
        "settings": null,
        "samples": null,
        "high_quality_base_model_ids": ["eleven_multilingual_v2"],
        "is_legacy": false,
    })
}

async fn voices() -> Reply {
    Reply::json(&json!({"voices": (1..=VOICES).map(voice).collect::<Vec<_>>()}))
}

async fn get_voice(Path(voice_id): Path<String>) -> Answer {
    known(&voice_id)?;
    let number = voice_id.strip_prefix("mockvoice").and_then(|number| number.parse().ok()).unwrap_or(1);
    let mut found = voice(number);
    found["voice_id"] = json!(voice_id);
    Ok(Reply::json(&found))
}

/// Version 2 pages by `page_size` and `next_page_token`; the token is the first voice's number.
async fn voices_page(Extension(call): Extension<Arc<Call>>) -> Reply {
    let size = call.query("page_size").and_then(|size| size.parse().ok()).unwrap_or(10).clamp(1, PAGE_MAX);
    let first =
        call.query("next_page_token").and_then(|token| token.parse().ok()).unwrap_or(1).min(VOICES + 1);
    let past = (first + size).min(VOICES + 1);
    let more = past <= VOICES;
    Reply::json(&json!({
        "voices": (first..past).map(voice).collect::<Vec<_>>(),
        "has_more": more,
        "total_count": VOICES,
        "next_page_token": more.then(|| past.to_string()),
    }))
}

async fn models() -> Reply {
    let model = |id: &str| {
        json!({
            "model_id": id,
            "name": id,
            "can_do_text_to_speech": true,
            "can_do_voice_conversion": false,
            "can_be_finetuned": false,
            "can_use_style": true,
            "can_use_speaker_boost": true,
            "serves_pro_voices": false,
            "token_cost_factor": 1.0,
            "description": "A voice of the mock.",
            "requires_alpha_access": false,
            "max_characters_request_free_user": 2500,
            "max_characters_request_subscribed_user": 10_000,
            "maximum_text_length_per_request": LETTERS_MAX,
            "languages": [{"language_id": "en", "name": "English"}],
            "concurrency_group": "standard",
        })
    };
    let ids = ["eleven_multilingual_v2", "eleven_flash_v2_5", "mock-speech"];
    Reply::json(&Value::Array(ids.map(model).to_vec()))
}
