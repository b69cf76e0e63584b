//! Jobs of every kind: media and training have the same shape, and callbacks belong to both.

use std::sync::Arc;

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::media::{
    Callback, CallbackEvent, Cancellation, JobKind, JobRequest, Step, Wake,
};
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::provider::CallContext;

use super::{converted, value};
use crate::provider::SandboxedProvider;
use crate::session::export;
use crate::v0_1::convert;

/// Runs `$call` with the request in the guest's form, on the export of its kind.
macro_rules! with_request {
    ($session:ident, $request:ident, ($guest:ident, $wit:ident) => $call:expr) => {
        match $request {
            JobRequest::Media(request) => {
                let $wit =
                    converted!($session, convert::jobs::media_request(*request, $session.store.data_mut()));
                export!($session, media, atelier_provider_media, $guest => $call)
            }
            JobRequest::Training(request) => {
                let $wit =
                    converted!($session, convert::jobs::training_request(request, $session.store.data_mut()));
                export!($session, training, atelier_provider_training, $guest => $call)
            }
        }
    };
}

/// Runs `$call` on the export of a kind.
macro_rules! of_kind {
    ($session:ident, $kind:ident, $guest:ident => $call:expr) => {
        match $kind {
            JobKind::Media => export!($session, media, atelier_provider_media, $guest => $call),
            JobKind::Training => export!($session, training, atelier_provider_training, $guest => $call),
        }
    };
}

pub(super) async fn estimate(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    request: JobRequest,
) -> Result<Vec<UsageLine>, ProviderError> {
    let call = provider.call(context, move |mut session| {
        Box::pin(async move {
            let result = with_request!(session, request, (guest, wit) =>
                guest.call_estimate_usage(&mut session.store, &session.context, &wit));
            let lines = value!(session, result);
            session.give(Ok(convert::usage(lines)))
        })
    });
    call.await
}

pub(super) async fn submit(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    request: JobRequest,
) -> Result<Step, ProviderError> {
    let call = provider.call(context, move |mut session| {
        Box::pin(async move {
            let result = with_request!(session, request, (guest, wit) =>
                guest.call_submit(&mut session.store, &session.context, &wit));
            let step = value!(session, result);
            let step = convert::jobs::step(step, session.store.data_mut());
            session.give(step)
        })
    });
    call.await
}

pub(super) async fn resume(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    kind: JobKind,
    state: Vec<u8>,
    wake: Wake,
) -> Result<Step, ProviderError> {
    let call = provider.call(context, move |mut session| {
        Box::pin(async move {
            let wake = convert::jobs::wake(wake);
            let result = of_kind!(session, kind, guest =>
                guest.call_resume(&mut session.store, &session.context, &state, &wake));
            let step = value!(session, result);
            let step = convert::jobs::step(step, session.store.data_mut());
            session.give(step)
        })
    });
    call.await
}

pub(super) async fn cancel(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    kind: JobKind,
    state: Vec<u8>,
) -> Result<Cancellation, ProviderError> {
    let call = provider.call(context, move |mut session| {
        Box::pin(async move {
            let result = of_kind!(session, kind, guest =>
                guest.call_cancel(&mut session.store, &session.context, &state));
            let end = value!(session, result);
            let end = convert::jobs::cancellation(end, session.store.data_mut());
            session.give(end)
        })
    });
    call.await
}

pub(super) async fn parse_callback(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    callback: Callback,
) -> Result<Vec<CallbackEvent>, ProviderError> {
    let call = provider.call(context, move |mut session| {
        Box::pin(async move {
            let callback = convert::jobs::callback(callback);
            let result = export!(session, webhook, atelier_provider_webhook, guest =>
                guest.call_parse(&mut session.store, &session.context, &callback));
            let events = value!(session, result);
            session.give(convert::jobs::events(events))
        })
    });
    call.await
}
