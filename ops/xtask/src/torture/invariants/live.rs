//! Live calls: charged once at the provider, and to the caller for what was delivered.

use std::collections::BTreeMap;

use super::{Seen, Verdict};
use crate::torture::{
    account::Record,
    book::Standing,
    prices::{chat_cost, chat_most, cost},
    wanted::chat_text,
};

impl Seen {
    pub(super) fn no_live_call_is_charged_twice(&self) -> Verdict {
        let (mut wrong, mut charged, mut unknown, mut unsent) = (Vec::new(), 0, 0, 0);
        for (key, request) in self.requests.iter().filter(|(_, request)| request.kind.is_live()) {
            let id = format!("sent-{key}");
            let charges = self.bill.charges(&id);
            charged += charges;
            if charges > 1 {
                wrong.push(format!(
                    "{key} was charged {charges} times; faults {:?}; {request:?}",
                    self.bill.faults.get(&id)
                ));
            }
            if request.standing == Standing::Unknown {
                unknown += 1;
                unsent += u32::from(!self.bill.has_seen(&id));
            } else if !self.bill.has_seen(&id) {
                wrong.push(format!("{key} was answered, and nobody was asked"));
            }
        }
        for id in self.free.keys() {
            let charges = self.bill.charges(id);
            charged += charges;
            if charges > 1 {
                wrong.push(format!("{id}, which was sent once, was charged {charges} times"));
            }
        }
        // One that was killed between its claim and its way out was not seen by anybody: no more than that can be known.
        let most = u32::try_from(self.killed.len()).unwrap_or(u32::MAX);
        if unsent > most {
            wrong.push(format!("{unsent} are unknown without having left, after {most} kills"));
        }
        let figures = format!("{charged} charges; {unknown} are unknown, {unsent} of which did not leave");
        Verdict::new("distinct charges ≤ 1 per live call", figures, wrong)
    }

    pub(super) fn live_calls_cost_what_they_delivered(&self) -> Verdict {
        let mut wrong = Vec::new();
        let mut by_call = BTreeMap::<&str, Vec<&Record>>::new();
        for record in self.accounts.iter().flat_map(|account| &account.records) {
            if record.generation.is_none() {
                by_call.entry(record.request_id.as_deref().unwrap_or_default()).or_default().push(record);
            }
        }
        let keyed = self.requests.iter().filter(|(_, request)| request.kind.is_live());
        let keyed = keyed.map(|(key, request)| (format!("sent-{key}"), key, request.is_whole));
        let free = self.free.iter().map(|(id, is_whole)| (id.clone(), id, *is_whole));
        let (mut whole, mut paid, mut total) = (0, 0, 0);
        for (id, key, is_whole) in keyed.chain(free) {
            let text = chat_text(key);
            let records = by_call.remove(id.as_str()).unwrap_or_default();
            let costs: Vec<u64> = records.iter().map(|record| record.cost.unwrap_or_default()).collect();
            let costly: Vec<u64> = costs.into_iter().filter(|cost| *cost > 0).collect();
            whole += usize::from(is_whole);
            paid += usize::from(!costly.is_empty());
            total += costly.iter().sum::<u64>();
            let exact = chat_cost(&text);
            match costly[..] {
                [] if !is_whole => {}
                [cost] if is_whole && cost == exact => {}
                [cost] if !is_whole && cost <= chat_most(&text) && self.bill.charges(&id) > 0 => {}
                _ => wrong.push(format!(
                    "{id} cost {costly:?}, came whole: {is_whole}, and costs {exact}: {records:?}"
                )),
            }
            let is_wrong = |record: &&&Record| {
                let wanted = cost(&record.model, &record.usage).min(chat_most(&text));
                record.cost != Some(wanted) || record.unpriced
            };
            wrong.extend(
                records
                    .iter()
                    .filter(is_wrong)
                    .map(|record| format!("{id} is not charged by its usage: {record:?}")),
            );
        }
        wrong.extend(by_call.into_values().map(|records| format!("nobody called for {records:?}")));
        let figures = format!("{whole} came whole; {paid} were charged, {total} micro-credits in all");
        Verdict::new("live calls cost what they delivered, at most what was set aside", figures, wrong)
    }
}
