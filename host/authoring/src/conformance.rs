//! The conformance suite: what the contract's documentation promises of each interface, held against a plugin in the real sandbox.
//!
//! Each check has an instance and an upstream of its own. Recorded exchanges give the provider's good answers, and its own words
//! for failures where they were recorded; what goes wrong on the way is injected.

mod catalog;
mod chat;
mod faults;
mod jobs;
mod live;
mod speech;
mod subject;
mod webhook;

use std::path::PathBuf;

use atelier_domain::failure::ProviderError;
use atelier_domain::model::{Description, Task};

use crate::bench::{Bench, Rig, Testimony, most};
use crate::cases::Cases;
use crate::report::{LimitUse, Report, Row};
use crate::upstream::{Fault, Recorded};
use subject::Subject;

/// A suite at work.
#[derive(Debug)]
pub struct Suite<'a> {
    bench: &'a Bench,
    cases: Cases,
    /// The folder of `conformance.toml`, where samples lie.
    folder: PathBuf,
    report: Report,
    description: Description,
}

/// Runs all checks for the interfaces that a plugin exports.
///
/// # Errors
/// The bench itself fails: what the plugin does wrong is in the report.
pub async fn run(bench: &Bench, cases: Cases, folder: PathBuf) -> anyhow::Result<Report> {
    let description = Description { models: Vec::new(), discovers: false, open_ended: false };
    let report = Report::new(bench.manifest());
    let mut suite = Suite { bench, cases, folder, report, description };
    suite.catalog().await?;
    suite.fill_in();
    for interface in
        ["chat", "speech", "transcription", "embedding", "moderation", "media", "training", "webhook"]
    {
        if bench.exports(interface) {
            suite.interface(interface).await?;
        }
    }
    suite.limits();
    Ok(suite.report)
}

/// What was heard of each interface, or how a call failed: a failure is nothing to record.
pub type Heard = Vec<(&'static str, Result<Recorded, String>)>;

/// Calls each interface once for each of its cases, so that an upstream that records hears the good answers.
///
/// # Errors
/// The bench itself fails.
pub async fn record(bench: &Bench, cases: Cases, folder: PathBuf) -> anyhow::Result<Heard> {
    let description = bench.sandbox.describe(&bench.plugin).await?;
    let report = Report::new(bench.manifest());
    let mut suite = Suite { bench, cases, folder, report, description };
    suite.fill_in();
    let mut heard = Heard::new();
    for (interface, subjects) in suite.subjects()? {
        let mut recorded = Ok(Recorded::default());
        for subject in subjects {
            let rig = bench.rig(Fault::None).await?;
            let called = match &subject {
                Subject::Media(_) | Subject::Training(_) => jobs::record(bench, &rig, &subject).await,
                _ => subject.call(&rig).await.map(drop),
            };
            recorded = match (recorded, called) {
                (Ok(Recorded(mut exchanges)), Ok(())) => {
                    exchanges.extend(rig.upstream.recorded().0);
                    Ok(Recorded(exchanges))
                }
                (Ok(_), Err(error)) => Err(told(&error)),
                (Err(why), _) => Err(why),
            };
        }
        heard.push((interface, recorded));
    }
    Ok(heard)
}

impl Suite<'_> {
    async fn interface(&mut self, interface: &'static str) -> anyhow::Result<()> {
        self.bench.witness.take();
        let mut total = Testimony::default();
        match interface {
            "chat" => self.chat(&mut total).await?,
            "speech" => self.speech(&mut total).await?,
            "transcription" => self.transcription(&mut total).await?,
            "embedding" => self.embedding(&mut total).await?,
            "moderation" => self.moderation(&mut total).await?,
            "webhook" => self.webhook(&mut total).await?,
            _ => self.jobs(interface, &mut total).await?,
        }
        let usage = LimitUse::new(interface, total.calls, total.cpu, total.used, &self.bench.profile);
        self.report.limits.push(usage);
        self.discretion(interface, &total.lines);
        Ok(())
    }

    /// Notes a check.
    fn row(&mut self, about: &str, check: &str, expected: &str, passed: bool, found: impl Into<String>) {
        self.report.rows.push(Row {
            about: about.to_owned(),
            check: check.to_owned(),
            passed,
            expected: expected.to_owned(),
            found: found.into(),
        });
    }

    /// Notes a check whose outcome is what was found, good or not.
    fn verdict(&mut self, about: &str, check: &str, expected: &str, outcome: Result<String, String>) {
        let passed = outcome.is_ok();
        let (Ok(found) | Err(found)) = outcome;
        self.row(about, check, expected, passed, found);
    }

    /// Ends a check's rig: what its calls used and logged is added, and secrets are looked for.
    fn end(&mut self, rig: &Rig, total: &mut Testimony) -> Vec<String> {
        let seen = self.bench.witness.take();
        total.calls += seen.calls;
        total.cpu = total.cpu.max(seen.cpu);
        total.used = most(total.used, seen.used);
        total.lines.extend(seen.lines);
        rig.upstream.seen(|seen| seen.unknown.clone())
    }

    /// Log lines are for operators: no secret, and nothing that a caller wrote.
    fn discretion(&mut self, interface: &str, lines: &[String]) {
        let placeholders = self.bench.placeholders();
        let spoken = self.spoken();
        let told = lines.iter().find(|line| {
            placeholders.keys().any(|secret| line.contains(secret.as_str()))
                || spoken.iter().any(|text| line.contains(text.as_str()))
        });
        let found = told.map_or_else(
            || format!("{} lines without them", lines.len()),
            |line| format!("the line {line:?}"),
        );
        self.row(
            interface,
            "its log lines tell no secrets and no callers' words",
            "neither secrets nor prompts in what it logs",
            told.is_none(),
            found,
        );
    }

    /// What callers say in the cases; short words would be found anywhere.
    fn spoken(&self) -> Vec<String> {
        let cases = &self.cases;
        let chat = cases.chat.iter().map(|case| &case.text);
        let speech = cases.speech.iter().map(|case| &case.text);
        let media = cases.media.iter().map(|case| &case.prompt);
        let inputs = cases.embedding.iter().flat_map(|case| &case.inputs);
        let judged = cases.moderation.iter().flat_map(|case| &case.inputs);
        chat.chain(speech)
            .chain(media)
            .chain(inputs)
            .chain(judged)
            .filter(|text| text.len() >= 8)
            .cloned()
            .collect()
    }

    /// Completes the cases: one for each exported interface, a model for each case.
    fn fill_in(&mut self) {
        let models = &self.description.models;
        let first = |task: fn(Task) -> bool| {
            let found = models.iter().find(|model| model.tasks.iter().any(|known| task(*known)));
            found.map(|model| model.id.clone()).unwrap_or_default()
        };
        macro_rules! fill {
            ($($field:ident: $interface:literal, $task:expr;)*) => {$(
                if self.cases.$field.is_empty() && self.bench.exports($interface) {
                    self.cases.$field.push(Default::default());
                }
                for case in self.cases.$field.iter_mut().filter(|case| case.model.is_empty()) {
                    case.model = first($task);
                }
            )*};
        }
        fill! {
            chat: "chat", |task| task == Task::Chat;
            speech: "speech", |task| task == Task::Speech;
            transcription: "transcription", |task| task == Task::Transcription;
            embedding: "embedding", |task| task == Task::Embedding;
            moderation: "moderation", |task| task == Task::Moderation;
            media: "media", Task::is_media;
            training: "training", |task| task == Task::Training;
        }
        for case in self.cases.media.iter_mut().filter(|case| case.task.is_empty()) {
            let model = models.iter().find(|model| model.id == case.model);
            let task = model.and_then(|model| model.tasks.iter().find(|task| task.is_media()));
            case.task = task.map(|task| task.as_str().to_owned()).unwrap_or_default();
        }
    }

    /// All that can be asked of the plugin, by interface.
    fn subjects(&self) -> anyhow::Result<Vec<(&'static str, Vec<Subject>)>> {
        let cases = &self.cases;
        let mut catalog = vec![Subject::Check];
        if self.description.discovers {
            catalog.push(Subject::Discover);
        }
        catalog.extend(cases.known_model.iter().cloned().map(Subject::Model));
        if let Some(case) = cases.speech.first() {
            catalog.push(Subject::Voices(case.model.clone()));
        }
        let mut all = vec![("catalog", catalog)];
        let chat = cases.chat.iter().flat_map(|case| {
            let streamed = case.streams.then(|| Subject::Chat(case.clone(), true));
            streamed.into_iter().chain([Subject::Chat(case.clone(), false)])
        });
        all.push(("chat", chat.collect()));
        all.push(("speech", cases.speech.iter().cloned().map(Subject::Speech).collect()));
        let transcriptions = cases.transcription.iter();
        let transcriptions =
            transcriptions.map(|case| Ok(Subject::Transcription(Box::new(case.request(&self.folder)?))));
        all.push(("transcription", transcriptions.collect::<anyhow::Result<_>>()?));
        all.push(("embedding", cases.embedding.iter().cloned().map(Subject::Embedding).collect()));
        all.push(("moderation", cases.moderation.iter().cloned().map(Subject::Moderation).collect()));
        all.push(("media", cases.media.iter().cloned().map(Subject::Media).collect()));
        all.push(("training", cases.training.iter().cloned().map(Subject::Training).collect()));
        all.retain(|(interface, subjects)| self.bench.exports(interface) && !subjects.is_empty());
        Ok(all)
    }

    /// How near the calls came to their limits: a plugin that needs nearly all of one will meet it.
    fn limits(&mut self) {
        const PERCENT_MAX: u64 = 80;
        let near: Vec<_> = self
            .report
            .limits
            .iter()
            .filter_map(|usage| {
                let (row, percent) = usage.tightest()?;
                (percent > PERCENT_MAX)
                    .then(|| format!("{}: {percent} % of its {}", usage.interface, row.what))
            })
            .collect();
        let found = if near.is_empty() { "all calls stayed below".to_owned() } else { near.join("; ") };
        let expected = format!("no call used more than {PERCENT_MAX} % of what it is granted");
        self.row("limits", "no call comes near what an operator grants", &expected, near.is_empty(), found);
    }
}

/// An error in a few words.
fn told(error: &ProviderError) -> String {
    match error {
        ProviderError::Reported { failure, .. } => {
            let wait = failure.retry_after.map(|wait| format!(", wait {} ms", wait.as_millis()));
            format!("{}{}: {}", failure.code, wait.unwrap_or_default(), failure.message)
        }
        error => error.to_string(),
    }
}
