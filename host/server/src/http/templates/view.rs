//! A template as callers see it: all but its prompts and options.

use atelier_domain::template::{Audience, FileKind, Settings, Template, Variable, VariableKind};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::body::{FileWord, TemplateTaskWord, VariableTypeWord};
use crate::http::openapi::{id, words};

#[derive(Serialize, ToSchema)]
#[schema(as = Template)]
pub(super) struct TemplateView<'a> {
    #[schema(schema_with = id)]
    id: String,
    /// From 1; each change makes a new one.
    version: u32,
    name: &'a str,
    description: &'a str,
    #[schema(required)]
    scene: Option<&'a str>,
    tags: Vec<&'a str>,
    #[schema(inline, value_type = TemplateTaskWord)]
    task: &'static str,
    model: &'a str,
    variables: Vec<VariableView<'a>>,
    /// How many characters you may add in your own words.
    text_max: u32,
    settings: SettingsView<'a>,
    #[schema(format = DateTime)]
    created: String,
    /// When this version was made.
    #[schema(format = DateTime)]
    updated: String,
    /// Since when nobody can use it.
    #[schema(required, format = DateTime)]
    archived: Option<String>,
    /// For administrators alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline, value_type = Option<AudienceWord>)]
    audience: Option<&'static str>,
    /// For administrators alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<uuid::Uuid>>)]
    users: Option<Vec<String>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TemplateVariable)]
struct VariableView<'a> {
    name: &'a str,
    description: &'a str,
    required: bool,
    #[schema(inline, value_type = VariableTypeWord)]
    r#type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Value>)]
    default: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    characters_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    whole: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<&'a [String]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(inline, value_type = Option<FileWord>)]
    accepts: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'a str>,
}

/// What the template fixes; what is absent is left to the model.
#[derive(Serialize, ToSchema)]
#[schema(as = TemplateSettingsFixed)]
struct SettingsView<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aspect_ratio: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    background: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_p: Option<f64>,
}

words! {
    AudienceWord: "everyone" | "administrators" | "users";
}

/// A template, for the reference.
pub(super) fn sample() -> Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "version": 1, "name": "Product poster",
        "description": "A poster for a shop window.", "scene": "shop", "tags": ["poster"], "task": "image-generation",
        "model": "replicate/black-forest-labs/flux-schnell", "variables": [
            {"name": "product", "description": "", "required": true, "type": "text", "characters_max": 100},
            {"name": "mood", "description": "", "required": false, "type": "choice", "options": ["bright", "calm"], "default": "calm"}],
        "text_max": 0, "settings": {"aspect_ratio": "2:3"}, "created": "2026-11-22T00:00:00.000Z",
        "updated": "2026-11-22T00:00:00.000Z", "archived": null})
}

impl<'a> TemplateView<'a> {
    pub(super) fn new(template: &'a Template, is_administrator: bool) -> Self {
        let (audience, users) = match &template.audience {
            Audience::Everyone => ("everyone", None),
            Audience::Administrators => ("administrators", None),
            Audience::Users(users) => ("users", Some(users.iter().map(ToString::to_string).collect())),
        };
        Self {
            id: template.id.to_string(),
            version: template.version,
            name: &template.name,
            description: &template.description,
            scene: template.scene.as_deref(),
            tags: template.tags.iter().map(String::as_str).collect(),
            task: template.task.as_str(),
            model: &template.model,
            variables: template.variables.iter().map(VariableView::from).collect(),
            text_max: template.text_characters_max,
            settings: SettingsView::from(&template.settings),
            created: template.created.rfc3339(),
            updated: template.updated.rfc3339(),
            archived: template.archived.map(|moment| moment.rfc3339()),
            audience: is_administrator.then_some(audience),
            users: users.filter(|_| is_administrator),
        }
    }
}

impl<'a> From<&'a Variable> for VariableView<'a> {
    fn from(variable: &'a Variable) -> Self {
        let mut view = Self {
            name: &variable.name,
            description: &variable.description,
            required: variable.required,
            r#type: "",
            default: None,
            characters_max: None,
            min: None,
            max: None,
            whole: None,
            options: None,
            accepts: None,
            role: None,
        };
        match &variable.kind {
            VariableKind::Text { characters_max, default } => {
                view.r#type = "text";
                view.characters_max = Some(*characters_max);
                view.default = default.as_deref().map(Value::from);
            }
            VariableKind::Number { min, max, is_whole, default } => {
                view.r#type = "number";
                (view.min, view.max, view.whole) = (*min, *max, Some(*is_whole));
                view.default = default.map(Value::from);
            }
            VariableKind::Choice { options, default } => {
                view.r#type = "choice";
                view.options = Some(options);
                view.default = default.as_deref().map(Value::from);
            }
            VariableKind::Boolean { default } => {
                view.r#type = "boolean";
                view.default = default.map(Value::from);
            }
            VariableKind::File { kind, role } => {
                view.r#type = "file";
                view.accepts = Some(match kind {
                    FileKind::Image => "image",
                    FileKind::Audio => "audio",
                    FileKind::Document => "document",
                });
                view.role = role.as_deref();
            }
        }
        view
    }
}

impl<'a> From<&'a Settings> for SettingsView<'a> {
    fn from(settings: &'a Settings) -> Self {
        Self {
            count: settings.count,
            size: settings.size.as_deref(),
            aspect_ratio: settings.aspect_ratio.as_deref(),
            duration_ms: settings.duration_ms,
            quality: settings.quality.as_deref(),
            format: settings.format.as_deref(),
            background: settings.background.as_deref(),
            seed: settings.seed,
            max_output_tokens: settings.max_output_tokens,
            temperature: settings.temperature,
            top_p: settings.top_p,
        }
    }
}
