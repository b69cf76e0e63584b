//! What a job may cost.

use std::sync::Arc;

use atelier_domain::generation::usage::{UsageLine, bounded};
use atelier_domain::id::EntryId;
use atelier_domain::job::{Job, StoredRequest};
use atelier_domain::model::Task;
use atelier_domain::money::{Bill, Costing, Fallback, Hold, MicroCredits, ModelPrice};

use super::{Accounting, Ledger, payer};
use crate::ServiceError;
use crate::caller::Caller;

impl Ledger {
    /// Writes a job's bill at today's prices, and gives the hold to be placed with it. `told` is what its provider says that it may use
    /// at most; where that is nothing, the host estimates it from the request. What is held is enough whoever of the fallbacks steps in.
    ///
    /// # Errors
    /// It may cost more than there is money.
    pub(crate) fn bill(
        &self,
        caller: &Caller,
        job: &mut Job,
        price: Option<&ModelPrice>,
        fallbacks: &[(String, Option<Arc<ModelPrice>>)],
        told: Vec<UsageLine>,
    ) -> Result<Option<Hold>, ServiceError> {
        let (user, key) = payer(caller);
        let told = bounded(&told);
        let estimate = if told.is_empty() { estimated(&job.request) } else { told };
        job.bill = Bill { key: Some(key), estimate, is_own_key: job.bill.is_own_key, ..Bill::default() };
        let snapshot = |price: &ModelPrice| (*price.snapshot).clone();
        job.bill.price = price.map(snapshot);
        let fallback = |(model, price): &(String, Option<Arc<ModelPrice>>)| Fallback {
            model: model.clone(),
            price: price.as_deref().map(snapshot),
        };
        job.bill.fallbacks = fallbacks.iter().map(fallback).collect();
        let others = fallbacks.iter().filter_map(|(_, price)| price.as_deref());
        let mut most = None;
        for price in price.into_iter().chain(others).filter(|price| !price.snapshot.is_free()) {
            let costing =
                price.snapshot.cost(&job.bill.estimate).map_err(|why| ServiceError::Refused(why.into()))?;
            most = most.max(Some(self.most(price, costing)));
        }
        let Some(amount) = most else { return Ok(None) };
        let is_debited = self.settings.accounting == Accounting::Enforce;
        (job.bill.held, job.bill.is_debited) = (amount, is_debited);
        Ok(Some(Hold { entry: EntryId::new(), user, key, amount, is_debited, at: job.created }))
    }

    /// What is set aside for an estimate. One that the price does not fit says little: the operator's own bound is then the least.
    fn most(&self, price: &ModelPrice, costing: Costing) -> MicroCredits {
        if costing.is_unpriced || costing.total.is_zero() {
            costing.total.max(price.hold.unwrap_or(self.settings.job_hold))
        } else {
            costing.total
        }
    }
}

/// What a request asks for, in the meters that say it.
fn estimated(request: &StoredRequest) -> Vec<UsageLine> {
    let count = u64::from(request.count.max(1));
    let lasting = |meter| request.duration_ms.map(|ms| UsageLine::new(meter, ms.saturating_mul(count)));
    let made = match Task::from_word(&request.task) {
        Some(Task::ImageGeneration | Task::ImageEdit | Task::ImageVariation | Task::ImageUpscale) => {
            Some(UsageLine::new("images", count))
        }
        Some(Task::VideoGeneration | Task::VideoRemix) => lasting("video-ms"),
        Some(Task::SoundEffect | Task::Music | Task::Stems) => lasting("audio-ms"),
        Some(
            Task::Chat
            | Task::Speech
            | Task::Transcription
            | Task::Translation
            | Task::Embedding
            | Task::Moderation
            | Task::Training,
        )
        | None => None,
    };
    made.into_iter().collect()
}
