//! What a job's step has sent that costs, and what its failure says of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use async_trait::async_trait;
use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use atelier_domain::provider::ChargeJournal;
use atelier_domain::store::StoreError;

use super::Inner;
use crate::ServiceError;
use crate::generation::another_may_try;

/// Writes down that a request which costs is about to leave.
#[derive(Debug)]
pub(super) struct Journal {
    inner: Arc<Inner>,
    id: JobId,
    /// Requests that have left and may have been taken.
    outstanding: AtomicU32,
    /// One did not leave, as storage did not take the note of it.
    is_unwritten: AtomicBool,
    /// All that have left and were not withdrawn, those among them that their provider knows by a key.
    sent: AtomicU32,
}

impl Journal {
    pub(super) fn of(inner: &Arc<Inner>, job: &Job) -> Arc<Self> {
        Arc::new(Self {
            inner: inner.clone(),
            id: job.id,
            outstanding: AtomicU32::new(0),
            is_unwritten: AtomicBool::new(false),
            sent: AtomicU32::new(0),
        })
    }

    /// Whether another model may be asked in place of one that failed.
    pub(super) fn lets_another_try(&self, error: &ProviderError) -> bool {
        another_may_try(self.sent.load(Ordering::Acquire), error)
    }

    /// Whether a request that costs has left, and was not withdrawn.
    pub(super) fn has_sent(&self) -> bool {
        self.sent.load(Ordering::Acquire) > 0
    }

    /// Whether there is one among them that its provider knows by no key.
    pub(super) fn is_outstanding(&self) -> bool {
        self.outstanding.load(Ordering::Acquire) > 0
    }

    /// Whether a failed step may be tried again: nothing that costs has left, or its provider did not take it, and the failure is likely to
    /// pass by itself.
    pub(super) fn lets_try_again(&self, error: &ProviderError) -> bool {
        let was_ours = self.is_unwritten.load(Ordering::Acquire);
        !self.is_outstanding() && (was_ours || passes(error))
    }
}

#[async_trait]
impl ChargeJournal for Journal {
    async fn charging(&self, repeatable: bool) -> Result<(), StoreError> {
        self.sent.fetch_add(1, Ordering::AcqRel);
        // With a key that the provider knows it by, it may be sent again after a crash.
        if repeatable {
            return Ok(());
        }
        self.outstanding.fetch_add(1, Ordering::AcqRel);
        let noted = self.inner.change(self.id, |job| {
            job.charging = true;
            true
        });
        let Err(error) = noted.await else { return Ok(()) };
        // It does not leave.
        self.is_unwritten.store(true, Ordering::Release);
        self.withdrawn(repeatable);
        Err(match error {
            ServiceError::Store(error) => error,
            other => StoreError::Unavailable(other.to_string()),
        })
    }

    fn withdrawn(&self, repeatable: bool) {
        self.sent.fetch_sub(1, Ordering::AcqRel);
        if !repeatable {
            self.outstanding.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Whether a failure says that no whole answer came to what was asked.
pub(super) fn answer_was_lost(error: &ProviderError) -> bool {
    match error {
        ProviderError::Reported { failure, .. } => {
            let is_silence = matches!(failure.code, FailureCode::Unavailable | FailureCode::Timeout);
            is_silence && failure.http_status.is_none()
        }
        ProviderError::Unavailable { .. }
        | ProviderError::LimitReached { .. }
        | ProviderError::Trapped { .. }
        | ProviderError::Canceled => true,
        ProviderError::EgressDenied { .. }
        | ProviderError::Forbidden { .. }
        | ProviderError::SecretMissing { .. }
        | ProviderError::SecretRefused { .. }
        | ProviderError::Unsupported { .. }
        | ProviderError::PromptRefused { .. }
        | ProviderError::PromptUnjudged { .. } => false,
    }
}

/// Whether a failure is likely to pass by itself.
pub(super) fn passes(error: &ProviderError) -> bool {
    match error {
        ProviderError::Unavailable { .. } | ProviderError::PromptUnjudged { .. } => true,
        ProviderError::Reported { failure, .. } => matches!(
            failure.code,
            FailureCode::RateLimited
                | FailureCode::Overloaded
                | FailureCode::Unavailable
                | FailureCode::Timeout
        ),
        ProviderError::LimitReached { .. }
        | ProviderError::EgressDenied { .. }
        | ProviderError::Forbidden { .. }
        | ProviderError::SecretMissing { .. }
        | ProviderError::SecretRefused { .. }
        | ProviderError::Trapped { .. }
        | ProviderError::Unsupported { .. }
        | ProviderError::PromptRefused { .. }
        | ProviderError::Canceled => false,
    }
}
