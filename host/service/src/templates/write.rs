//! Writing templates down.

use std::collections::BTreeSet;

use atelier_domain::hidden::Hidden;
use atelier_domain::id::TemplateId;
use atelier_domain::model::Task;
use atelier_domain::store::StoreError;
use atelier_domain::template::{Audience, InvalidTemplate, Settings, Template, TemplateFilter, Variable};
use serde_json::value::RawValue;

use super::language::Mistake;
use super::render::Prompt;
use super::{Prompts, TEMPLATES_MAX, Templates, UNKNOWN, VERSIONS_MAX, authorised};
use crate::ServiceError;
use crate::caller::Caller;

/// A template, or its next version, as an administrator writes it.
#[derive(Clone, Debug)]
pub struct NewTemplate {
    pub name: String,
    pub description: String,
    pub scene: Option<String>,
    pub tags: BTreeSet<String>,
    pub task: Task,
    pub model: String,
    pub variables: Vec<Variable>,
    pub text_characters_max: u32,
    /// Nobody can read these three back: in a later version, each that is absent stays as it was.
    pub prompt: Option<Hidden>,
    /// Empty: none.
    pub negative_prompt: Option<Hidden>,
    pub options: Option<Hidden>,
    pub settings: Settings,
    pub audience: Audience,
}

/// What a seed came to.
#[derive(Debug)]
pub struct Seeded {
    /// In the order in which they were sent, each as it is now.
    pub templates: Vec<Template>,
    pub created: usize,
    pub changed: usize,
}

impl Templates {
    /// Makes a template.
    ///
    /// # Errors
    /// The caller is no administrator, a member or the prompt is refused, or another template has the name.
    pub async fn create(&self, caller: &Caller, new: NewTemplate) -> Result<Template, ServiceError> {
        authorised(caller)?;
        let template = self.checked(caller, new, None).await?;
        self.put(vec![template.clone()]).await?;
        Ok(template)
    }

    /// Writes a template's next version. Jobs that were begun go on with theirs.
    ///
    /// # Errors
    /// As [`Templates::create`]; there is none such; or another version was written meanwhile.
    pub async fn change(
        &self,
        caller: &Caller,
        id: TemplateId,
        new: NewTemplate,
    ) -> Result<Template, ServiceError> {
        authorised(caller)?;
        let before = self.get(caller, id).await?;
        if before.archived.is_some() {
            return Err(UNKNOWN);
        }
        let template = self.checked(caller, new, Some(&before)).await?;
        self.put(vec![template.clone()]).await?;
        Ok(template)
    }

    /// Writes many templates, all of them or none: new ones, and next versions of those of the same name that differ.
    ///
    /// # Errors
    /// As [`Templates::create`], with the place of the template that is refused.
    pub async fn seed(&self, caller: &Caller, all: Vec<NewTemplate>) -> Result<Seeded, ServiceError> {
        authorised(caller)?;
        let mut names = BTreeSet::new();
        let (mut templates, mut versions) = (Vec::with_capacity(all.len()), Vec::new());
        for (i, new) in all.into_iter().enumerate() {
            let at = |error| placed(i, error);
            if !names.insert(new.name.clone()) {
                return Err(at(invalid("name", "another template of the same request has this name")));
            }
            Template::check_name(&new.name).map_err(|why| at(refused(why)))?;
            let (store, name) = (self.store.clone(), new.name.clone());
            let before = self.pool.run(move || store.template_named(&name)).await?;
            let template = self.checked(caller, new, before.as_ref()).await.map_err(at)?;
            match before {
                Some(before) if is_same(&before, &template) => templates.push(before),
                _ => {
                    versions.push(template.clone());
                    templates.push(template);
                }
            }
        }
        let created = versions.iter().filter(|template| template.version == 1).count();
        let changed = versions.len() - created;
        self.put(versions).await?;
        Ok(Seeded { templates, created, changed })
    }

    /// Archives a template: nobody uses it any more, and its name is free.
    ///
    /// # Errors
    /// The caller is no administrator, or there is none such.
    pub async fn archive(&self, caller: &Caller, id: TemplateId) -> Result<(), ServiceError> {
        authorised(caller)?;
        let (store, now) = (self.store.clone(), self.clock.now());
        if self.pool.run(move || store.archive_template(id, now)).await? { Ok(()) } else { Err(UNKNOWN) }
    }

    /// Archives all templates that a filter lets through; gives their number.
    ///
    /// # Errors
    /// The caller is no administrator.
    pub async fn clear(&self, caller: &Caller, filter: TemplateFilter) -> Result<usize, ServiceError> {
        authorised(caller)?;
        let (store, now) = (self.store.clone(), self.clock.now());
        self.pool
            .run(move || {
                let mut archived = 0;
                for template in store.templates(&filter, None, TEMPLATES_MAX, &|_| true)? {
                    archived += usize::from(store.archive_template(template.id, now)?);
                }
                Ok::<_, ServiceError>(archived)
            })
            .await
    }

    async fn put(&self, versions: Vec<Template>) -> Result<(), ServiceError> {
        let store = self.store.clone();
        let is_put = self.pool.run(move || store.put_templates(&versions, TEMPLATES_MAX)).await;
        match is_put {
            Ok(true) => Ok(()),
            Ok(false) => Err(ServiceError::TooMany { what: "templates", max: TEMPLATES_MAX }),
            Err(error) => Err(error),
        }
    }

    async fn checked(
        &self,
        caller: &Caller,
        new: NewTemplate,
        before: Option<&Template>,
    ) -> Result<Template, ServiceError> {
        let now = self.clock.now();
        let kept = |new: Option<Hidden>, before: Option<&Hidden>| new.or_else(|| before.cloned());
        let Some(prompt) = kept(new.prompt, before.map(|before| &before.prompt)) else {
            return Err(invalid("prompt", "a new template needs one"));
        };
        let negative = kept(new.negative_prompt, before.and_then(|before| before.negative_prompt.as_ref()));
        let options = kept(new.options, before.map(|before| &before.options));
        let version = before.map_or(1, |before| before.version.saturating_add(1));
        if version > VERSIONS_MAX {
            return Err(ServiceError::TooMany {
                what: "versions of this template",
                max: VERSIONS_MAX as usize,
            });
        }
        let template = Template {
            id: before.map_or_else(TemplateId::new, |before| before.id),
            version,
            name: new.name,
            description: new.description,
            scene: new.scene,
            tags: new.tags,
            task: new.task,
            model: new.model,
            variables: new.variables,
            text_characters_max: new.text_characters_max,
            prompt,
            negative_prompt: negative.filter(|negative| !negative.reveal().is_empty()),
            settings: new.settings,
            options: options.unwrap_or_else(|| Hidden::new("{}")),
            audience: new.audience,
            created: before.map_or(now, |before| before.created),
            updated: now,
            archived: None,
        };
        template.check().map_err(refused)?;
        compiled(&template)?;
        self.check_model(caller, &template).await?;
        Ok(template)
    }

    /// The model must be able to do the task and take the options, as far as its provider can be asked now.
    async fn check_model(&self, caller: &Caller, template: &Template) -> Result<(), ServiceError> {
        match self.registry.resolve(&template.model, template.task, caller).await {
            Ok(resolved) => {
                let options = RawValue::from_string(template.options.reveal().to_owned());
                let options = options.map_err(|_| invalid("options", "must be an object"))?;
                resolved.model.options().check(&options)
            }
            Err(ServiceError::CatalogueUnavailable { .. } | ServiceError::TimedOut { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Makes a template's prompts ready.
pub(super) fn compiled(template: &Template) -> Result<Prompts, ServiceError> {
    let names: Vec<&str> = template.variables.iter().map(|variable| variable.name.as_str()).collect();
    let compile = |param: &str, source: &Hidden| {
        Prompt::compile(source.reveal(), &names).map_err(|why| mistaken(param, &why))
    };
    Ok(Prompts {
        prompt: compile("prompt", &template.prompt)?,
        negative: template
            .negative_prompt
            .as_ref()
            .map(|source| compile("negative_prompt", source))
            .transpose()?,
    })
}

/// Whether a version says nothing new.
fn is_same(before: &Template, next: &Template) -> bool {
    let next = Template { version: before.version, updated: before.updated, ..next.clone() };
    *before == next
}

fn invalid(param: &str, message: &str) -> ServiceError {
    ServiceError::Invalid { param: param.to_owned(), message: message.to_owned() }
}

fn mistaken(param: &str, why: &Mistake) -> ServiceError {
    ServiceError::Invalid { param: param.to_owned(), message: why.to_string() }
}

fn refused(InvalidTemplate { param, message }: InvalidTemplate) -> ServiceError {
    ServiceError::Invalid { param, message }
}

/// An error of one template among many.
fn placed(i: usize, error: ServiceError) -> ServiceError {
    match error {
        ServiceError::Invalid { param, message } => {
            ServiceError::Invalid { param: format!("templates[{i}].{param}"), message }
        }
        ServiceError::Store(StoreError::Exists { what }) => ServiceError::Exists { what },
        other => other,
    }
}
