//! Every prompt judged by a moderation model before it is sent, where the operator wants it (G-8).

mod pieces;
mod prompt;
mod screened;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::generation::MediaSource;
use atelier_domain::generation::empty_object;
use atelier_domain::generation::moderation::{
    ModerationInput, ModerationRequest, ModerationResponse, Verdict,
};
use atelier_domain::id::CallId;
use atelier_domain::model::Task;
use atelier_domain::provider::CallContext;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use moka::sync::Cache;

use crate::meter::{Meter, ScreeningOutcome};
use crate::registry::{Registry, Resolved, Target, Viewer};
use pieces::pieces;
use prompt::Prompt;
pub(crate) use screened::Screened;

/// Bytes of text that are judged of one prompt.
const TEXT_BYTES_MAX: usize = 4 << 20;
/// Pictures that are judged of one prompt.
const IMAGES_MAX: usize = 64;
/// Texts in one question to the moderation model.
const TEXTS_AT_ONCE: usize = 32;
/// Questions about one prompt at once.
const QUESTIONS_AT_ONCE: usize = 4;
/// Verdicts that are remembered: a conversation's earlier turns come again with each of its later ones.
const REMEMBERED_MAX: u64 = 50_000;
const REMEMBERED_FOR: Duration = Duration::from_secs(3600);
/// Categories that a refusal names, and characters of one.
const NAMED_MAX: usize = 8;
const NAME_CHARACTERS_MAX: usize = 64;
/// What a model that names no category has found.
const UNNAMED: &str = "what is not allowed";

/// What becomes of a prompt that cannot be judged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// It is not sent.
    #[default]
    Refuse,
    /// It is sent all the same.
    Send,
}

/// How prompts are screened.
#[derive(Clone, Debug)]
pub struct ScreeningSettings {
    /// The model that judges, or an alias whose later targets step in.
    pub model: String,
    /// Instances that are sent prompts unjudged.
    pub except: BTreeSet<String>,
    /// Categories that are no reason to refuse.
    pub ignore: BTreeSet<String>,
    /// From which score on a category is a reason, 0 to 1, also where the model does not flag it.
    pub scores: BTreeMap<String, f64>,
    pub on_failure: OnFailure,
    /// For judging one prompt.
    pub timeout: Duration,
}

/// What is the same text or picture when it comes again.
type Same = [u8; 32];
/// Categories that were found; none in what may be sent.
type Found = Arc<[String]>;

/// What is to be asked of the moderation model, and where in the request it stands.
struct Question {
    inputs: Vec<ModerationInput>,
    /// One for each verdict; nothing is remembered of a picture at an address.
    about: Vec<(String, Option<Same>)>,
}

/// Judges prompts.
pub struct Screening {
    settings: ScreeningSettings,
    remembered: Cache<Same, Found>,
    meter: Arc<dyn Meter>,
}

impl fmt::Debug for Screening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Screening").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Screening {
    /// By the operator's settings.
    pub fn new(settings: ScreeningSettings, meter: Arc<dyn Meter>) -> Self {
        let remembered = Cache::builder().max_capacity(REMEMBERED_MAX).time_to_live(REMEMBERED_FOR).build();
        Self { settings, remembered, meter }
    }

    /// Whether an instance is sent nothing before it was judged.
    pub(crate) fn covers(&self, instance: &str) -> bool {
        !self.settings.except.contains(instance)
    }

    /// Lets a prompt for an instance go, or not.
    ///
    /// # Errors
    /// Something was found in it, it is too long to be judged, or it cannot be judged now.
    async fn judge(
        &self,
        registry: &Registry,
        instance: &str,
        context: &CallContext,
        prompt: Prompt<'_>,
    ) -> Result<(), ProviderError> {
        let wait_max = self.settings.timeout.min(context.budget);
        let judging = self.found_in(registry, instance, context, &prompt);
        let outcome = match tokio::time::timeout(wait_max, judging).await {
            Ok(outcome) => outcome,
            Err(_) => Err(self.silent(format!("it did not answer in {} ms", wait_max.as_millis()), None)),
        };
        let request_id = &*context.request_id;
        let (told, outcome) = match outcome {
            Ok(()) => (ScreeningOutcome::Sent, Ok(())),
            Err(ProviderError::PromptRefused { param, found }) => {
                tracing::info!(
                    request_id,
                    instance,
                    param,
                    found = found.join(", "),
                    "a prompt was not sent"
                );
                (ScreeningOutcome::Refused, Err(ProviderError::PromptRefused { param, found }))
            }
            Err(error @ ProviderError::Reported { .. }) => (ScreeningOutcome::Refused, Err(error)),
            Err(error) if self.settings.on_failure == OnFailure::Send => {
                tracing::warn!(request_id, instance, %error, "a prompt was sent that could not be judged");
                (ScreeningOutcome::SentUnjudged, Ok(()))
            }
            Err(error) => {
                tracing::warn!(request_id, instance, %error, "a prompt could not be judged and was not sent");
                (ScreeningOutcome::RefusedUnjudged, Err(error))
            }
        };
        self.meter.prompt_screened(instance, told);
        outcome
    }

    async fn found_in(
        &self,
        registry: &Registry,
        instance: &str,
        context: &CallContext,
        prompt: &Prompt<'_>,
    ) -> Result<(), ProviderError> {
        self.check_length(instance, prompt)?;
        let texts = self.questions_of_texts(prompt)?;
        if texts.is_empty() && prompt.images.is_empty() {
            return Ok(());
        }
        let judges = registry.resolve(&self.settings.model, Task::Moderation, Viewer::operator()).await;
        let judges = judges.map_err(|error| self.silent(error.to_string(), None))?;
        let images = if sees(&judges) { self.questions_of_images(prompt)? } else { Vec::new() };
        let questions = texts.into_iter().chain(images);
        let questions = questions.map(|question| self.ask(&judges, context, question));
        stream::iter(questions).buffer_unordered(QUESTIONS_AT_ONCE).try_collect::<()>().await
    }

    fn check_length(&self, instance: &str, prompt: &Prompt<'_>) -> Result<(), ProviderError> {
        let bytes: usize = prompt.texts.iter().map(|text| text.value.len()).sum();
        let message = if bytes > TEXT_BYTES_MAX {
            format!(
                "the prompt has {bytes} bytes of text, and {TEXT_BYTES_MAX} at most are judged before they are sent"
            )
        } else if prompt.images.len() > IMAGES_MAX {
            let count = prompt.images.len();
            format!(
                "the prompt has {count} pictures, and {IMAGES_MAX} at most are judged before they are sent"
            )
        } else {
            return Ok(());
        };
        let failure = Box::new(Failure::new(FailureCode::TooLarge, message));
        Err(ProviderError::Reported { instance: instance.to_owned(), failure })
    }

    /// What is not known of the texts.
    fn questions_of_texts(&self, prompt: &Prompt<'_>) -> Result<Vec<Question>, ProviderError> {
        let (mut questions, mut asked) = (Vec::<Question>::new(), HashSet::new());
        for text in &prompt.texts {
            for piece in pieces(&text.value) {
                let same = *blake3::hash(piece.as_bytes()).as_bytes();
                if self.is_known(&same, &text.param)? || !asked.insert(same) {
                    continue;
                }
                let (input, about) =
                    (ModerationInput::Text(piece.to_owned()), (text.param.clone(), Some(same)));
                match questions.last_mut().filter(|question| question.inputs.len() < TEXTS_AT_ONCE) {
                    Some(question) => {
                        question.inputs.push(input);
                        question.about.push(about);
                    }
                    None => questions.push(Question { inputs: vec![input], about: vec![about] }),
                }
            }
        }
        Ok(questions)
    }

    /// What is not known of the pictures, each on its own: a model gives one verdict of all that stands beside a picture.
    fn questions_of_images(&self, prompt: &Prompt<'_>) -> Result<Vec<Question>, ProviderError> {
        let mut questions = Vec::new();
        for image in &prompt.images {
            let same = match &image.value.source {
                // Not the hash of a text.
                MediaSource::Blob(blob) => {
                    Some(blake3::derive_key("atelier 2026-11 judged picture v1", &blob.id.0))
                }
                MediaSource::Url(_) => None,
            };
            let is_known = match &same {
                Some(same) => self.is_known(same, &image.param)?,
                None => false,
            };
            if !is_known {
                let inputs = vec![ModerationInput::Image(image.value.clone())];
                questions.push(Question { inputs, about: vec![(image.param.clone(), same)] });
            }
        }
        Ok(questions)
    }

    /// Whether it is remembered as good.
    fn is_known(&self, same: &Same, param: &str) -> Result<bool, ProviderError> {
        match self.remembered.get(same) {
            Some(found) => refused_for(&found, param).map(|()| true),
            None => Ok(false),
        }
    }

    /// Asks the model, and those that may step in for it.
    async fn ask(
        &self,
        judges: &Resolved,
        context: &CallContext,
        question: Question,
    ) -> Result<(), ProviderError> {
        let first = Target { provider: judges.provider.clone(), model: judges.model.clone() };
        let mut failed = None;
        for Target { provider, model } in std::iter::once(&first).chain(&judges.fallbacks) {
            let request = ModerationRequest {
                model: model.info.id.clone(),
                inputs: question.inputs.clone(),
                options: empty_object(),
            };
            match provider.moderate(self.context(context), request).await {
                Ok(response) if response.verdicts.len() == question.about.len() => {
                    return self.remember(&question, &response);
                }
                Ok(response) => {
                    let (verdicts, inputs) = (response.verdicts.len(), question.about.len());
                    failed =
                        Some(self.silent(format!("it gave {verdicts} verdicts of {inputs} inputs"), None));
                }
                Err(error) => failed = Some(self.silent(error.to_string(), error.retry_after())),
            }
        }
        Err(failed.unwrap_or_else(|| self.silent("there is nobody to ask".to_owned(), None)))
    }

    /// The operator's own call, about a caller's.
    fn context(&self, context: &CallContext) -> CallContext {
        CallContext {
            request_id: context.request_id.clone(),
            scope: context.scope.clone(),
            depth: context.depth,
            hidden: context.hidden.clone(),
            trace: context.trace.clone(),
            idempotency_key: CallId::new().simple(),
            ..CallContext::of_host("screening", self.settings.timeout.min(context.budget))
        }
    }

    fn remember(&self, question: &Question, response: &ModerationResponse) -> Result<(), ProviderError> {
        let mut outcome = Ok(());
        for ((param, same), verdict) in question.about.iter().zip(&response.verdicts) {
            let found: Found = self.reasons(verdict).into();
            if let Some(same) = same {
                self.remembered.insert(*same, found.clone());
            }
            outcome = outcome.and_then(|()| refused_for(&found, param));
        }
        outcome
    }

    /// Why what a verdict is about is not sent, by name.
    fn reasons(&self, verdict: &Verdict) -> Vec<String> {
        let Self { settings, .. } = self;
        let is_reason = |name: &str, flagged: bool, score: f64| {
            let reaches = settings.scores.get(name).is_some_and(|from| score >= *from);
            !settings.ignore.contains(name) && (flagged || reaches)
        };
        let named = verdict.categories.iter();
        let mut reasons: Vec<String> = named
            .filter(|category| is_reason(&category.name, category.flagged, category.score))
            .take(NAMED_MAX)
            .map(|category| {
                category.name.chars().filter(|c| !c.is_control()).take(NAME_CHARACTERS_MAX).collect()
            })
            .collect();
        if verdict.flagged
            && verdict.categories.iter().all(|category| !category.flagged)
            && reasons.is_empty()
        {
            reasons.push(UNNAMED.to_owned());
        }
        reasons
    }

    fn silent(&self, reason: String, retry_after: Option<Duration>) -> ProviderError {
        ProviderError::PromptUnjudged { model: self.settings.model.clone(), reason, retry_after }
    }
}

fn refused_for(found: &Found, param: &str) -> Result<(), ProviderError> {
    if found.is_empty() {
        return Ok(());
    }
    Err(ProviderError::PromptRefused { param: Some(param.to_owned()), found: found.to_vec() })
}

/// Whether all that may be asked judge pictures.
fn sees(judges: &Resolved) -> bool {
    let others = judges.fallbacks.iter().map(|target| &target.model);
    std::iter::once(&judges.model)
        .chain(others)
        .all(|model| model.info.input_modalities.iter().any(|kind| kind == "image"))
}
