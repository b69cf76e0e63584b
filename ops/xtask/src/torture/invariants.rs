//! What must be true of a host that was killed again and again: each invariant with its figures.
//!
//! Invariants of money (postings, balances, holds) and of webhooks that the host sends belong here too: what they need is collected in
//! [`Seen::collect`], and each is one entry of [`Seen::check`].

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::{
    book::{Book, Kind, Request, Standing},
    client::{Client, Sent},
    evidence::{Bill, Job, pages, unix_ms},
    setup::{STEADY, Site},
};

/// How long before a kill a step may have begun that it interrupted.
const STEP_MS_MAX: u64 = 5_000;
const POLL: Duration = Duration::from_millis(250);

/// All that there is to be seen after a run.
#[derive(Debug)]
pub struct Seen {
    jobs: Vec<Job>,
    /// Charges by the id of the request that made them.
    charges: BTreeMap<String, u32>,
    charges_without_id: usize,
    /// Repeated requests that the upstream answered under a known key, and did not charge for again.
    repeated: u64,
    listed_unknown: BTreeSet<String>,
    counted_unknown: bool,
    outputs: usize,
    missing_outputs: Vec<String>,
    /// When the host was killed, in milliseconds since 1970.
    killed: Vec<u64>,
}

impl Seen {
    /// Wait until all jobs are final, then look at everything.
    pub fn collect(site: &Site, users: &[String], deadline: Instant, killed: Vec<u64>) -> Result<Self> {
        let client = Client::new(site.address());
        let jobs = loop {
            let mut jobs = Vec::new();
            for user in users {
                jobs.extend(pages(&client, user, "/api/v1/generations?limit=100")?);
            }
            let open: Vec<&Job> = jobs.iter().filter(|job: &&Job| !job.is_final()).collect();
            match open.first() {
                None => break jobs,
                Some(job) if Instant::now() > deadline => {
                    bail!("{} of {} jobs did not end, {job:?} among them", open.len(), jobs.len())
                }
                Some(_) => thread::sleep(POLL),
            }
        };
        let admin = pages(&client, site.key(), "/api/v1/admin/generations?error=outcome_unknown&limit=100")?;
        let (mut outputs, mut missing_outputs) = (0, Vec::new());
        for job in &jobs {
            for output in &job.outputs {
                let Some(url) = output["url"].as_str() else { continue };
                outputs += 1;
                let is_whole = users.iter().any(|user| match client.get(url, user) {
                    Sent::Answered { status: 200, body, .. } => {
                        output["size"].as_u64() == Some(body.len() as u64)
                    }
                    Sent::Answered { .. } | Sent::Broken => false,
                });
                if !is_whole {
                    missing_outputs.push(url.to_owned());
                }
            }
        }
        let bill = Bill::read(site)?;
        Ok(Self {
            jobs,
            charges: bill.by_request,
            charges_without_id: bill.without_id,
            repeated: bill.repeated,
            listed_unknown: admin.into_iter().map(|job| job.id).collect(),
            counted_unknown: matches!(site.metrics(), Sent::Answered { status: 200, .. }),
            outputs,
            missing_outputs,
            killed,
        })
    }

    /// Print each invariant with its figures; an error if one does not hold.
    pub fn check(&self, book: &Book) -> Result<()> {
        let requests = book.requests();
        let (odd, streams, cancels) = book.asides();
        let of = |kind: Kind| requests.values().filter(move |request| request.kind == kind).count();
        println!(
            "load: {} requests with keys ({}), sent {} times; {} wishes to cancel; {} streams whole and {} broken",
            requests.len(),
            Kind::ALL.map(|kind| format!("{} {kind:?}", of(kind))).join(", "),
            requests.values().map(|request| request.sent).sum::<u32>(),
            cancels,
            streams.0,
            streams.1,
        );
        let verdicts = [
            self.accepted_jobs_are_final(&requests),
            self.a_key_made_one_job(&requests),
            self.no_job_is_charged_twice(),
            self.no_live_call_is_charged_twice(&requests),
            self.unknown_outcomes_were_seen(),
            self.unknown_outcomes_are_listed(),
            self.what_succeeded_was_paid_for(),
            self.outputs_are_there(),
            Verdict {
                name: "no answer that nobody expects",
                figures: format!("{} of them", odd.values().sum::<u32>()),
                wrong: odd.iter().map(|(what, times)| format!("{times} × {what}")).collect(),
            },
        ];
        let broken: Vec<&Verdict> = verdicts.iter().filter(|verdict| !verdict.holds()).collect();
        verdicts.iter().for_each(Verdict::print);
        ensure!(broken.is_empty(), "{} of {} invariants do not hold", broken.len(), verdicts.len());
        Ok(())
    }

    fn accepted_jobs_are_final(&self, requests: &BTreeMap<String, Request>) -> Verdict {
        let accepted: Vec<_> = requests.iter().filter(|(_, request)| request.kind.is_job()).collect();
        let by_prompt = self.by_prompt();
        let lost = accepted.iter().filter(|(key, _)| !by_prompt.contains_key(key.as_str()));
        let wrong = lost.map(|(key, request)| format!("{key} ({request:?}) has no job")).collect();
        let mut states = BTreeMap::<&str, usize>::new();
        for job in &self.jobs {
            *states.entry(&job.state).or_default() += 1;
        }
        let figures = format!("{} accepted, {} final: {states:?}", accepted.len(), self.jobs.len());
        let extra = (self.jobs.len() != accepted.len()).then(|| "the numbers differ".to_owned());
        Verdict { name: "accepted jobs = jobs in a final state", figures, wrong }.and(extra)
    }

    fn a_key_made_one_job(&self, requests: &BTreeMap<String, Request>) -> Verdict {
        let by_prompt = self.by_prompt();
        let mut wrong = Vec::new();
        for (key, jobs) in &by_prompt {
            if jobs.len() > 1 {
                wrong.push(format!("{key} made {} jobs", jobs.len()));
            }
        }
        for (key, request) in requests {
            let made = by_prompt.get(key.as_str()).map(|jobs| jobs[0].id.as_str());
            if request.jobs.iter().any(|told| Some(told.as_str()) != made) {
                wrong.push(format!("{key} was told of {:?}, and made {made:?}", request.jobs));
            }
        }
        let again = requests.values().filter(|request| request.sent > 1).count();
        let replays: u32 = requests.values().map(|request| request.replays).sum();
        let figures = format!("{again} keys were sent more than once, {replays} answers were repeated");
        Verdict { name: "a duplicated key makes one job", figures, wrong }
    }

    fn no_job_is_charged_twice(&self) -> Verdict {
        let charged: Vec<(&Job, u32)> = self.jobs.iter().map(|job| (job, self.charges_of(job))).collect();
        let wrong = charged.iter().filter(|(_, charges)| *charges > 1);
        let wrong: Vec<_> =
            wrong.map(|(job, charges)| format!("{} was charged {charges} times", job.id)).collect();
        let total: u32 = charged.iter().map(|(_, charges)| charges).sum();
        let figures = format!(
            "{total} charges for {} jobs; {} requests were sent again under a key and not charged",
            self.jobs.len(),
            self.repeated,
        );
        let strays = self
            .charges
            .keys()
            .filter(|id| id.strip_prefix("job-").is_some_and(|id| !self.jobs.iter().any(|job| job.id == id)));
        let strays: Vec<_> = strays.map(|id| format!("{id} was charged, and there is no such job")).collect();
        Verdict { name: "distinct charges ≤ 1 per job", figures, wrong }.and(strays)
    }

    fn no_live_call_is_charged_twice(&self, requests: &BTreeMap<String, Request>) -> Verdict {
        let (mut wrong, mut charged, mut unknown, mut unsent) = (Vec::new(), 0, 0, 0);
        for (key, request) in requests.iter().filter(|(_, request)| request.kind == Kind::Chat) {
            let charges = self.charges.get(&format!("sent-{key}")).copied().unwrap_or(0);
            charged += charges;
            if charges > 1 {
                wrong.push(format!("{key} was charged {charges} times"));
            }
            if request.standing == Standing::Unknown {
                unknown += 1;
                unsent += u32::from(charges == 0);
            } else if charges == 0 {
                wrong.push(format!("{key} was answered, and nobody was asked"));
            }
        }
        // One that was killed between its claim and its way out was not seen by anybody: no more than that can be known.
        let most = u32::try_from(self.killed.len()).unwrap_or(u32::MAX);
        if unsent > most {
            wrong.push(format!("{unsent} are unknown without having left, after {most} kills"));
        }
        let figures = format!("{charged} charges; {unknown} are unknown, {unsent} of which did not leave");
        Verdict { name: "distinct charges ≤ 1 per live call with a key", figures, wrong }
    }

    fn unknown_outcomes_were_seen(&self) -> Verdict {
        let unknown: Vec<&Job> = self.jobs.iter().filter(|job| job.is_unknown()).collect();
        let unseen: Vec<&&Job> = unknown.iter().filter(|job| self.charges_of(job) == 0).collect();
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
            "{} unknown, {} of them charged, {} killed between journal and sending; 0 may be of {STEADY}",
            unknown.len(),
            unknown.len() - unseen.len(),
            unseen.len(),
        );
        Verdict { name: "outcome_unknown only where a charge may be, never with a key", figures, wrong }
    }

    fn unknown_outcomes_are_listed(&self) -> Verdict {
        let unknown: BTreeSet<String> =
            self.jobs.iter().filter(|job| job.is_unknown()).map(|job| job.id.clone()).collect();
        let differ = unknown.symmetric_difference(&self.listed_unknown);
        let wrong: Vec<_> = differ.map(|id| format!("{id} is listed or unknown, and not both")).collect();
        let metrics = (!self.counted_unknown).then(|| "the metrics cannot be read".to_owned());
        let figures = format!("{} listed for the operator", self.listed_unknown.len());
        Verdict { name: "every outcome_unknown is listed", figures, wrong }.and(metrics)
    }

    fn what_succeeded_was_paid_for(&self) -> Verdict {
        let succeeded: Vec<&Job> = self.jobs.iter().filter(|job| job.state == "succeeded").collect();
        let wrong = succeeded.iter().filter(|job| self.charges_of(job) != 1);
        let mut wrong: Vec<_> =
            wrong.map(|job| format!("{} succeeded with {} charges", job.id, self.charges_of(job))).collect();
        wrong.extend(self.jobs.iter().filter_map(|job| {
            let error = job.error.as_ref().filter(|_| !job.is_unknown())?;
            Some(format!("{} on {} failed: {}: {}", job.id, job.model, error.code, error.message))
        }));
        if self.charges_without_id > 0 {
            wrong.push(format!("{} charges have no request id", self.charges_without_id));
        }
        let figures =
            format!("{} succeeded with one charge each, none failed in another way", succeeded.len());
        Verdict { name: "what was not interrupted or canceled succeeded", figures, wrong }
    }

    fn outputs_are_there(&self) -> Verdict {
        let wrong = self.missing_outputs.iter().map(|url| format!("{url} is missing or cut")).collect();
        let figures = format!("{} read whole", self.outputs - self.missing_outputs.len());
        Verdict { name: "no blob missing that a job names", figures, wrong }
    }

    fn by_prompt(&self) -> BTreeMap<&str, Vec<&Job>> {
        let mut found = BTreeMap::<&str, Vec<&Job>>::new();
        for job in &self.jobs {
            found.entry(job.prompt.as_deref().unwrap_or_default()).or_default().push(job);
        }
        found
    }

    fn charges_of(&self, job: &Job) -> u32 {
        self.charges.get(&format!("job-{}", job.id)).copied().unwrap_or(0)
    }

    /// Whether the host was killed soon after the job began.
    fn was_interrupted(&self, job: &Job) -> bool {
        let Some(started) = job.started.as_deref().and_then(unix_ms) else { return false };
        self.killed.iter().any(|killed| (started..=started + STEP_MS_MAX).contains(killed))
    }
}

/// An invariant, and whether it holds.
#[derive(Debug)]
struct Verdict {
    name: &'static str,
    figures: String,
    /// What contradicts it.
    wrong: Vec<String>,
}

impl Verdict {
    fn holds(&self) -> bool {
        self.wrong.is_empty()
    }

    fn and(mut self, wrong: impl IntoIterator<Item = String>) -> Self {
        self.wrong.extend(wrong);
        self
    }

    fn print(&self) {
        println!("{} {}: {}", if self.holds() { "ok  " } else { "FAIL" }, self.name, self.figures);
        for wrong in self.wrong.iter().take(10) {
            println!("       {wrong}");
        }
        if self.wrong.len() > 10 {
            println!("       and {} more", self.wrong.len() - 10);
        }
    }
}
