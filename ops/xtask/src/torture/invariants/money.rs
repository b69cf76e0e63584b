//! The books.

use std::collections::BTreeMap;

use super::{Seen, Verdict};
use crate::torture::{
    account::{Account, Entry, Record},
    book::{Kind, Standing},
    evidence::Job,
    prices::{cost, job_cost, job_most},
    wanted::{GRANTED, REFUNDED},
};

/// Why credits were granted to begin with.
const FIRST_GRANT: &str = "granted on the command line";

impl Seen {
    fn entries_by_job(&self) -> BTreeMap<&str, Vec<&Entry>> {
        let mut by_job = BTreeMap::<&str, Vec<&Entry>>::new();
        for entry in self.accounts.iter().flat_map(|account| &account.entries) {
            if let Some(job) = &entry.generation {
                by_job.entry(job).or_default().push(entry);
            }
        }
        by_job
    }

    pub(super) fn books_add_up(&self) -> Verdict {
        let (printed, is_clean) = &self.audit;
        let mut wrong = Vec::new();
        if !is_clean {
            wrong.push("the audit says that something is wrong".to_owned());
        }
        // Each line ends with what it counts.
        for line in printed.lines() {
            let counts = line.split(['(', ':', ';']).filter_map(|part| part.trim().parse::<i128>().ok());
            if counts.sum::<i128>() != 0 {
                wrong.push(line.to_owned());
            }
        }
        if printed.lines().count() < 5 {
            wrong.push(format!("the audit says too little: {printed:?}"));
        }
        let figures = printed.lines().collect::<Vec<_>>().join("; ");
        Verdict::new("sum of all postings = 0, no account below zero, no hold open", figures, wrong)
    }

    pub(super) fn holds_are_settled(&self) -> Verdict {
        let mut by_job = self.entries_by_job();
        let (mut wrong, mut settled, mut released) = (Vec::new(), 0, 0);
        for job in &self.jobs {
            let entries = by_job.remove(job.id.as_str()).unwrap_or_default();
            let of = |kind: &str| entries.iter().filter(|entry| entry.kind == kind).collect::<Vec<_>>();
            let (holds, settles, releases) = (of("hold"), of("settle"), of("release"));
            settled += settles.len();
            released += releases.len();
            let ends: Vec<_> = settles.iter().chain(&releases).collect();
            let most = self.kind_of(job).map(job_most).unwrap_or_default();
            let is_right = match (&holds[..], &ends[..]) {
                ([hold], [end]) => {
                    let set_aside = hold.held;
                    set_aside.unsigned_abs() == most
                        && (hold.available, hold.allowance) == (-set_aside, 0)
                        && end.held == -set_aside
                        && (set_aside - end.available).unsigned_abs() == charged(job, &entries)
                        && (end.kind == "settle") == (charged(job, &entries) > 0)
                }
                _ => false,
            };
            if !is_right || job.held != 0 {
                wrong.push(format!("{job:?} has {entries:?}"));
            }
        }
        wrong.extend(by_job.into_values().map(|entries| format!("no job has {entries:?}")));
        let figures = format!("{} jobs: {settled} settled, {released} released", self.jobs.len());
        Verdict::new("every hold is settled or released, once", figures, wrong)
    }

    pub(super) fn jobs_cost_their_price(&self) -> Verdict {
        let mut records = BTreeMap::<&str, Vec<&Record>>::new();
        for record in self.accounts.iter().flat_map(|account| &account.records) {
            if let Some(job) = &record.generation {
                records.entry(job).or_default().push(record);
            }
        }
        let entries = self.entries_by_job();
        let (mut wrong, mut total) = (Vec::new(), 0);
        for job in &self.jobs {
            let charged = charged(job, entries.get(job.id.as_str()).map_or(&[], Vec::as_slice));
            total += charged;
            let wanted = match job.has_succeeded() {
                true => self.kind_of(job).map(job_cost).unwrap_or_default(),
                false => 0,
            };
            let by_usage = if job.has_succeeded() { cost(&job.model, &job.usage) } else { 0 };
            if charged != wanted || charged != by_usage {
                wrong.push(format!("{} cost {charged}, not {wanted} or {by_usage}: {job:?}", job.id));
            }
            let told = records.remove(job.id.as_str()).unwrap_or_default();
            let is_told = matches!(told[..], [record] if record.cost == Some(charged)
                && (record.outcome == "ok") == job.has_succeeded() && record.usage == job.usage);
            if !is_told {
                wrong.push(format!("{} has the records {told:?}", job.id));
            }
        }
        wrong.extend(records.into_values().map(|records| format!("no job has {records:?}")));
        let figures = format!("{} jobs cost {total} micro-credits", self.jobs.len());
        Verdict::new("every job costs what its price says for what it made", figures, wrong)
    }

    pub(super) fn money_is_made_and_given_back_once(&self) -> Verdict {
        let mut by_reason = BTreeMap::<&str, Vec<&Entry>>::new();
        for entry in self.accounts.iter().flat_map(|account| &account.entries) {
            if let Some(reason) = &entry.reason {
                by_reason.entry(reason).or_default().push(entry);
            }
        }
        let first = by_reason.remove(FIRST_GRANT).unwrap_or_default().len();
        let (mut wrong, mut grants, mut refunds) = (Vec::new(), 0, 0);
        for (key, request) in self.requests.iter().filter(|(_, request)| request.kind.is_money()) {
            let made = by_reason.remove(key.as_str()).unwrap_or_default();
            let (count, amount) = match request.kind {
                Kind::Grant => (&mut grants, GRANTED),
                _ => (&mut refunds, REFUNDED),
            };
            *count += made.len();
            let is_right = match request.standing {
                Standing::Accepted => made.len() == 1,
                Standing::Unknown => made.len() <= 1,
                Standing::Refused | Standing::Open => made.is_empty(),
            };
            let is_that_much =
                made.iter().all(|entry| entry.available.unsigned_abs() == amount && entry.available > 0);
            if !is_right || !is_that_much {
                wrong.push(format!("{key} ({request:?}) made {made:?}"));
            }
        }
        wrong.extend(by_reason.into_values().map(|entries| format!("nobody asked for {entries:?}")));
        let figures = format!("{first} first grants, {grants} more, {refunds} refunds");
        Verdict::new("credits are granted and given back once", figures, wrong)
    }

    pub(super) fn balances_agree(&self) -> Verdict {
        let (mut wrong, mut figures) = (Vec::new(), Vec::new());
        for (place, (user, account)) in self.users.iter().zip(&self.accounts).enumerate() {
            let Account { entries, records, balance, sums } = account;
            let sum = |part: fn(&Entry) -> i64| entries.iter().map(part).map(i128::from).sum::<i128>();
            let parts = [
                (sum(|entry| entry.available), balance.available),
                (sum(|entry| entry.held), balance.held),
                (sum(|entry| entry.allowance), balance.allowance),
            ];
            let of_kind = |kind: &str| {
                let fitting = entries.iter().filter(|entry| entry.kind == kind);
                fitting.map(|entry| i128::from(entry.available)).sum::<i128>()
            };
            let has: i128 = parts.iter().map(|(_, part)| i128::from(*part)).sum();
            // The cost of a job as it is shown is what was charged less what was given back.
            let jobs: u64 = self.jobs.iter().filter(|job| job.user == place).filter_map(|job| job.cost).sum();
            let live = account.cost(|record| record.generation.is_none());
            let wanted = of_kind("grant") - i128::from(jobs) - i128::from(live);
            let name = &user.name;
            if parts.iter().any(|(entries, balance)| *entries != i128::from(*balance)) {
                wrong.push(format!("the movements of {name} make {parts:?}"));
            }
            if has != wanted {
                let (granted, back) = (of_kind("grant"), of_kind("refund"));
                wrong.push(format!(
                    "{name} has {has} and not {wanted}: granted {granted}, jobs {jobs}, {back} of it given back, live calls {live}"
                ));
            }
            let of_sums = (sums.iter().map(|sum| sum.calls).sum(), sums.iter().map(|sum| sum.cost).sum());
            let of_records = (records.len() as u64, account.cost(|_| true));
            if of_sums != of_records {
                wrong.push(format!("the sums of {name} say {of_sums:?}, the records {of_records:?}"));
            }
            figures.push(format!("{name} {has}"));
        }
        Verdict::new("balance = grants − costs + refunds", figures.join(", "), wrong)
    }
}

/// What a job was charged when it ended.
fn charged(job: &Job, entries: &[&Entry]) -> u64 {
    let back =
        entries.iter().filter(|entry| entry.kind == "refund").map(|entry| entry.available.unsigned_abs());
    job.cost.unwrap_or_default() + back.sum::<u64>()
}
