//! Between the domain's types and the contract's: moves, no decisions.

pub mod catalog;
pub mod chat;
pub mod jobs;
pub mod live;

use std::time::Duration;

use atelier_domain::failure::{Failure, FailureCode};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::generation::{Json, Media, MediaSource, Other};
use atelier_domain::provider::CallContext;
use serde_json::value::RawValue;

use super::bindings::host::atelier::provider::types as wit;
use crate::host_state::{CallState, Shared};

/// The call's context as the guest sees it.
pub fn context(context: &CallContext, shared: &Shared) -> wit::CallContext {
    wit::CallContext {
        call_id: context.call.to_string(),
        attempt: context.attempt,
        idempotency_key: context.idempotency_key.clone(),
        remaining_ms: u64::try_from(context.budget.as_millis()).unwrap_or(u64::MAX),
        instance: shared.name.clone(),
        base_url: shared.base_url.clone(),
        settings: shared.settings.clone(),
        callback_url: context.callback_url.clone(),
        scope: context.scope.to_string(),
    }
}

/// A guest's failure, with its sizes bounded.
pub fn failure(failure: wit::Failure) -> Failure {
    Failure {
        code: FailureCode::from_word(&failure.code),
        message: cut(failure.message, 4_096),
        param: failure.param.map(|param| cut(param, 256)),
        http_status: failure.http_status,
        retry_after: failure.retry_after_ms.map(Duration::from_millis),
        provider_detail: failure.provider_detail.map(|detail| cut(detail, 16 * 1024)),
    }
}

fn cut(mut text: String, bytes_max: usize) -> String {
    if text.len() > bytes_max {
        let mut end = bytes_max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}

/// Names and values.
pub fn pairs(pairs: Vec<wit::Pair>) -> Vec<(String, String)> {
    pairs.into_iter().map(|pair| (pair.name, pair.value)).collect()
}

/// Metered usage.
pub fn usage(lines: Vec<wit::UsageLine>) -> Vec<UsageLine> {
    lines
        .into_iter()
        .map(|line| UsageLine {
            meter: line.meter,
            quantity: line.quantity,
            attributes: pairs(line.attributes),
        })
        .collect()
}

/// A guest's JSON.
///
/// # Errors
/// It is not JSON.
pub fn json(text: String) -> Result<Json, String> {
    RawValue::from_string(text).map_err(|error| format!("it sent malformed JSON: {error}"))
}

/// A guest's JSON object, if it gave one.
///
/// # Errors
/// It is no JSON object.
pub fn object(text: Option<String>) -> Result<Option<Json>, String> {
    let object = text.map(json).transpose()?;
    match &object {
        Some(object) if !object.get().starts_with('{') => {
            Err("it sent JSON that is not the object it should be".to_owned())
        }
        _ => Ok(object),
    }
}

/// Content that the contract has no shape for, for a guest.
pub fn to_other(other: Other) -> wit::Other {
    wit::Other { kind: other.kind, json: Box::<str>::from(other.json).into() }
}

/// A guest's `other`.
///
/// # Errors
/// It is not JSON.
pub fn other(other: wit::Other) -> Result<Other, String> {
    Ok(Other { kind: other.kind, json: json(other.json)? })
}

/// A caller's medium, with its blob put into the call's table.
///
/// # Errors
/// The table is full.
pub fn media(media: Media, state: &mut CallState) -> wasmtime::Result<wit::Media> {
    let source = match media.source {
        MediaSource::Blob(blob) => wit::MediaSource::Blob(state.push(blob)?),
        MediaSource::Url(url) => wit::MediaSource::Url(url),
    };
    let attributes = media.attributes.into_iter().map(|(name, value)| wit::Pair { name, value }).collect();
    Ok(wit::Media { source, content_type: media.content_type, name: media.name, attributes })
}
