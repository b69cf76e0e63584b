//! Prompt templates: an administrator's prompt with blanks, which callers fill in without ever seeing it (G-14).

mod definition;
mod variable;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::hidden::Hidden;
use crate::id::{TemplateId, UserId};
use crate::model::Task;
use crate::time::Timestamp;

pub use definition::InvalidTemplate;
pub use variable::{FileKind, InvalidValue, Value, Variable, VariableKind};

/// Who may use a template.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Audience {
    Everyone,
    Administrators,
    /// These, and administrators.
    Users(BTreeSet<UserId>),
}

/// What a template asks for beside its prompt, whoever uses it. What is absent is left to the model.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// Of media: how many results.
    pub count: Option<u32>,
    /// `WIDTHxHEIGHT` or `auto`.
    pub size: Option<String>,
    /// `W:H`
    pub aspect_ratio: Option<String>,
    pub duration_ms: Option<u64>,
    pub quality: Option<String>,
    pub format: Option<String>,
    pub background: Option<String>,
    pub seed: Option<i64>,
    /// Of a chat.
    pub max_output_tokens: Option<u32>,
    pub temperature: Option<f64>,
    pub top_p: Option<f64>,
}

/// One version of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Template {
    pub id: TemplateId,
    /// From 1.
    pub version: u32,
    /// Unique among templates that are not archived.
    pub name: String,
    pub description: String,
    /// What it is for, to be filtered by.
    pub scene: Option<String>,
    pub tags: BTreeSet<String>,
    /// Chat, or a task of media.
    pub task: Task,
    /// `instance/model`, or an alias of the operator's.
    pub model: String,
    pub variables: Vec<Variable>,
    /// The most characters that a caller may add in their own words; none if 0.
    pub text_characters_max: u32,
    /// A Jinja template over the variables.
    pub prompt: Hidden,
    /// The same, of what is not wanted.
    pub negative_prompt: Option<Hidden>,
    pub settings: Settings,
    /// Provider-specific options: a JSON object as text. They may hold texts, so that they are hidden too.
    pub options: Hidden,
    pub audience: Audience,
    /// When the first version was made.
    pub created: Timestamp,
    /// When this version was made.
    pub updated: Timestamp,
    /// It can't be used any more since then.
    pub archived: Option<Timestamp>,
}

impl Template {
    /// Whether a user may know of it and use it.
    pub fn is_for(&self, user: UserId, is_administrator: bool) -> bool {
        is_administrator
            || match &self.audience {
                Audience::Everyone => true,
                Audience::Administrators => false,
                Audience::Users(users) => users.contains(&user),
            }
    }

    /// Its variable of that name.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.variables.iter().find(|variable| variable.name == name)
    }
}

/// Which templates are listed.
#[derive(Clone, Debug, Default)]
pub struct TemplateFilter {
    pub scene: Option<String>,
    pub tag: Option<String>,
}

impl TemplateFilter {
    /// Whether it lets a template through.
    pub fn takes(&self, template: &Template) -> bool {
        let is_of_scene = self.scene.as_ref().is_none_or(|scene| template.scene.as_ref() == Some(scene));
        let has_tag = self.tag.as_ref().is_none_or(|tag| template.tags.contains(tag));
        is_of_scene && has_tag
    }
}
