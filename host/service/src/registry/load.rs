//! Asking a provider for its models.

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::provider::{CallContext, Provider};
use atelier_domain::time::Timestamp;

use super::catalogue::{Catalogue, ModelEntry};
use crate::meter::Meter;

const DISCOVERY_BUDGET: Duration = Duration::from_secs(20);
const PAGES_MAX: usize = 100;
const MODELS_MAX: usize = 10_000;

/// A context for the host's own calls.
pub(super) fn context(purpose: &str, budget: Duration) -> CallContext {
    let context = CallContext::of_host(purpose, budget);
    let request_id = format!("{purpose}-{}", context.call.simple()).into();
    CallContext { request_id, idempotency_key: context.call.to_string(), scope: "host".into(), ..context }
}

/// What the provider says of itself, and what it finds when it asks. A failure is a mark on what is known so far.
pub(super) async fn catalogue(
    instance: &str,
    provider: &Arc<dyn Provider>,
    now: Timestamp,
    meter: &Arc<dyn Meter>,
) -> Catalogue {
    let mut catalogue = Catalogue::new(instance, now);
    let description = match tokio::time::timeout(DISCOVERY_BUDGET, provider.describe()).await {
        Ok(Ok(description)) => description,
        Ok(Err(error)) => {
            catalogue.failure = Some(error.to_string());
            return catalogue;
        }
        Err(_) => {
            catalogue.failure =
                Some(format!("it did not say what it is in {} s", DISCOVERY_BUDGET.as_secs()));
            return catalogue;
        }
    };
    catalogue.open_ended = description.open_ended;
    for info in description.models.iter().take(MODELS_MAX) {
        catalogue.put(ModelEntry::new(instance, info.clone(), meter));
    }
    if description.discovers {
        // What is discovered replaces what was known before asking: a compatible server has other models than the original.
        let mut found = Catalogue::new(instance, now);
        found.open_ended = description.open_ended;
        let discovery = discover(instance, provider, &mut found, meter);
        match tokio::time::timeout(DISCOVERY_BUDGET, discovery).await {
            Ok(Ok(())) => catalogue = found,
            Ok(Err(why)) => catalogue.failure = Some(why),
            Err(_) => {
                catalogue.failure =
                    Some(format!("listing its models took longer than {} s", DISCOVERY_BUDGET.as_secs()));
            }
        }
    }
    catalogue
}

async fn discover(
    instance: &str,
    provider: &Arc<dyn Provider>,
    catalogue: &mut Catalogue,
    meter: &Arc<dyn Meter>,
) -> Result<(), String> {
    let mut cursor = None;
    for _ in 0..PAGES_MAX {
        let context = context("registry-models", DISCOVERY_BUDGET);
        let page = provider.discover(context, cursor).await.map_err(|error| error.to_string())?;
        for info in page.items {
            if catalogue.len() >= MODELS_MAX && catalogue.get(&info.id).is_none() {
                return Err(format!("it lists more than {MODELS_MAX} models"));
            }
            catalogue.put(ModelEntry::new(instance, info, meter));
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(()),
        }
    }
    Err(format!("its list has more than {PAGES_MAX} pages"))
}
