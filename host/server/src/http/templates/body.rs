//! A template as an administrator writes it.

use std::collections::BTreeSet;

use atelier_domain::generation::Json;
use atelier_domain::hidden::Hidden;
use atelier_domain::id::UserId;
use atelier_domain::model::Task;
use atelier_domain::template::{Audience, FileKind, Settings, Variable, VariableKind};
use atelier_service::templates::NewTemplate;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::http::ApiError;
use crate::http::openapi::words;
use crate::http::query::parsed;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTemplate)]
pub(super) struct Body {
    /// Unique among templates that are not archived.
    #[schema(min_length = 1, max_length = 100)]
    name: String,
    #[serde(default)]
    #[schema(max_length = 2000)]
    description: String,
    /// What it is for: lists can be filtered by it.
    #[schema(min_length = 1, max_length = 64)]
    scene: Option<String>,
    #[serde(default)]
    #[schema(max_items = 16)]
    tags: Vec<String>,
    #[schema(inline, value_type = TemplateTaskWord)]
    task: String,
    /// `instance/model`, or an alias of the operator's.
    model: String,
    #[serde(default)]
    #[schema(max_items = 32)]
    variables: Vec<VariableBody>,
    /// How many characters callers may add in their own words; none if left out.
    #[serde(default)]
    #[schema(maximum = 2000)]
    text_max: u32,
    /// A Jinja template over the variables and `text`: `{{ name }}`, `if`, `for` over `range` or constants, comparisons, slices, the
    /// filters `upper`, `lower`, `trim`, `title`, `capitalize`, `length` and `default`. Nobody is ever shown it again. In a new
    /// version it stays as it was if it is left out.
    #[schema(min_length = 1, max_length = 32768)]
    prompt: Option<String>,
    /// The same, of what is not wanted; of media alone. An empty text takes it away.
    #[schema(max_length = 32768)]
    negative_prompt: Option<String>,
    #[serde(default)]
    settings: SettingsBody,
    /// By the model's own schema. Not shown again either.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
    #[serde(default)]
    #[schema(inline)]
    audience: AudienceBody,
    /// Who may use it, with the audience `users`.
    #[serde(default)]
    #[schema(value_type = Vec<uuid::Uuid>, max_items = 1000)]
    users: Vec<String>,
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum AudienceBody {
    #[default]
    Everyone,
    Administrators,
    Users,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TemplateSettings)]
struct SettingsBody {
    #[schema(minimum = 1, maximum = 16)]
    count: Option<u32>,
    size: Option<String>,
    aspect_ratio: Option<String>,
    duration_ms: Option<u64>,
    quality: Option<String>,
    format: Option<String>,
    background: Option<String>,
    seed: Option<i64>,
    #[schema(minimum = 1)]
    max_output_tokens: Option<u32>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f64>,
    #[schema(minimum = 0, maximum = 1)]
    top_p: Option<f64>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTemplateVariable)]
struct VariableBody {
    /// As the prompt names it.
    #[schema(pattern = "^[A-Za-z][A-Za-z0-9_]*$", max_length = 64)]
    name: String,
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
    #[serde(default)]
    required: bool,
    #[schema(inline, value_type = VariableTypeWord)]
    r#type: String,
    /// What it is where a caller does not say; a text, a number, one of the options, or true or false.
    #[schema(value_type = Option<Value>)]
    default: Option<Value>,
    /// Of a text: its most characters, 500 if left out.
    #[schema(minimum = 1, maximum = 20000)]
    characters_max: Option<u32>,
    /// Of a number.
    min: Option<f64>,
    /// Of a number.
    max: Option<f64>,
    /// Of a number: whether it must be a whole one.
    whole: Option<bool>,
    /// Of a choice.
    #[schema(max_items = 100)]
    options: Option<Vec<String>>,
    /// Of a file: what it is.
    #[schema(inline, value_type = Option<FileWord>)]
    accepts: Option<String>,
    /// Of a file for media: its role among the inputs.
    role: Option<String>,
}

words! {
    TemplateTaskWord: "chat" | "image-generation" | "image-edit" | "image-variation" | "image-upscale" | "video-generation"
        | "video-remix" | "sound-effect" | "music" | "stems";
    VariableTypeWord: "text" | "number" | "choice" | "boolean" | "file";
    FileWord: "image" | "audio" | "document";
}

const CHARACTERS_USUAL: u32 = 500;
const TAGS_MAX: usize = 16;
const USERS_MAX: usize = 1_000;

/// A template, for the reference.
pub(super) fn sample() -> Value {
    json!({"name": "Product poster", "description": "A poster for a shop window.", "scene": "shop", "tags": ["poster"],
        "task": "image-generation", "model": "replicate/black-forest-labs/flux-schnell",
        "variables": [{"name": "product", "type": "text", "required": true, "characters_max": 100},
            {"name": "mood", "type": "choice", "options": ["bright", "calm"], "default": "calm"}],
        "prompt": "A {{ mood }} poster of {{ product }}, flat colours, much white space", "settings": {"aspect_ratio": "2:3"}})
}

impl Body {
    /// One of many, whose place is told with what is wrong with it.
    pub(super) fn into_new_at(self, i: usize) -> Result<NewTemplate, ApiError> {
        self.into_new().map_err(|error| match error {
            ApiError::Invalid { param, message } => {
                ApiError::invalid(format!("templates[{i}].{param}"), message)
            }
            other => other,
        })
    }

    pub(super) fn into_new(self) -> Result<NewTemplate, ApiError> {
        let task = Task::from_word(&self.task).filter(|task| *task == Task::Chat || task.is_media());
        let task = task
            .ok_or_else(|| ApiError::invalid("task", "must be chat, or a task of images, videos or sound"))?;
        // Those that are named twice count twice: what is sent is bounded, not what is left of it.
        for (param, count, max) in
            [("tags", self.tags.len(), TAGS_MAX), ("users", self.users.len(), USERS_MAX)]
        {
            if count > max {
                return Err(ApiError::invalid(param, format!("at most {max} {param}")));
            }
        }
        let users: BTreeSet<UserId> =
            self.users.iter().map(|user| parsed("users", user)).collect::<Result<_, _>>()?;
        let audience = match self.audience {
            AudienceBody::Users => Audience::Users(users),
            _ if !users.is_empty() => {
                return Err(ApiError::invalid("users", "is only allowed with \"audience\": \"users\""));
            }
            AudienceBody::Everyone => Audience::Everyone,
            AudienceBody::Administrators => Audience::Administrators,
        };
        let variables = self.variables.into_iter().enumerate().map(|(i, variable)| variable.into_variable(i));
        Ok(NewTemplate {
            name: self.name,
            description: self.description,
            scene: self.scene,
            tags: self.tags.into_iter().collect(),
            task,
            model: self.model,
            variables: variables.collect::<Result<_, _>>()?,
            text_characters_max: self.text_max,
            prompt: self.prompt.map(Hidden::new),
            negative_prompt: self.negative_prompt.map(Hidden::new),
            options: self.options.map(|options| Hidden::new(options.get())),
            settings: self.settings.into(),
            audience,
        })
    }
}

impl From<SettingsBody> for Settings {
    fn from(body: SettingsBody) -> Self {
        Self {
            count: body.count,
            size: body.size,
            aspect_ratio: body.aspect_ratio,
            duration_ms: body.duration_ms,
            quality: body.quality,
            format: body.format,
            background: body.background,
            seed: body.seed,
            max_output_tokens: body.max_output_tokens,
            temperature: body.temperature,
            top_p: body.top_p,
        }
    }
}

impl VariableBody {
    fn into_variable(self, i: usize) -> Result<Variable, ApiError> {
        let at = |member: &str| format!("variables[{i}].{member}");
        let of_type = |what| ApiError::invalid(at("default"), format!("must be {what}"));
        let own: &[&str] = match self.r#type.as_str() {
            "text" => &["default", "characters_max"],
            "number" => &["default", "min", "max", "whole"],
            "choice" => &["default", "options"],
            "boolean" => &["default"],
            "file" => &["accepts", "role"],
            _ => {
                return Err(ApiError::invalid(
                    at("type"),
                    "must be one of text, number, choice, boolean, file",
                ));
            }
        };
        let sent = [
            ("default", self.default.is_some()),
            ("characters_max", self.characters_max.is_some()),
            ("min", self.min.is_some()),
            ("max", self.max.is_some()),
            ("whole", self.whole.is_some()),
            ("options", self.options.is_some()),
            ("accepts", self.accepts.is_some()),
            ("role", self.role.is_some()),
        ];
        if let Some((foreign, _)) = sent.iter().find(|(name, is_sent)| *is_sent && !own.contains(name)) {
            return Err(ApiError::invalid(at(foreign), format!("is not of the type {}", self.r#type)));
        }
        let text = || match &self.default {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(of_type("a text")),
            None => Ok(None),
        };
        let kind = match self.r#type.as_str() {
            "text" => VariableKind::Text {
                characters_max: self.characters_max.unwrap_or(CHARACTERS_USUAL),
                default: text()?,
            },
            "number" => VariableKind::Number {
                min: self.min,
                max: self.max,
                is_whole: self.whole.unwrap_or(false),
                default: match &self.default {
                    Some(default) => Some(default.as_f64().ok_or_else(|| of_type("a number"))?),
                    None => None,
                },
            },
            "choice" => {
                let default = text()?;
                VariableKind::Choice { options: self.options.unwrap_or_default(), default }
            }
            "boolean" => VariableKind::Boolean {
                default: match &self.default {
                    Some(default) => Some(default.as_bool().ok_or_else(|| of_type("true or false"))?),
                    None => None,
                },
            },
            _ => VariableKind::File {
                kind: match self.accepts.as_deref() {
                    None | Some("image") => FileKind::Image,
                    Some("audio") => FileKind::Audio,
                    Some("document") => FileKind::Document,
                    Some(_) => {
                        return Err(ApiError::invalid(
                            at("accepts"),
                            "must be one of image, audio, document",
                        ));
                    }
                },
                role: self.role,
            },
        };
        Ok(Variable { name: self.name, description: self.description, required: self.required, kind })
    }
}
