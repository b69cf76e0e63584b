//! `catalog`, which every plugin exports.

use std::sync::Arc;

use atelier_domain::failure::ProviderError;
use atelier_domain::model::{ModelInfo, Page, Voice};
use atelier_domain::provider::CallContext;

use super::value;
use crate::provider::SandboxedProvider;
use crate::v0_1::convert;

/// Runs `$call` on the catalog.
macro_rules! catalog {
    ($session:ident, $guest:ident => $call:expr) => {{
        let plugin = Arc::clone(&$session.plugin);
        match plugin.exports.catalog.instantiate_async(&mut $session.store).await {
            Ok(bindings) => {
                let $guest = bindings.atelier_provider_catalog();
                $call.await
            }
            Err(error) => Err(error),
        }
    }};
}

pub(super) async fn discover(
    provider: Arc<SandboxedProvider>,
    context: CallContext,
    cursor: Option<String>,
) -> Result<Page<ModelInfo>, ProviderError> {
    let call = provider.call(context, |mut session| {
        Box::pin(async move {
            let context = session.context.clone();
            let result = catalog!(session, guest => guest.call_discover(&mut session.store, &context, cursor.as_deref()));
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
            let context = session.context.clone();
            let result = catalog!(session, guest => guest.call_get_model(&mut session.store, &context, &id));
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
            let context = session.context.clone();
            let result = catalog!(session, guest => guest.call_voices(&mut session.store, &context, &model, cursor.as_deref()));
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
            let context = session.context.clone();
            let result = catalog!(session, guest => guest.call_check(&mut session.store, &context));
            session.finish(result)
        })
    });
    call.await
}
