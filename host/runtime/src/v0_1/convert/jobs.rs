//! Jobs.

use atelier_domain::blob::Blob;
use atelier_domain::generation::media as domain;
use wasmtime::component::Resource;

use super::{media, other, pairs, usage};
use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::job_types as wit;
use crate::v0_1::bindings::host::atelier::provider::types::Pair;
use crate::v0_1::bindings::media::exports::atelier::provider::media as wit_media;
use crate::v0_1::bindings::training::exports::atelier::provider::training as wit_training;
use crate::v0_1::bindings::webhook::exports::atelier::provider::webhook as wit_webhook;

/// # Errors
/// The call's table is full.
pub fn media_request(
    request: domain::MediaRequest,
    state: &mut CallState,
) -> wasmtime::Result<wit_media::Request> {
    let inputs: wasmtime::Result<Vec<_>> = request
        .inputs
        .into_iter()
        .map(|input| Ok(wit_media::Input { role: input.role, media: media(input.media, state)? }))
        .collect();
    Ok(wit_media::Request {
        model: request.model,
        task: request.task,
        prompt: request.prompt,
        negative_prompt: request.negative_prompt,
        inputs: inputs?,
        count: request.count,
        size: request.size,
        aspect_ratio: request.aspect_ratio,
        duration_ms: request.duration_ms,
        seed: request.seed,
        quality: request.quality,
        format: request.format,
        background: request.background,
        previews: request.previews,
        end_user: request.end_user,
        options: Box::<str>::from(request.options).into(),
    })
}

/// # Errors
/// The call's table is full.
pub fn training_request(
    request: domain::TrainingRequest,
    state: &mut CallState,
) -> wasmtime::Result<wit_training::Request> {
    let datasets: wasmtime::Result<Vec<_>> = request
        .datasets
        .into_iter()
        .map(|dataset| Ok(wit_training::Dataset { role: dataset.role, media: media(dataset.media, state)? }))
        .collect();
    Ok(wit_training::Request {
        model: request.model,
        datasets: datasets?,
        suffix: request.suffix,
        seed: request.seed,
        hyperparameters: Box::<str>::from(request.hyperparameters).into(),
        options: Box::<str>::from(request.options).into(),
    })
}

pub fn callback(callback: domain::Callback) -> wit_webhook::Callback {
    wit_webhook::Callback {
        headers: callback.headers.into_iter().map(|(name, value)| Pair { name, value }).collect(),
        query: callback.query,
        body: callback.body.into(),
    }
}

/// # Errors
/// One carries malformed JSON.
pub fn events(events: Vec<wit::Event>) -> Result<Vec<domain::CallbackEvent>, String> {
    let event = |event: wit::Event| {
        let (kind, provider_id) = (event.kind, event.provider_id);
        Ok(domain::CallbackEvent { kind, provider_id, json: super::json(event.json)? })
    };
    events.into_iter().map(event).collect()
}

pub fn wake(wake: domain::Wake) -> wit::Wake {
    match wake {
        domain::Wake::Timer => wit::Wake::Timer,
        domain::Wake::Resumed => wit::Wake::Resumed,
        domain::Wake::Webhook(event) => wit::Wake::Webhook(wit::Event {
            kind: event.kind,
            provider_id: event.provider_id,
            json: Box::<str>::from(event.json).into(),
        }),
    }
}

/// # Errors
/// It breaks a rule of the contract.
pub fn step(step: wit::Step, state: &mut CallState) -> Result<domain::Step, String> {
    Ok(match step {
        wit::Step::Done(done) => domain::Step::Done(outcome(done, state)?),
        wit::Step::Pending(ticket) => {
            if ticket.state.len() > domain::Ticket::STATE_BYTES_MAX {
                return Err(format!("its ticket has more than {} bytes", domain::Ticket::STATE_BYTES_MAX));
            }
            domain::Step::Pending(domain::Ticket {
                state: ticket.state,
                state_version: ticket.state_version,
                poll_after_ms: ticket.poll_after_ms,
                progress: ticket.progress.map(|progress| progress.clamp(0.0, 1.0)),
                accepts_webhook: ticket.accepts_webhook,
                provider_id: ticket.provider_id,
            })
        }
    })
}

/// # Errors
/// It breaks a rule of the contract.
pub fn cancellation(end: wit::Cancellation, state: &mut CallState) -> Result<domain::Cancellation, String> {
    Ok(match end {
        wit::Cancellation::Canceled(lines) => domain::Cancellation::Canceled(usage(lines)),
        wit::Cancellation::Finished(done) => domain::Cancellation::Finished(outcome(done, state)?),
        wit::Cancellation::Unsupported => domain::Cancellation::Unsupported,
    })
}

fn outcome(outcome: wit::Outcome, state: &mut CallState) -> Result<domain::Outcome, String> {
    let outputs: Result<Vec<_>, String> =
        outcome.outputs.into_iter().map(|each| output(each, state)).collect();
    Ok(domain::Outcome { outputs: outputs?, usage: usage(outcome.usage) })
}

fn output(output: wit::Output, state: &mut CallState) -> Result<domain::Output, String> {
    Ok(match output {
        wit::Output::Media(item) => domain::Output::Media(domain::MediaOutput {
            source: match item.source {
                wit::OutputSource::Blob(blob) => domain::OutputSource::Blob(take(blob, state)?),
                wit::OutputSource::Remote(url) => domain::OutputSource::Remote(url),
                wit::OutputSource::Guarded(url) => domain::OutputSource::Guarded(url),
            },
            content_type: item.content_type,
            revised_prompt: item.revised_prompt,
            seed: item.seed,
            attributes: pairs(item.attributes),
        }),
        wit::Output::Text(text) => domain::Output::Text(text),
        wit::Output::Model(id) => domain::Output::Model(id),
        wit::Output::Other(unknown) => domain::Output::Other(other(unknown)?),
    })
}

fn take(blob: Resource<Blob>, state: &mut CallState) -> Result<Blob, String> {
    state.table.delete(blob).map_err(|error| format!("it gave a blob that is not there: {error}"))
}
