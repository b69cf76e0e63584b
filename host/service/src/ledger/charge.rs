//! One live call's money: what is set aside for it, and its record.

use std::sync::Arc;

use atelier_domain::generation::usage::UsageLine;
use atelier_domain::id::UsageId;
use atelier_domain::model::Task;
use atelier_domain::money::{Costing, LiveUse, MicroCredits, PriceSnapshot, UsageRecord};

use super::Ledger;
use super::purse::Reservation;
use crate::caller::Caller;
use crate::registry::ModelEntry;

/// What is kept of the usage that a plugin reports of one call.
const LINES_MAX: usize = 32;
const ATTRIBUTES_MAX: usize = 8;
const WORD_BYTES_MAX: usize = 64;

/// What a live call is expected to use, as the host can tell from the request.
#[derive(Clone, Copy, Debug)]
pub struct Expected {
    /// What goes in: its meter, what it is likely to be, and at most.
    pub input: (&'static str, u64, u64),
    /// What comes out: its meter, and what it is at most.
    pub output: Option<(&'static str, u64)>,
}

impl Expected {
    pub(super) fn at_most(&self) -> Vec<UsageLine> {
        let (meter, _, most) = self.input;
        let output = self.output.map(|(meter, most)| UsageLine::new(meter, most));
        std::iter::once(UsageLine::new(meter, most)).chain(output).collect()
    }

    /// What a call used whose provider does not say.
    fn estimated(&self, delivered: u64, has_answered: bool) -> Vec<UsageLine> {
        if !has_answered && delivered == 0 {
            return Vec::new();
        }
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
    pub(super) price: Option<Arc<PriceSnapshot>>,
    /// Absent where nothing costs.
    pub(super) reservation: Option<Reservation>,
}

impl Charge {
    /// Records how a call ended: what its provider reported, else what the host estimates of what was delivered (in units of the
    /// output's meter). The charge is never more than was set aside.
    pub(crate) fn record(mut self, outcome: &str, reported: &[UsageLine], delivered: u64) {
        let is_estimated = reported.is_empty();
        let usage = match is_estimated {
            true => self.expected.estimated(delivered, outcome == "ok"),
            false => bounded(reported),
        };
        let costing = self.price.as_ref().map(|price| {
            price.cost(&usage).unwrap_or(Costing { total: MicroCredits::MAX, is_unpriced: false })
        });
        let held = self.reservation.as_ref().map(|reservation| reservation.held).unwrap_or_default();
        let cost = costing.map(|costing| costing.total.min(held));
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
            is_estimated: is_estimated && !usage.is_empty(),
            usage,
            cost,
            is_unpriced: costing.is_some_and(|costing| costing.is_unpriced),
        };
        let allowance = self.reservation.as_ref().map(Reservation::allowance);
        let (used, reservation) = (LiveUse { record, allowance }, self.reservation.take());
        let purses = &self.ledger.purses;
        match self.ledger.store.record(&used) {
            Ok(()) => {
                purses.note_recorded();
                if let Some(reservation) = reservation {
                    reservation.spend(cost.unwrap_or_default());
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

/// What is kept of reported usage: a plugin's words are bounded.
fn bounded(usage: &[UsageLine]) -> Vec<UsageLine> {
    let fits = |word: &str| word.len() <= WORD_BYTES_MAX;
    let lines = usage.iter().filter(|line| fits(&line.meter)).take(LINES_MAX);
    let line = |line: &UsageLine| UsageLine {
        meter: line.meter.clone(),
        quantity: line.quantity,
        attributes: line
            .attributes
            .iter()
            .filter(|(name, value)| fits(name) && fits(value))
            .take(ATTRIBUTES_MAX)
            .cloned()
            .collect(),
    };
    lines.map(line).collect()
}
