//! `catalog`, which every plugin exports.

use std::sync::Arc;

use atelier_domain::failure::ProviderError;
use atelier_domain::model::{ModelInfo, Page, Voice};
use atelier_domain::provider::CallContext;

use super::value;
use crate::provider::SandboxedProvider;
use crate::session::export;
use crate::v0_1::convert;

pub(super) async fn discover(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    cursor: Option<String>,
) -> Result<Page<ModelInfo>, ProviderError> {
    let call = provider.call(context, |mut session| {
        Box::pin(async move {
            let result = export!(session, catalog, atelier_provider_catalog, guest => guest.call_discover(&mut session.store, &session.context, cursor.as_deref()));
            let page = value!(session, result);
            session.give(convert::catalog::page(page))
        })
    });
    call.await
}

pub(super) async fn model(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    id: String,
) -> Result<ModelInfo, ProviderError> {
    let call = provider.call(context, |mut session| {
        Box::pin(async move {
            let result = export!(session, catalog, atelier_provider_catalog, guest => guest.call_get_model(&mut session.store, &session.context, &id));
            let model = value!(session, result);
            let known = convert::catalog::model(model).and_then(|model| {
                model.ok_or_else(|| "it gave a model without an id or a known task".to_owned())
            });
            session.give(known)
        })
    });
    call.await
}

pub(super) async fn voices(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    model: String,
    cursor: Option<String>,
) -> Result<Page<Voice>, ProviderError> {
    let call = provider.call(context, |mut session| {
        Box::pin(async move {
            let result = export!(session, catalog, atelier_provider_catalog, guest => guest.call_voices(&mut session.store, &session.context, &model, cursor.as_deref()));
            let page = value!(session, result);
            session.give(Ok(convert::catalog::voices(page)))
        })
    });
    call.await
}

pub(super) async fn check(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
) -> Result<(), ProviderError> {
    let call = provider.call(context, |mut session| {
        Box::pin(async move {
            let result = export!(session, catalog, atelier_provider_catalog, guest => guest.call_check(&mut session.store, &session.context));
            session.finish(result)
        })
    });
    call.await
}
