//! Whether a live call's provider was asked for anything that costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use atelier_domain::provider::ChargeJournal;
use atelier_domain::store::StoreError;

use crate::caller::Caller;
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
