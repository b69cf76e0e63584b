//! Filling templates in.

use std::sync::Arc;

use atelier_domain::generation::chat::{ChatRequest, ChatRole, Message, Part};
use atelier_domain::generation::media::{MediaInput, MediaRequest};
use atelier_domain::generation::{Json, Media};
use atelier_domain::hidden::{Hidden, HiddenTexts};
use atelier_domain::id::TemplateId;
use atelier_domain::job::StoredTemplate;
use atelier_domain::model::Task;
use atelier_domain::template::{FileKind, Settings, Template, Value, VariableKind};
use atelier_domain::text::{InvalidPrompt, check_chat_text};
use serde_json::value::RawValue;

use super::{Prompts, Templates, UNKNOWN};
use crate::ServiceError;
use crate::caller::Caller;

/// The most bytes of what a caller fills in.
const GIVEN_BYTES_MAX: usize = 256 * 1024;

/// What a caller fills in.
#[derive(Clone, Debug, Default)]
pub struct Given {
    pub variables: serde_json::Map<String, serde_json::Value>,
    /// Their own words beside.
    pub text: Option<String>,
}

/// A file of the caller's among the variables, to be opened by whoever knows files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilledFile {
    pub variable: String,
    /// As the caller wrote it.
    pub id: String,
    pub kind: FileKind,
    /// Absent in a chat.
    pub role: Option<String>,
}

/// A template filled in, ready to be asked of its model.
#[derive(Clone, Debug)]
pub struct Filled {
    pub task: Task,
    pub model: String,
    pub files: Vec<FilledFile>,
    settings: Settings,
    stored: StoredTemplate,
    /// The caller's own words, where the prompt has no place for them.
    text: Option<String>,
}

impl Templates {
    /// Fills a template in.
    ///
    /// # Errors
    /// There is none such for the caller; a variable is missing, unknown or out of its bounds; or the prompt does not work out
    /// ([`ServiceError::Template`]).
    pub async fn fill(&self, caller: &Caller, id: TemplateId, given: Given) -> Result<Filled, ServiceError> {
        let template = self.get(caller, id).await?;
        if template.archived.is_some() {
            return Err(UNKNOWN);
        }
        let prompts = self.prompts(&template)?;
        // A prompt may loop for a while before its fuel is used up.
        let filling = tokio::task::spawn_blocking(move || filled(&template, &prompts, given));
        filling
            .await
            .map_err(|error| ServiceError::Internal(format!("filling a template in stopped: {error}")))?
    }
}

fn filled(template: &Template, prompts: &Prompts, given: Given) -> Result<Filled, ServiceError> {
    let variables = shown(&given)?;
    let text = checked_text(template, given.text)?;
    if let Some(unknown) = given.variables.keys().find(|name| template.variable(name).is_none()) {
        let name: String = unknown.chars().take(64).collect();
        return Err(invalid(format!("variables.{name}"), "the template has no such variable"));
    }
    let (mut values, mut files) = (Vec::with_capacity(template.variables.len()), Vec::new());
    for variable in &template.variables {
        let sent = given.variables.get(&variable.name);
        let value = variable
            .filled(sent)
            .map_err(|why| invalid(format!("variables.{}", variable.name), why.to_string()))?;
        if let (VariableKind::File { kind, role }, Value::File(true)) = (&variable.kind, &value) {
            let id = sent.and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
            files.push(FilledFile { variable: variable.name.clone(), id, kind: *kind, role: role.clone() });
        }
        values.push((variable.name.as_str(), value));
    }
    let words = text.as_deref().unwrap_or_default();
    let mut prompt = prompts.prompt.render(&values, words).map_err(ServiceError::Template)?;
    let negative = prompts.negative.as_ref().map(|negative| negative.render(&values, words)).transpose();
    let negative = negative.map_err(ServiceError::Template)?;
    let mut own_words = text.filter(|text| !text.is_empty() && !prompts.prompt.names_text());
    if template.task != Task::Chat
        && let Some(words) = own_words.take()
    {
        prompt = format!("{prompt}\n\n{words}");
    }
    for (param, text) in [("prompt", Some(&prompt)), ("negative_prompt", negative.as_ref())] {
        let checked = text.map_or(Ok(()), |text| check_chat_text(text));
        checked.map_err(|why| ServiceError::Prompt { param: param.to_owned(), why })?;
    }
    if prompt.trim().is_empty() {
        return Err(ServiceError::Prompt { param: "prompt".to_owned(), why: InvalidPrompt::Empty });
    }
    let stored = StoredTemplate {
        id: template.id,
        version: template.version,
        variables,
        prompt: Hidden::new(prompt),
        negative_prompt: negative.filter(|negative| !negative.trim().is_empty()).map(Hidden::new),
        options: template.options.clone(),
    };
    let (task, model, settings) = (template.task, template.model.clone(), template.settings.clone());
    Ok(Filled { task, model, files, settings, stored, text: own_words })
}

/// What the caller sent, as they are shown it again.
fn shown(given: &Given) -> Result<String, ServiceError> {
    let mut all = given.variables.clone();
    if let Some(text) = &given.text {
        all.insert(Template::TEXT.to_owned(), text.as_str().into());
    }
    let text = serde_json::Value::Object(all).to_string();
    if text.len() > GIVEN_BYTES_MAX {
        return Err(invalid("variables", format!("may have {GIVEN_BYTES_MAX} bytes at most together")));
    }
    Ok(text)
}

fn checked_text(template: &Template, text: Option<String>) -> Result<Option<String>, ServiceError> {
    let Some(text) = text else { return Ok(None) };
    let max = template.text_characters_max;
    if max == 0 && !text.is_empty() {
        return Err(invalid("text", "this template takes no text"));
    }
    if text.chars().count() > max as usize {
        return Err(invalid("text", format!("may have {max} characters at most")));
    }
    check_chat_text(&text).map_err(|why| ServiceError::Prompt { param: "text".to_owned(), why })?;
    Ok(Some(text))
}

impl Filled {
    /// What nobody may be shown, also where a provider repeats it.
    pub(crate) fn hidden(&self) -> Arc<HiddenTexts> {
        Arc::new(self.stored.hidden())
    }

    /// As a request for media, with what is kept of the template beside its job.
    pub(crate) fn into_media(
        self,
        inputs: Vec<MediaInput>,
    ) -> Result<(Task, MediaRequest, StoredTemplate), ServiceError> {
        let options = options(&self.stored)?;
        let settings = self.settings;
        let request = MediaRequest {
            model: self.model,
            task: self.task.as_str().to_owned(),
            prompt: Some(self.stored.prompt.reveal().to_owned()),
            negative_prompt: self.stored.negative_prompt.as_ref().map(|hidden| hidden.reveal().to_owned()),
            inputs,
            count: settings.count.unwrap_or(1),
            size: settings.size,
            aspect_ratio: settings.aspect_ratio,
            duration_ms: settings.duration_ms,
            seed: settings.seed,
            quality: settings.quality,
            format: settings.format,
            background: settings.background,
            previews: 0,
            end_user: None,
            options,
        };
        Ok((self.task, request, self.stored))
    }

    /// As a conversation: the prompt is what the system says and the caller's own words are theirs, or the prompt alone is asked.
    /// Files stand before the words.
    pub(crate) fn into_chat(self, files: Vec<Part>, stream: bool) -> Result<ChatRequest, ServiceError> {
        let options = options(&self.stored)?;
        let message = |role, parts| Message { role, parts, name: None };
        let prompt = Part::Text(self.stored.prompt.reveal().to_owned());
        let mut parts = files;
        let messages = match self.text {
            Some(words) => {
                parts.push(Part::Text(words));
                vec![message(ChatRole::System, vec![prompt]), message(ChatRole::User, parts)]
            }
            None => {
                parts.push(prompt);
                vec![message(ChatRole::User, parts)]
            }
        };
        let mut request = ChatRequest::new(String::new(), messages);
        request.stream = stream;
        request.max_output_tokens = self.settings.max_output_tokens;
        request.temperature = self.settings.temperature;
        request.top_p = self.settings.top_p;
        request.seed = self.settings.seed;
        request.options = options;
        Ok(request)
    }
}

/// A file among the variables as a part of a message.
pub fn message_part(kind: FileKind, media: Media) -> Part {
    match kind {
        FileKind::Image => Part::Image(media),
        FileKind::Audio => Part::Audio(media),
        FileKind::Document => Part::File(media),
    }
}

fn options(stored: &StoredTemplate) -> Result<Json, ServiceError> {
    RawValue::from_string(stored.options.reveal().to_owned())
        .map_err(|_| ServiceError::Internal("a template's options are no JSON".to_owned()))
}

fn invalid(param: impl Into<String>, message: impl Into<String>) -> ServiceError {
    ServiceError::Invalid { param: param.into(), message: message.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_prompt_is_printed() {
        let stored = StoredTemplate {
            id: TemplateId::new(),
            version: 1,
            variables: "{}".to_owned(),
            prompt: Hidden::new("CANARY"),
            negative_prompt: Some(Hidden::new("CANARY")),
            options: Hidden::new("CANARY"),
        };
        let (model, task) = ("a/b".to_owned(), Task::Chat);
        let filled =
            Filled { task, model, files: Vec::new(), settings: Settings::default(), stored, text: None };
        assert!(!format!("{filled:?}").contains("CANARY"));
    }
}
