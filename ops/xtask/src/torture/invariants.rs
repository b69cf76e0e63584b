//! What must be true of a host that was killed again and again: each invariant with its figures.
//!
//! What they need is collected in [`Seen::collect`], and each is one entry of [`Seen::check`].

mod events;
mod jobs;
mod live;
mod money;

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

use super::{
    account::Account,
    book::{Book, Kind, Request},
    client::{Client, Sent},
    evidence::{Bill, Job, Outputs, accounts, pages},
    feeds::{self, Event, Reading},
    receiver::{Mail, Receiver},
    setup::{Site, User},
    verdict::Verdict,
};

const POLL: Duration = Duration::from_millis(250);

/// All that there is to be seen after a run.
#[derive(Debug)]
pub struct Seen {
    users: Vec<User>,
    requests: BTreeMap<String, Request>,
    /// Calls without a key, and whether their answers came whole.
    free: BTreeMap<String, bool>,
    odd: BTreeMap<String, u32>,
    cancels: u32,
    /// Refusals for lack of credits.
    unpaid: u32,
    jobs: Vec<Job>,
    bill: Bill,
    listed_unknown: BTreeSet<String>,
    counted_unknown: bool,
    outputs: Outputs,
    /// By user, as `users`.
    accounts: Vec<Account>,
    events: Vec<Vec<Event>>,
    mail: Mail,
    /// Messages that were not sent because too many waited.
    dropped: u64,
    /// When the host was killed, in milliseconds since 1970.
    pub killed: Vec<u64>,
    /// What readers have who followed users' events all the time, by user.
    pub readings: Vec<Reading>,
    /// What they have who followed single jobs.
    pub job_readings: BTreeMap<String, Reading>,
    /// What `atelier credit audit` printed, and whether it found nothing wrong.
    pub audit: (String, bool),
}

impl Seen {
    /// Wait until all jobs are final and all webhooks delivered, then look at everything.
    pub fn collect(
        site: &Site,
        users: &[User],
        book: &Book,
        receiver: &Receiver,
        deadline: Instant,
    ) -> Result<Self> {
        let client = site.client();
        let jobs = ended(&client, users, deadline)?;
        let dropped = delivered(&client, users, deadline)?;
        let mut events = Vec::new();
        for (place, user) in users.iter().enumerate() {
            let ended = jobs.iter().filter(|job| job.user == place).count();
            events.push(feeds::all(site.address(), user, ended, deadline)?);
        }
        let admin: Vec<Job> =
            pages(&client, site.key(), "/api/v1/admin/generations?error=outcome_unknown&limit=100")?;
        let (odd, cancels, unpaid) = book.asides();
        Ok(Self {
            users: users.to_vec(),
            requests: book.requests(),
            free: book.free(),
            odd,
            cancels,
            unpaid,
            bill: Bill::read(site)?,
            listed_unknown: admin.into_iter().map(|job| job.id).collect(),
            counted_unknown: matches!(site.metrics(), Sent::Answered { status: 200, .. }),
            outputs: Outputs::read(&client, &jobs, users),
            accounts: accounts(&client, users, deadline)?,
            events,
            mail: receiver.mail(),
            dropped,
            jobs,
            killed: Vec::new(),
            readings: Vec::new(),
            job_readings: BTreeMap::new(),
            audit: (String::new(), false),
        })
    }

    /// The number of each user's newest event.
    pub fn newest(&self) -> impl Iterator<Item = u64> {
        self.events.iter().map(|events| events.last().map_or(0, |event| event.sequence))
    }

    /// Print each invariant with its figures; an error if one does not hold.
    pub fn check(&self) -> Result<()> {
        let of = |kind: Kind| self.requests.values().filter(move |request| request.kind == kind).count();
        println!(
            "load: {} requests with keys ({}), sent {} times; {} calls without, {} of which came whole; {} wishes to cancel; {} refused for lack of credits",
            self.requests.len(),
            Kind::ALL.map(|kind| format!("{} {kind:?}", of(kind))).join(", "),
            self.requests.values().map(|request| request.sent).sum::<u32>(),
            self.free.len(),
            self.free.values().filter(|is_whole| **is_whole).count(),
            self.cancels,
            self.unpaid,
        );
        println!("providers' faults: {:?}", self.bill.by_fault);
        let verdicts = [
            self.accepted_jobs_are_final(),
            self.a_key_made_one_job(),
            self.no_job_is_charged_twice(),
            self.no_live_call_is_charged_twice(),
            self.unknown_outcomes_were_seen(),
            self.unknown_outcomes_are_listed(),
            self.what_succeeded_was_paid_for(),
            self.outputs_are_there(),
            self.books_add_up(),
            self.holds_are_settled(),
            self.jobs_cost_their_price(),
            self.live_calls_cost_what_they_delivered(),
            self.money_is_made_and_given_back_once(),
            self.balances_agree(),
            self.events_tell_the_lives_of_jobs(),
            self.webhooks_are_delivered(),
            self.no_webhook_is_made_up(),
            self.feeds_lose_and_double_nothing(),
            self.feeds_of_jobs_lose_and_double_nothing(),
            Verdict::new(
                "no answer that nobody expects",
                format!("{} of them", self.odd.values().sum::<u32>()),
                self.odd.iter().map(|(what, times)| format!("{times} × {what}")).collect(),
            ),
        ];
        verdicts.iter().for_each(Verdict::print);
        let broken = verdicts.iter().filter(|verdict| !verdict.holds()).count();
        ensure!(broken == 0, "{broken} of {} invariants do not hold", verdicts.len());
        println!("all {} invariants hold", verdicts.len());
        Ok(())
    }

    fn by_prompt(&self) -> BTreeMap<&str, Vec<&Job>> {
        let mut found = BTreeMap::<&str, Vec<&Job>>::new();
        for job in &self.jobs {
            found.entry(job.prompt.as_deref().unwrap_or_default()).or_default().push(job);
        }
        found
    }

    /// What a job was asked for as.
    fn kind_of(&self, job: &Job) -> Option<Kind> {
        self.requests.get(job.prompt.as_deref()?).map(|request| request.kind)
    }
}

/// All jobs, once they are final.
fn ended(client: &Client, users: &[User], deadline: Instant) -> Result<Vec<Job>> {
    loop {
        let mut jobs = Vec::new();
        for (place, user) in users.iter().enumerate() {
            let own: Vec<Job> = pages(client, &user.key, "/api/v1/generations?limit=100")?;
            jobs.extend(own.into_iter().map(|job| Job { user: place, ..job }));
        }
        let open: Vec<&Job> = jobs.iter().filter(|job: &&Job| !job.is_final()).collect();
        match open.first() {
            None => return Ok(jobs),
            Some(job) if Instant::now() > deadline => {
                bail!("{} of {} jobs did not end, {job:?} among them", open.len(), jobs.len())
            }
            Some(_) => thread::sleep(POLL),
        }
    }
}

/// Waits until nothing is to be delivered any more; gives how much was dropped.
fn delivered(client: &Client, users: &[User], deadline: Instant) -> Result<u64> {
    loop {
        let (mut pending, mut dropped) = (0, 0);
        for user in users {
            let endpoints = client.get("/api/v1/webhook-endpoints", &user.key).expect(200)?;
            for endpoint in endpoints["data"].as_array().into_iter().flatten() {
                pending += endpoint["pending"].as_u64().unwrap_or_default();
                dropped += endpoint["dropped"].as_u64().unwrap_or_default();
            }
        }
        if pending == 0 {
            return Ok(dropped);
        }
        ensure!(Instant::now() < deadline, "{pending} webhooks are not delivered in time");
        thread::sleep(POLL);
    }
}
