//! Embeddings, moderation, speech, transcription.

use atelier_domain::generation::embedding as embedding_domain;
use atelier_domain::generation::moderation as moderation_domain;
use atelier_domain::generation::speech as speech_domain;
use atelier_domain::generation::transcription as transcription_domain;

use super::{chat, media, object, other, to_other, usage};
use crate::host_state::CallState;
use crate::v0_1::bindings::embedding::exports::atelier::provider::embedding;
use crate::v0_1::bindings::host::atelier::provider::transcription_types as transcript_wit;
use crate::v0_1::bindings::moderation::exports::atelier::provider::moderation;
use crate::v0_1::bindings::speech::exports::atelier::provider::speech;
use crate::v0_1::bindings::transcription::exports::atelier::provider::transcription;

/// # Errors
/// The call's table is full.
pub fn embedding_request(
    request: embedding_domain::EmbeddingRequest,
    state: &mut CallState,
) -> wasmtime::Result<embedding::Request> {
    let inputs: wasmtime::Result<Vec<_>> = request
        .inputs
        .into_iter()
        .map(|input| {
            Ok(match input {
                embedding_domain::EmbeddingInput::Text(text) => embedding::Input::Text(text),
                embedding_domain::EmbeddingInput::Tokens(tokens) => embedding::Input::Tokens(tokens),
                embedding_domain::EmbeddingInput::Media(item) => embedding::Input::Media(media(item, state)?),
                embedding_domain::EmbeddingInput::Other(other) => embedding::Input::Other(to_other(other)),
            })
        })
        .collect();
    Ok(embedding::Request {
        model: request.model,
        inputs: inputs?,
        dimensions: request.dimensions,
        end_user: request.end_user,
        options: Box::<str>::from(request.options).into(),
    })
}

pub fn embedding_response(response: embedding::Response) -> embedding_domain::EmbeddingResponse {
    embedding_domain::EmbeddingResponse {
        model: response.model,
        vectors: response.vectors,
        usage: usage(response.usage),
    }
}

/// # Errors
/// The call's table is full.
pub fn moderation_request(
    request: moderation_domain::ModerationRequest,
    state: &mut CallState,
) -> wasmtime::Result<moderation::Request> {
    let inputs: wasmtime::Result<Vec<_>> = request
        .inputs
        .into_iter()
        .map(|input| {
            Ok(match input {
                moderation_domain::ModerationInput::Text(text) => moderation::Input::Text(text),
                moderation_domain::ModerationInput::Image(item) => {
                    moderation::Input::Image(media(item, state)?)
                }
                moderation_domain::ModerationInput::Other(other) => moderation::Input::Other(to_other(other)),
            })
        })
        .collect();
    Ok(moderation::Request {
        model: request.model,
        inputs: inputs?,
        options: Box::<str>::from(request.options).into(),
    })
}

/// # Errors
/// A verdict carries malformed JSON.
pub fn moderation_response(
    response: moderation::Response,
) -> Result<moderation_domain::ModerationResponse, String> {
    let category = |category: moderation::Category| moderation_domain::ModerationCategory {
        name: category.name,
        flagged: category.flagged,
        score: category.score,
        applied_to: category.applied_to,
    };
    let verdict = |verdict: moderation::Verdict| {
        Ok::<_, String>(moderation_domain::Verdict {
            flagged: verdict.flagged,
            categories: verdict.categories.into_iter().map(category).collect(),
            extra: object(verdict.extra)?,
        })
    };
    let verdicts: Result<Vec<_>, _> = response.verdicts.into_iter().map(verdict).collect();
    Ok(moderation_domain::ModerationResponse {
        id: response.id,
        model: response.model,
        verdicts: verdicts?,
        usage: usage(response.usage),
    })
}

pub fn speech_request(request: speech_domain::SpeechRequest) -> speech::Request {
    speech::Request {
        model: request.model,
        text: request.text,
        voice: request.voice,
        format: request.format.unwrap_or_else(|| speech_domain::SpeechRequest::USUAL_FORMAT.to_owned()),
        speed: request.speed,
        instructions: request.instructions,
        language: request.language,
        options: Box::<str>::from(request.options).into(),
    }
}

/// # Errors
/// The call's table is full.
pub fn transcription_request(
    request: transcription_domain::TranscriptionRequest,
    state: &mut CallState,
) -> wasmtime::Result<transcription::Request> {
    Ok(transcription::Request {
        model: request.model,
        audio: state.push(request.audio)?,
        filename: request.filename,
        language: request.language,
        prompt: request.prompt,
        temperature: request.temperature,
        translate: request.translate,
        word_times: request.word_times,
        segment_times: request.segment_times,
        speakers: request.speakers,
        logprobs: request.logprobs,
        stream: request.stream,
        options: Box::<str>::from(request.options).into(),
    })
}

/// # Errors
/// It carries malformed JSON.
pub fn transcript(transcript: transcription::Transcript) -> Result<transcription_domain::Transcript, String> {
    let words: Result<Vec<_>, String> = transcript.words.into_iter().map(word).collect();
    let segments: Result<Vec<_>, String> = transcript.segments.into_iter().map(segment).collect();
    Ok(transcription_domain::Transcript {
        text: transcript.text,
        language: transcript.language,
        duration_ms: transcript.duration_ms,
        words: words?,
        segments: segments?,
        logprobs: chat::logprobs(transcript.logprobs),
        usage: usage(transcript.usage),
        extra: object(transcript.extra)?,
    })
}

fn word(word: transcript_wit::Word) -> Result<transcription_domain::TranscribedWord, String> {
    Ok(transcription_domain::TranscribedWord {
        text: word.text,
        start_ms: word.start_ms,
        end_ms: word.end_ms,
        speaker: word.speaker,
        extra: object(word.extra)?,
    })
}

fn segment(segment: transcript_wit::Segment) -> Result<transcription_domain::TranscribedSegment, String> {
    Ok(transcription_domain::TranscribedSegment {
        text: segment.text,
        start_ms: segment.start_ms,
        end_ms: segment.end_ms,
        speaker: segment.speaker,
        avg_logprob: segment.avg_logprob,
        no_speech_probability: segment.no_speech_probability,
        extra: object(segment.extra)?,
    })
}

/// # Errors
/// It carries malformed JSON.
pub fn transcript_event(
    event: transcript_wit::TranscriptEvent,
) -> Result<transcription_domain::TranscriptionEvent, String> {
    use transcription_domain::TranscriptionEvent;
    Ok(match event {
        transcript_wit::TranscriptEvent::Text(text) => TranscriptionEvent::Text(text),
        transcript_wit::TranscriptEvent::Logprobs(tokens) => {
            TranscriptionEvent::Logprobs(chat::logprobs(tokens))
        }
        transcript_wit::TranscriptEvent::Segment(piece) => TranscriptionEvent::Segment(segment(piece)?),
        transcript_wit::TranscriptEvent::Other(unknown) => TranscriptionEvent::Other(other(unknown)?),
    })
}
