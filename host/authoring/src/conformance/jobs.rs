//! `media` and `training`: jobs from submission to their end, and what they leave behind when they are cancelled.

use std::time::Duration;

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::media::{
    Cancellation, JobRequest, Outcome, Output, OutputSource, Step, Ticket, Wake,
};
use atelier_domain::provider::Provider as _;
use url::Url;

use super::chat::metered;
use super::subject::{Answer, Subject};
use super::{Suite, told};
use crate::bench::{Bench, Rig, Testimony};
use crate::upstream::Fault;

/// A recorded job that needs more steps than this never ends.
const STEPS_MAX: usize = 50;

/// A job as it went.
#[derive(Debug)]
pub(super) struct Course {
    pub tickets: Vec<Ticket>,
    pub outcome: Outcome,
}

/// Submits a job and goes on with it until it is done; the clock moves by what each ticket asks to wait.
pub(super) async fn to_the_end(bench: &Bench, rig: &Rig, subject: &Subject) -> Result<Course, ProviderError> {
    let mut step = match subject.call(rig).await? {
        Answer::Step(step) => step,
        other => {
            let instance = bench.manifest().id.clone();
            return Err(ProviderError::Unsupported { instance, task: other.content() });
        }
    };
    let mut tickets = Vec::new();
    loop {
        let ticket = match step {
            Step::Done(outcome) => return Ok(Course { tickets, outcome }),
            Step::Pending(ticket) => ticket,
        };
        if tickets.len() == STEPS_MAX {
            let reason = format!("the job is still pending after {STEPS_MAX} steps");
            return Err(ProviderError::Unavailable {
                instance: bench.manifest().id.clone(),
                reason,
                retry_after: None,
            });
        }
        // A recording waits for the provider; a replay does not have to.
        let wait = Duration::from_millis(ticket.poll_after_ms);
        if bench.is_recording() {
            tokio::time::sleep(wait.min(Duration::from_secs(10))).await;
        }
        bench.clock.advance(wait);
        // A restart in the middle loses nothing: every other step is told that there was one.
        let wake = if tickets.len() % 2 == 1 { Wake::Resumed } else { Wake::Timer };
        let state = ticket.state.clone();
        tickets.push(ticket);
        step = resumed(rig, subject, state, wake).await?;
    }
}

/// A job's whole course, and another job that is cancelled at once.
pub(super) async fn record(bench: &Bench, rig: &Rig, subject: &Subject) -> Result<(), ProviderError> {
    let course = to_the_end(bench, rig, subject).await?;
    if course.tickets.is_empty() {
        return Ok(());
    }
    let Answer::Step(Step::Pending(ticket)) = subject.call(rig).await? else { return Ok(()) };
    // A refusal is an answer too: what matters is that it was heard.
    match canceled(rig, subject, ticket.state).await {
        Ok(_) | Err(ProviderError::Reported { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

async fn canceled(rig: &Rig, subject: &Subject, state: Vec<u8>) -> Result<Cancellation, ProviderError> {
    rig.provider.cancel(rig.context(), subject.job_kind(), state).await
}

async fn resumed(rig: &Rig, subject: &Subject, state: Vec<u8>, wake: Wake) -> Result<Step, ProviderError> {
    rig.provider.resume(rig.context(), subject.job_kind(), state, wake).await
}

impl Suite<'_> {
    pub(super) async fn jobs(&mut self, about: &'static str, total: &mut Testimony) -> anyhow::Result<()> {
        let subjects: Vec<Subject> = match about {
            "training" => self.cases.training.iter().cloned().map(Subject::Training).collect(),
            _ => self.cases.media.iter().cloned().map(Subject::Media).collect(),
        };
        for (index, subject) in subjects.into_iter().enumerate() {
            let how = match &subject {
                Subject::Media(case) => case.task.clone(),
                _ => "training".to_owned(),
            };
            self.estimated(about, &how, &subject, total).await?;
            let Some(course) = self.finished(about, &how, &subject, total).await? else { continue };
            self.tickets(about, &how, &course);
            if !course.tickets.is_empty() {
                self.cancelled(about, &how, &subject, total).await?;
            }
            if index == 0 {
                let rig = self.bench.rig(Fault::None).await?;
                let content = subject.call(&rig).await.map(|answer| answer.content());
                self.end(&rig, total);
                if let Ok(content) = content {
                    self.faults(about, &format!("{how}: submit"), &subject, &content, total).await?;
                }
            }
        }
        Ok(())
    }

    async fn estimated(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        total: &mut Testimony,
    ) -> anyhow::Result<()> {
        let Subject::Media(case) = subject else { return Ok(()) };
        let rig = self.bench.rig(Fault::None).await?;
        let called = rig.provider.estimate(rig.context(), JobRequest::Media(Box::new(case.request()))).await;
        let requests = rig.upstream.seen(|seen| seen.arrived.len());
        self.end(&rig, total);
        let outcome = match called {
            Ok(_) if requests > 0 => Err(format!("{requests} requests")),
            Ok(lines) => Ok(metered(&lines)),
            Err(error) => Err(told(&error)),
        };
        self.verdict(about, &format!("{how}: it estimates without asking anybody"), "no requests", outcome);
        Ok(())
    }

    async fn finished(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        total: &mut Testimony,
    ) -> anyhow::Result<Option<Course>> {
        let rig = self.bench.rig(Fault::None).await?;
        let called = to_the_end(self.bench, &rig, subject).await;
        let (charges, unknown) = (rig.charges.count(), self.end(&rig, total));
        let course = match (unknown.first(), called) {
            (Some(unknown), _) => Err(format!("no recorded exchange for {unknown}")),
            (None, Err(error)) => Err(told(&error)),
            (None, Ok(course)) => Ok(course),
        };
        let outcome = course.as_ref().map_err(Clone::clone).and_then(|course| {
            let made = made(&course.outcome, &Places::of(self.bench, &rig))?;
            Ok(format!("{made} after {} tickets", course.tickets.len()))
        });
        let expected = "outputs that can be read, and usage";
        self.verdict(about, &format!("{how}: a job comes to its end"), expected, outcome);
        let found = format!("{charges} announced");
        let check = format!("{how}: a job is charged once");
        self.row(about, &check, "1 charging request in all its calls", charges == 1, found);
        Ok(course.ok())
    }

    fn tickets(&mut self, about: &str, how: &str, course: &Course) {
        let known = &self.bench.manifest().state_versions;
        let wrong = course.tickets.iter().find_map(|ticket| {
            if ticket.state.is_empty() || ticket.state.len() > Ticket::STATE_BYTES_MAX {
                return Some(format!("a state of {} bytes", ticket.state.len()));
            }
            if ticket.poll_after_ms == 0 {
                return Some("a ticket that asks to be polled at once".to_owned());
            }
            if ticket.progress.is_some_and(|progress| !(0.0..=1.0).contains(&progress)) {
                return Some(format!("a progress of {:?}", ticket.progress));
            }
            (!known.contains(&ticket.state_version)).then(|| {
                format!(
                    "state version {}, of which the manifest's state-versions {known:?} say nothing",
                    ticket.state_version
                )
            })
        });
        let largest = course.tickets.iter().map(|ticket| ticket.state.len()).max().unwrap_or_default();
        let outcome =
            wrong.map_or(Ok(format!("{} tickets, at most {largest} bytes", course.tickets.len())), Err);
        let expected = "1 byte to 64 KiB of state, a known version, a wait";
        self.verdict(about, &format!("{how}: its tickets say how to go on"), expected, outcome);
    }

    async fn cancelled(
        &mut self,
        about: &str,
        how: &str,
        subject: &Subject,
        total: &mut Testimony,
    ) -> anyhow::Result<()> {
        let rig = self.bench.rig(Fault::None).await?;
        // The second of two, as in a recording, whose first job was left to come to its end.
        let first = subject.call(&rig).await;
        let (Ok(_), Ok(Answer::Step(Step::Pending(ticket)))) = (first, subject.call(&rig).await) else {
            return Ok(());
        };
        let before = rig.charges.count();
        let called = canceled(&rig, subject, ticket.state).await;
        let charges = rig.charges.count() - before;
        let outcome = match (self.end(&rig, total).first(), called) {
            (Some(unknown), _) => Err(format!("no recorded exchange for {unknown}")),
            (None, Ok(_)) if charges > 0 => Err(format!("{charges} charging requests")),
            (None, Ok(Cancellation::Canceled(usage))) => Ok(format!("canceled, {}", metered(&usage))),
            (None, Ok(Cancellation::Finished(_))) => Ok("it had finished".to_owned()),
            (None, Ok(Cancellation::Unsupported)) => Ok("unsupported".to_owned()),
            (None, Err(error)) => Err(told(&error)),
        };
        let expected = "canceled, finished or unsupported, and nothing charged";
        self.verdict(
            about,
            &format!("{how}: it can be cancelled, or says that it cannot"),
            expected,
            outcome,
        );
        Ok(())
    }
}

/// Where results may lie.
struct Places<'a> {
    hosts: &'a [String],
    download_hosts: &'a [String],
    /// The server that stands for the provider, and the provider's own address.
    upstream: &'a str,
    provider: String,
}

impl<'a> Places<'a> {
    fn of(bench: &'a Bench, rig: &'a Rig) -> Self {
        let manifest = bench.manifest();
        let provider = manifest.default_base_url.as_deref().and_then(|url| Url::parse(url).ok());
        let provider = provider.map(|url| url.origin().ascii_serialization()).unwrap_or_default();
        let (hosts, download_hosts) = (&manifest.hosts, &manifest.download_hosts);
        Self { hosts, download_hosts, upstream: rig.upstream.url(), provider }
    }

    /// Whether the host will fetch a result with the instance's secret: it does so from hosts that the instance may reach.
    fn guard(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(&url.replacen(self.upstream, &self.provider, 1)) else { return false };
        let Some(host) = url.host_str() else { return false };
        url.origin().ascii_serialization() == self.provider || matches(self.hosts, host)
    }

    /// Whether the host will fetch a result: it does so from download hosts alone.
    fn cover(&self, url: &str) -> bool {
        let Ok(url) = Url::parse(&url.replacen(self.upstream, &self.provider, 1)) else { return false };
        let Some(host) = url.host_str() else { return false };
        matches(self.download_hosts, host)
    }
}

fn matches(patterns: &[String], host: &str) -> bool {
    patterns.iter().any(|known| match known.strip_prefix("*.") {
        Some(parent) => host.strip_suffix(parent).is_some_and(|rest| rest.ends_with('.')),
        None => known == host,
    })
}

/// What a job made, if all of it can be had.
fn made(outcome: &Outcome, places: &Places<'_>) -> Result<String, String> {
    if outcome.outputs.is_empty() {
        return Err("no outputs".to_owned());
    }
    if outcome.usage.is_empty() {
        return Err("no usage".to_owned());
    }
    let mut said = Vec::new();
    for output in &outcome.outputs {
        said.push(match output {
            Output::Media(media) => match &media.source {
                OutputSource::Blob(blob) if blob.size == 0 => return Err("an empty blob".to_owned()),
                OutputSource::Blob(blob) => format!("{} of {} bytes", blob.content_type, blob.size),
                OutputSource::Remote(url) if places.cover(url) => "a remote file".to_owned(),
                OutputSource::Remote(url) => {
                    return Err(format!("{url}, which no download-hosts of the manifest cover"));
                }
                OutputSource::Guarded(url) if places.guard(url) => {
                    "a remote file behind the secret".to_owned()
                }
                OutputSource::Guarded(url) => {
                    return Err(format!("{url}, which is no address of the provider's"));
                }
            },
            Output::Text(text) if text.is_empty() => return Err("an empty text".to_owned()),
            Output::Text(_) => "a text".to_owned(),
            Output::Model(id) if id.is_empty() => return Err("a model without an id".to_owned()),
            Output::Model(id) => format!("the model {id}"),
            Output::Other(other) => other.kind.clone(),
        });
    }
    Ok(format!("{}; {}", said.join(", "), metered(&outcome.usage)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_lie_where_the_manifest_says_that_they_do() {
        let download_hosts = ["files.acme.com".to_owned(), "*.acme.io".to_owned()];
        let upstream = "http://127.0.0.1:9";
        let mut places = Places {
            hosts: &[],
            download_hosts: &download_hosts,
            upstream,
            provider: "https://api.acme.com".to_owned(),
        };
        assert!(places.guard("http://127.0.0.1:9/a.mp4") && places.guard("https://api.acme.com/a.mp4"));
        assert!(!places.guard("https://evil.com/a.mp4") && !places.guard("https://files.acme.com/a.mp4"));
        assert!(places.cover("https://files.acme.com/a.png") && places.cover("https://eu.acme.io/a.png"));
        assert!(!places.cover("https://acme.io/a.png") && !places.cover("https://evil-acme.io/a.png"));
        assert!(!places.cover("http://127.0.0.1:9/a.png") && !places.cover("a.png"));
        places.provider = "https://files.acme.com".to_owned();
        assert!(places.cover("http://127.0.0.1:9/a.png"), "it stands for the provider");
    }
}
