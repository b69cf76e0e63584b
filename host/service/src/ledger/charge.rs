//! One live call's money: what is set aside for it, and its record.

use std::sync::Arc;

use atelier_domain::generation::usage::{UsageLine, bounded};
use atelier_domain::id::UsageId;
use atelier_domain::model::Task;
use atelier_domain::money::{Cost, Costing, LiveUse, MicroCredits, PriceSnapshot, UsageRecord};

use super::purse::Reservation;
use super::{Ledger, Sent};
use crate::caller::Caller;
use crate::registry::ModelEntry;

/// The meter of sound.
const SOUND: &str = "audio-ms";

/// How a call ended whose caller left it.
pub(crate) const ABANDONED: &str = "abandoned";

/// What a live call is expected to use, as the host can tell from the request.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// What goes in: its meter, what it is likely to be, and at most.
    pub input: (&'static str, u64, u64),
    /// How long the sound is that goes in, in milliseconds, where its head tells that for certain. It is the input where it has a price.
    pub sound_ms: Option<u64>,
    /// What comes out: its meter, and what it is at most.
    pub output: Option<(&'static str, u64)>,
}

impl Expected {
    /// In the meters that these prices have.
    pub(super) fn in_meters_of(self, price: Option<&PriceSnapshot>) -> Self {
        let Some(ms) = self.sound_ms else { return self };
        let is_priced = price.is_none_or(|price| price.measures(&[UsageLine::new(SOUND, ms)]));
        if is_priced { Self { input: (SOUND, ms, ms), ..self } } else { self }
    }

    pub(super) fn at_most(&self) -> Vec<UsageLine> {
        let (meter, _, most) = self.input;
        let output = self.output.map(|(meter, most)| UsageLine::new(meter, most));
        std::iter::once(UsageLine::new(meter, most)).chain(output).collect()
    }

    /// What a call used whose provider does not say.
    fn estimated(&self, delivered: u64) -> Vec<UsageLine> {
        let (meter, likely, _) = self.input;
        let output = self
            .output
            .filter(|_| delivered > 0)
            .map(|(meter, most)| UsageLine::new(meter, delivered.min(most)));
        std::iter::once(UsageLine::new(meter, likely)).chain(output).collect()
    }
}

/// What is set aside for a live call. However the call ends, it is recorded once, and what it did not need is free again.
#[derive(Debug)]
pub(crate) struct Charge {
    pub(super) ledger: Arc<Ledger>,
    pub(super) caller: Caller,
    pub(super) model: Arc<ModelEntry>,
    pub(crate) task: Task,
    pub(super) expected: Expected,
    pub(super) sent: Arc<Sent>,
    pub(super) price: Option<Arc<PriceSnapshot>>,
    /// Absent where nothing costs.
    pub(super) reservation: Option<Reservation>,
}

impl Charge {
    /// Another model answers in place of the first: at its price, within what was set aside.
    pub(crate) fn retarget(&mut self, model: &Arc<ModelEntry>, expected: Expected) {
        // Its price was there when the call was admitted, and prices stay while the server runs.
        let price = self.ledger.price_of(model).ok().flatten();
        self.price = price.map(|price| price.snapshot.clone());
        self.expected = expected.in_meters_of(self.price.as_deref());
        self.model = model.clone();
    }

    /// Records how a call ended, and charges it, never more than was set aside:
    /// - what its provider reported;
    /// - else, where it has answered, or delivered anything (in units of the output's meter), or its caller left after it was asked: what the
    ///   request makes certain and what was delivered;
    /// - of that, where none of it has a price: what was set aside, the operator's own price for such calls.
    pub(crate) fn record(mut self, outcome: &str, reported: &[UsageLine], delivered: u64) {
        let reported = bounded(reported);
        // Nobody calls back what a provider was asked by a caller who has left.
        let is_owed = outcome == "ok" || delivered > 0 || (outcome == ABANDONED && self.sent.any());
        let is_estimated = reported.is_empty() && is_owed;
        let usage = if is_estimated { self.expected.estimated(delivered) } else { reported };
        let held = self.reservation.as_ref().map(|reservation| reservation.held).unwrap_or_default();
        let costing = self.price.as_ref().map(|price| {
            if is_estimated && !price.is_free() && !price.measures(&self.expected.at_most()) {
                return Costing { total: held, is_unpriced: false };
            }
            price.cost(&usage).unwrap_or(Costing { total: MicroCredits::MAX, is_unpriced: false })
        });
        let cost = costing.map(|costing| Cost::within(costing.total, held, costing.is_unpriced));
        let charged = cost.map(|cost| cost.charged);
        if let Some(charged) = charged {
            self.model.meter().charged(charged);
        }
        let record = UsageRecord {
            id: UsageId::new(),
            at: self.ledger.clock.now(),
            user: self.caller.principal.user,
            key: Some(self.caller.principal.key),
            model: self.model.id.as_str().to_owned(),
            task: self.task.as_str().to_owned(),
            job: None,
            request_id: Some((*self.caller.request_id).to_owned()),
            outcome: outcome.to_owned(),
            is_estimated,
            usage,
            cost: charged,
            uncollected: cost.unwrap_or_default().uncollected,
            is_unpriced: cost.is_some_and(|cost| cost.is_unpriced),
            // The books tell.
            is_debited: false,
            refunded: MicroCredits::ZERO,
        };
        let allowance = self.reservation.as_ref().map(Reservation::allowance);
        let (used, reservation) = (LiveUse { record, allowance }, self.reservation.take());
        let purses = &self.ledger.purses;
        match self.ledger.store.record(&used) {
            Ok(()) => {
                purses.note_recorded();
                if let Some(reservation) = reservation {
                    reservation.spend(charged.unwrap_or_default());
                }
            }
            Err(error) => {
                let request_id = &*self.caller.request_id;
                tracing::error!(%error, request_id, "a live call could not be recorded; it is tried again");
                purses.unrecorded.keep(used, reservation);
            }
        }
    }
}
