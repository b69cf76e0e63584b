//! Jobs and their charges at the providers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Seen, Verdict};
use crate::torture::{
    evidence::{Job, unix_ms},
    settings::STEADY,
};

impl Seen {
    pub(super) fn accepted_jobs_are_final(&self) -> Verdict {
        let accepted: Vec<_> = self.requests.iter().filter(|(_, request)| request.kind.is_job()).collect();
        let by_prompt = self.by_prompt();
        let lost = accepted.iter().filter(|(key, _)| !by_prompt.contains_key(key.as_str()));
        let mut wrong: Vec<_> =
            lost.map(|(key, request)| format!("{key} ({request:?}) has no job")).collect();
        let mut states = BTreeMap::<&str, usize>::new();
        for job in &self.jobs {
            *states.entry(&job.state).or_default() += 1;
        }
        if self.jobs.len() != accepted.len() {
            wrong.push("the numbers differ".to_owned());
        }
        let figures = format!("{} accepted, {} final: {states:?}", accepted.len(), self.jobs.len());
        Verdict::new("accepted jobs = jobs in a final state", figures, wrong)
    }

    pub(super) fn a_key_made_one_job(&self) -> Verdict {
        let by_prompt = self.by_prompt();
        let mut wrong = Vec::new();
        for (key, jobs) in &by_prompt {
            if jobs.len() > 1 {
                wrong.push(format!("{key} made {} jobs", jobs.len()));
            }
        }
        for (key, request) in &self.requests {
            let made = by_prompt.get(key.as_str()).map(|jobs| jobs[0].id.as_str());
            if request.jobs.iter().any(|told| Some(told.as_str()) != made) {
                wrong.push(format!("{key} was told of {:?}, and made {made:?}", request.jobs));
            }
        }
        let again = self.requests.values().filter(|request| request.sent > 1).count();
        let replays: u32 = self.requests.values().map(|request| request.replays).sum();
        let figures = format!("{again} keys were sent more than once, {replays} answers were repeated");
        Verdict::new("a duplicated key makes one job", figures, wrong)
    }

    pub(super) fn no_job_is_charged_twice(&self) -> Verdict {
        let charged: Vec<(&Job, u32)> =
            self.jobs.iter().map(|job| (job, self.bill.charges(&job.request_id()))).collect();
        let twice = charged.iter().filter(|(_, charges)| *charges > 1);
        let mut wrong: Vec<_> =
            twice.map(|(job, charges)| format!("{} was charged {charges} times", job.id)).collect();
        let ids: BTreeSet<&str> = self.jobs.iter().map(|job| job.id.as_str()).collect();
        let of_jobs = self.bill.by_request.keys().filter_map(|id| id.strip_prefix("job-"));
        wrong.extend(
            of_jobs
                .filter(|id| !ids.contains(id))
                .map(|id| format!("{id} was charged, and there is no such job")),
        );
        if self.bill.without_id > 0 {
            wrong.push(format!("{} charges have no request id", self.bill.without_id));
        }
        let figures = format!(
            "{} charges for {} jobs; {} requests were sent again under a key and not charged",
            charged.iter().map(|(_, charges)| charges).sum::<u32>(),
            self.jobs.len(),
            self.bill.repeated,
        );
        Verdict::new("distinct charges ≤ 1 per job", figures, wrong)
    }

    pub(super) fn unknown_outcomes_were_seen(&self) -> Verdict {
        let unknown: Vec<&Job> = self.jobs.iter().filter(|job| job.is_unknown()).collect();
        let unseen: Vec<&&Job> =
            unknown.iter().filter(|job| !self.bill.has_seen(&job.request_id())).collect();
        let mut wrong = Vec::new();
        for job in &unseen {
            // The only moment at which this is right: after the journal's word and before the request's way out.
            if !self.was_interrupted(job) {
                wrong.push(format!(
                    "{} was not charged, and no kill can have interrupted it: {job:?}",
                    job.id
                ));
            }
        }
        let steady = unknown.iter().filter(|job| job.instance() == STEADY);
        wrong.extend(steady.map(|job| format!("{} of the provider that takes keys is unknown", job.id)));
        let figures = format!(
            "{} unknown, {} of which the provider saw, {} killed between journal and sending; 0 may be of {STEADY}",
            unknown.len(),
            unknown.len() - unseen.len(),
            unseen.len(),
        );
        Verdict::new("outcome_unknown only where a charge may be, never with a key", figures, wrong)
    }

    pub(super) fn unknown_outcomes_are_listed(&self) -> Verdict {
        let unknown: BTreeSet<String> =
            self.jobs.iter().filter(|job| job.is_unknown()).map(|job| job.id.clone()).collect();
        let differ = unknown.symmetric_difference(&self.listed_unknown);
        let mut wrong: Vec<_> = differ.map(|id| format!("{id} is listed or unknown, and not both")).collect();
        if !self.counted_unknown {
            wrong.push("the metrics cannot be read".to_owned());
        }
        let figures = format!("{} listed for the operator", self.listed_unknown.len());
        Verdict::new("every outcome_unknown is listed", figures, wrong)
    }

    pub(super) fn what_succeeded_was_paid_for(&self) -> Verdict {
        let succeeded: Vec<&Job> = self.jobs.iter().filter(|job| job.has_succeeded()).collect();
        let charges = |job: &Job| self.bill.charges(&job.request_id());
        let unpaid = succeeded.iter().filter(|job| charges(job) != 1);
        let mut wrong: Vec<_> =
            unpaid.map(|job| format!("{} succeeded with {} charges", job.id, charges(job))).collect();
        let (mut codes, mut lost) = (BTreeMap::<&str, usize>::new(), 0);
        for job in &self.jobs {
            let Some(error) = job.error.as_ref().filter(|_| !job.is_unknown()) else { continue };
            *codes.entry(&error.code).or_default() += 1;
            lost += charges(job);
            if !self.bill.faults.contains_key(&job.request_id()) {
                wrong.push(format!("{} on {} failed: {}: {}", job.id, job.model, error.code, error.message));
            }
        }
        let figures = format!(
            "{} succeeded with one charge each; failed as their providers did: {codes:?}, {lost} of them after a charge",
            succeeded.len()
        );
        Verdict::new("what nobody interrupted, canceled or failed succeeded", figures, wrong)
    }

    pub(super) fn outputs_are_there(&self) -> Verdict {
        let figures = format!("{} read whole and hashed", self.outputs.read - self.outputs.wrong.len());
        Verdict::new("no blob missing that a job names", figures, self.outputs.wrong.clone())
    }

    /// Whether the host was killed between the job's begin and its end.
    fn was_interrupted(&self, job: &Job) -> bool {
        let time = |text: &Option<String>| text.as_deref().and_then(unix_ms);
        let (Some(started), Some(finished)) = (time(&job.started), time(&job.finished)) else { return false };
        self.killed.iter().any(|killed| (started..=finished).contains(killed))
    }
}
