//! Whether a live call's provider was asked for anything that costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use atelier_domain::failure::ProviderError;
use atelier_domain::provider::ChargeJournal;
use atelier_domain::store::StoreError;

use crate::caller::Caller;
use crate::generation::another_may_try;
use crate::idempotency::KeyedRequest;

/// Charging requests of one live call that have left and were not refused.
#[derive(Debug)]
pub(crate) struct Sent {
    count: AtomicU32,
    /// Its claim is on disk before what costs leaves; without a key nothing is written.
    keyed: Option<Arc<KeyedRequest>>,
}

impl Sent {
    pub(crate) fn of(caller: &Caller) -> Arc<Self> {
        Arc::new(Self { count: AtomicU32::new(0), keyed: caller.keyed.clone() })
    }

    /// Whether there is any.
    pub(super) fn any(&self) -> bool {
        self.count.load(Ordering::Acquire) > 0
    }

    /// Whether another model may be asked in place of one that failed.
    pub(crate) fn lets_another_try(&self, error: &ProviderError) -> bool {
        another_may_try(self.count.load(Ordering::Acquire), error)
    }

    /// Another is asked: what left for the one before was not taken.
    pub(crate) fn begin_anew(&self) {
        self.count.store(0, Ordering::Release);
    }
}

#[async_trait]
impl ChargeJournal for Sent {
    async fn charging(&self, repeatable: bool) -> Result<(), StoreError> {
        if let Some(keyed) = &self.keyed {
            keyed.charging(repeatable).await?;
        }
        self.count.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn withdrawn(&self, repeatable: bool) {
        self.count.fetch_sub(1, Ordering::AcqRel);
        if let Some(keyed) = &self.keyed {
            keyed.withdrawn(repeatable);
        }
    }
}
