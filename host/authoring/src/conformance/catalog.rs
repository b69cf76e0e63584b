//! `catalog`: what a plugin says of itself, and what it finds out.

use std::collections::BTreeSet;

use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::model::{ModelInfo, Task};
use atelier_domain::provider::Provider as _;

use super::subject::Subject;
use super::{Suite, told};
use crate::bench::Testimony;
use crate::report::LimitUse;
use crate::upstream::Fault;

const ABOUT: &str = "catalog";
/// More pages than this is a listing that never ends.
const PAGES_MAX: usize = 100;

impl Suite<'_> {
    pub(super) async fn catalog(&mut self) -> anyhow::Result<()> {
        let mut total = Testimony::default();
        self.described().await;
        self.discovered(&mut total).await?;
        self.checked(&mut total).await?;
        self.looked_up(&mut total).await?;
        let usage = LimitUse::new(ABOUT, total.calls, total.cpu, total.used, &self.bench.profile);
        self.report.limits.push(usage);
        self.discretion(ABOUT, &total.lines);
        Ok(())
    }

    async fn described(&mut self) {
        let sandbox = &self.bench.sandbox;
        let first = sandbox.describe(&self.bench.plugin).await;
        let second = sandbox.describe(&self.bench.plugin).await;
        let check = "it describes itself without egress, settings and secrets";
        let expected = "a description";
        let description = match first {
            Ok(description) => description,
            Err(error) => return self.row(ABOUT, check, expected, false, told(&error)),
        };
        self.row(ABOUT, check, expected, true, format!("{} models", description.models.len()));
        let same = second.is_ok_and(|second| second == description);
        let found = if same { "equal" } else { "two that differ" };
        self.row(ABOUT, "it describes itself the same each time", "two equal descriptions", same, found);
        self.models("the models it describes", &description.models);
        self.tasks(&description.models, description.discovers || description.open_ended);
        self.description = description;
    }

    /// Ids, names and schemas.
    fn models(&mut self, which: &str, models: &[ModelInfo]) {
        let ids: BTreeSet<_> = models.iter().map(|model| model.id.as_str()).collect();
        let nameless = models.iter().find(|model| model.id.is_empty() || model.name.is_empty());
        let outcome = match nameless {
            Some(model) => Err(format!("{:?} named {:?}", model.id, model.name)),
            None if ids.len() < models.len() => {
                let mut seen = BTreeSet::new();
                let twice = models.iter().find(|model| !seen.insert(model.id.as_str()));
                Err(format!("{} twice", twice.map(|model| model.id.as_str()).unwrap_or_default()))
            }
            None => Ok(format!("{} of them", models.len())),
        };
        self.verdict(ABOUT, &format!("{which} have ids of their own, and names"), "unique ids", outcome);
        let broken = models.iter().find_map(|model| {
            let schema = model.options_schema.as_ref()?;
            let wrong = match jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(schema) {
                Err(error) => error.to_string(),
                Ok(_) if schema.get("type").and_then(|kind| kind.as_str()) != Some("object") => {
                    "its type is not \"object\"".to_owned()
                }
                Ok(_) => return None,
            };
            Some(format!("{}: {wrong}", model.id))
        });
        let schemas = models.iter().filter(|model| model.options_schema.is_some()).count();
        let outcome = broken.map_or(Ok(format!("{schemas} schemas")), Err);
        self.verdict(
            ABOUT,
            &format!("the option schemas of {which} are schemas"),
            "JSON Schema of objects",
            outcome,
        );
    }

    /// A task needs the interface that does it.
    fn tasks(&mut self, models: &[ModelInfo], may_find_more: bool) {
        let orphan = models.iter().find_map(|model| {
            let task = model.tasks.iter().find(|task| !self.bench.exports(interface_of(**task)))?;
            Some(format!("{} says it can do {task}, but {} is not exported", model.id, interface_of(*task)))
        });
        let idle = self.bench.package.capabilities.iter().find(|name| {
            !matches!(name.as_str(), "catalog" | "webhook" | "training")
                && !may_find_more
                && !models.iter().any(|model| model.tasks.iter().any(|task| interface_of(*task) == *name))
        });
        let outcome = match (orphan, idle) {
            (Some(orphan), _) => Err(orphan),
            (None, Some(idle)) => Err(format!("{idle} is exported, but no model does it")),
            (None, None) => Ok("they fit".to_owned()),
        };
        self.verdict(
            ABOUT,
            "tasks and exported interfaces fit together",
            "an interface for each task",
            outcome,
        );
    }

    async fn discovered(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        if !self.description.discovers {
            return Ok(());
        }
        let rig = self.bench.rig(Fault::None).await?;
        let (mut models, mut cursor, mut pages) = (Vec::new(), None, 0);
        let outcome = loop {
            match rig.provider.discover(rig.context(), cursor).await {
                Err(error) => break Err(told(&error)),
                Ok(page) => {
                    models.extend(page.items);
                    pages += 1;
                    cursor = page.next;
                }
            }
            if cursor.is_none() {
                break Ok(format!("{} models on {pages} pages", models.len()));
            }
            if pages == PAGES_MAX {
                break Err(format!("no end after {pages} pages"));
            }
        };
        let outcome = match self.end(&rig, total).first() {
            Some(unknown) => Err(format!("no recorded exchange for {unknown}")),
            None => outcome,
        };
        self.verdict(ABOUT, "it lists the provider's models to the end", "pages, then an end", outcome);
        self.models("the models it finds", &models);
        self.tasks(&models, true);
        // The provider's own list counts for what follows, as it does for the host; what was described stays known.
        let described = std::mem::take(&mut self.description.models);
        let found: BTreeSet<_> = models.iter().map(|model| model.id.clone()).collect();
        models.extend(described.into_iter().filter(|model| !found.contains(&model.id)));
        self.description.models = models;
        self.refusals(ABOUT, "discover", &Subject::Discover, total).await
    }

    async fn checked(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        let rig = self.bench.rig(Fault::None).await?;
        let called = rig.provider.check(rig.context()).await;
        let charges = rig.charges.count();
        let outcome = match (self.end(&rig, total).first(), called) {
            (Some(unknown), _) => Err(format!("no recorded exchange for {unknown}")),
            (None, Err(error)) => Err(told(&error)),
            (None, Ok(())) if charges > 0 => Err(format!("{charges} charging requests")),
            (None, Ok(())) => Ok("good".to_owned()),
        };
        self.verdict(ABOUT, "it can check a key at no cost", "good, and nothing charged", outcome);
        self.refusals(ABOUT, "check", &Subject::Check, total).await
    }

    async fn looked_up(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        if let Some(id) = self.cases.known_model.clone() {
            let rig = self.bench.rig(Fault::None).await?;
            let called = rig.provider.model(rig.context(), &id).await;
            let outcome = match (self.end(&rig, total).first(), called) {
                (Some(unknown), _) => Err(format!("no recorded exchange for {unknown}")),
                (None, Ok(model)) if model.id == id => Ok(model.name),
                (None, Ok(model)) => Err(format!("the model {}", model.id)),
                (None, Err(error)) => Err(told(&error)),
            };
            self.verdict(ABOUT, "it looks up a model by its id", &format!("the model {id}"), outcome);
        }
        let rig = self.bench.rig(Fault::Status(404)).await?;
        let called = rig.provider.model(rig.context(), "there-is-no-such-model").await;
        self.end(&rig, total);
        let outcome = match called {
            Err(ProviderError::Reported { failure, .. })
                if matches!(
                    failure.code,
                    // An id that is none of the provider's is a mistake of the caller's.
                    FailureCode::NotFound | FailureCode::InvalidRequest | FailureCode::Unsupported
                ) =>
            {
                Ok(failure.code.to_string())
            }
            Err(error) => Err(told(&error)),
            Ok(model) => Err(format!("the model {}", model.id)),
        };
        self.verdict(
            ABOUT,
            "a model that does not exist is not found",
            "not-found, invalid-request or unsupported",
            outcome,
        );
        if self.bench.exports("speech") {
            self.voices(total).await?;
        }
        Ok(())
    }

    async fn voices(&mut self, total: &mut Testimony) -> anyhow::Result<()> {
        let model = self.cases.speech.first().map(|case| case.model.clone()).unwrap_or_default();
        let model = match self.description.models.iter().find(|model| model.tasks.contains(&Task::Speech)) {
            Some(speaks) if model.is_empty() => speaks.id.clone(),
            _ => model,
        };
        let rig = self.bench.rig(Fault::None).await?;
        let called = rig.provider.voices(rig.context(), &model, None).await;
        let outcome = match (self.end(&rig, total).first(), called) {
            (Some(unknown), _) => Err(format!("no recorded exchange for {unknown}")),
            (None, Ok(page)) if page.items.iter().any(|voice| voice.id.is_empty()) => {
                Err("one without an id".to_owned())
            }
            (None, Ok(page)) => Ok(format!("{} voices", page.items.len())),
            (None, Err(ProviderError::Reported { failure, .. }))
                if failure.code == FailureCode::Unsupported =>
            {
                Ok("unsupported".to_owned())
            }
            (None, Err(error)) => Err(told(&error)),
        };
        self.verdict(
            ABOUT,
            "it lists a speech model's voices, or says that it cannot",
            "voices or unsupported",
            outcome,
        );
        Ok(())
    }
}

/// The interface that does a task.
fn interface_of(task: Task) -> &'static str {
    match task {
        Task::Chat => "chat",
        Task::Speech => "speech",
        Task::Transcription | Task::Translation => "transcription",
        Task::Embedding => "embedding",
        Task::Moderation => "moderation",
        Task::Training => "training",
        Task::ImageGeneration
        | Task::ImageEdit
        | Task::ImageVariation
        | Task::ImageUpscale
        | Task::VideoGeneration
        | Task::VideoRemix
        | Task::SoundEffect
        | Task::Music
        | Task::Stems => "media",
    }
}
