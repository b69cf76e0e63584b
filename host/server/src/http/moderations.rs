//! `POST /v1/moderations` (OpenAI API, moderations).

use std::collections::BTreeMap;
use std::fmt;

use atelier_domain::generation::moderation::{ModerationInput, ModerationRequest, Verdict};
use atelier_domain::generation::{Json, empty_object};
use atelier_domain::model::Task;
use serde::de::value::MapAccessDeserializer;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::chat_completions::off_thread;
use super::input::{self, Kind};
use super::openapi::{Operation, Tag, words};
use super::text_or_parts::TextOrParts;
use super::{ApiError, Call, Reply, answer, body, prefix};

const INPUTS_MAX: usize = 256;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ModerationRequest)]
struct Body {
    /// `instance/model`, or an alias of the operator's.
    #[schema(required, value_type = String)]
    model: Option<String>,
    // A text, 1 to 256 texts, or parts.
    #[schema(inline)]
    input: Input,
    /// Ours: provider-specific options by the model's own schema.
    #[schema(value_type = Option<Object>)]
    options: Option<Json>,
}

#[derive(Deserialize, ToSchema)]
#[serde(untagged, try_from = "TextOrParts<Entry>")]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Parts(Vec<PartBody>),
}

/// What a list has one of: it tells its own mistakes, where an untagged enum would tell none.
enum Entry {
    Text(String),
    Part(PartBody),
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Entry;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a content part")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Entry, E> {
                Ok(Entry::Text(text.to_owned()))
            }
            fn visit_map<A: MapAccess<'de>>(self, part: A) -> Result<Entry, A::Error> {
                PartBody::deserialize(MapAccessDeserializer::new(part)).map(Entry::Part)
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl TryFrom<TextOrParts<Entry>> for Input {
    type Error = &'static str;
    fn try_from(input: TextOrParts<Entry>) -> Result<Self, Self::Error> {
        let entries = match input {
            TextOrParts::Text(text) => return Ok(Self::Text(text)),
            TextOrParts::Parts(entries) => entries,
        };
        let (mut texts, mut parts) = (Vec::new(), Vec::new());
        for entry in entries {
            match entry {
                Entry::Text(text) => texts.push(text),
                Entry::Part(part) => parts.push(part),
            }
        }
        match (texts.is_empty(), parts.is_empty()) {
            (_, true) => Ok(Self::Texts(texts)),
            (true, false) => Ok(Self::Parts(parts)),
            (false, false) => Err("must be texts or parts, not both"),
        }
    }
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ModerationPart)]
struct PartBody {
    #[schema(inline, value_type = PartType)]
    r#type: String,
    text: Option<String>,
    image_url: Option<ImageUrl>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = ModerationImage)]
struct ImageUrl {
    /// A data URL with base64, or an http(s) address that the provider fetches.
    url: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Moderation)]
struct Moderation<'a> {
    id: String,
    model: &'a str,
    results: Vec<ResultView<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ModerationResult)]
struct ResultView<'a> {
    flagged: bool,
    #[schema(value_type = BTreeMap<String, bool>)]
    categories: BTreeMap<&'a str, bool>,
    /// From 0 to 1.
    #[schema(value_type = BTreeMap<String, f64>)]
    category_scores: BTreeMap<&'a str, f64>,
    #[schema(value_type = BTreeMap<String, Vec<String>>)]
    category_applied_input_types: BTreeMap<&'a str, &'a [String]>,
}

words! {
    PartType: "text" | "image_url";
}

impl<'a> From<&'a Verdict> for ResultView<'a> {
    fn from(verdict: &'a Verdict) -> Self {
        let all = || verdict.categories.iter();
        Self {
            flagged: verdict.flagged,
            categories: all().map(|category| (category.name.as_str(), category.flagged)).collect(),
            category_scores: all().map(|category| (category.name.as_str(), category.score)).collect(),
            category_applied_input_types: all()
                .map(|category| (category.name.as_str(), category.applied_to.as_slice()))
                .collect(),
        }
    }
}

/// Judges texts and images.
pub(super) async fn create(mut call: Call) -> Result<Reply, ApiError> {
    let bytes = call.read_json().await?;
    let (model, request) = off_thread(bytes, read).await?;
    let caller = call.caller()?;
    let resolved = call.app.generations.resolve(caller, &model, Task::Moderation).await?;
    let answered = call.app.generations.moderate(caller, resolved, request).await?;
    let view = Moderation {
        id: prefix::id("modr-"),
        model: answered.model.id.as_str(),
        results: answered.value.verdicts.iter().map(ResultView::from).collect(),
    };
    Ok(answer::json(&view)?.by(answered.model.id.as_str()).after(answered.provider_time))
}

fn read(bytes: &[u8]) -> Result<(String, ModerationRequest), ApiError> {
    let body: Body = body::parse(bytes)?;
    let inputs = match body.input {
        Input::Text(text) => vec![ModerationInput::Text(text)],
        Input::Texts(texts) => texts.into_iter().map(ModerationInput::Text).collect(),
        Input::Parts(parts) => {
            let read = parts.into_iter().enumerate().map(|(i, part)| part.into_domain(i));
            read.collect::<Result<Vec<_>, _>>()?
        }
    };
    if inputs.is_empty() || inputs.len() > INPUTS_MAX {
        return Err(ApiError::invalid("input", format!("must have 1 to {INPUTS_MAX} entries")));
    }
    let model = body.model.ok_or(ApiError::MissingParameter { param: "model".to_owned() })?;
    let options = body.options.unwrap_or_else(empty_object);
    Ok((model, ModerationRequest { model: String::new(), inputs, options }))
}

impl PartBody {
    fn into_domain(self, i: usize) -> Result<ModerationInput, ApiError> {
        match (self.r#type.as_str(), self.text, self.image_url) {
            ("text", Some(text), _) => Ok(ModerationInput::Text(text)),
            ("image_url", _, Some(image)) => {
                input::url(&format!("input[{i}].image_url.url"), &image.url, Kind::Image)
                    .map(ModerationInput::Image)
            }
            _ => Err(ApiError::invalid(format!("input[{i}]"), "must be a text part or an image_url part")),
        }
    }
}

/// What the reference says of it.
pub(super) fn describe() -> Operation {
    let judged = json!({"id": "modr-019ab0c3e5f07d0aa1b2c3d4e5f60718", "model": "openai/omni-moderation-latest", "results": [{
        "flagged": false, "categories": {"violence": false}, "category_scores": {"violence": 0.0021},
        "category_applied_input_types": {"violence": ["text"]}}]});
    Operation::new("createModeration", Tag::Moderations, "Judge texts and images")
        .about("Scores each input by the model's own categories.")
        .takes::<Body>(json!({"model": "openai/omni-moderation-latest", "input": "A walk in the park."}))
        .answers::<Moderation<'_>>(200, "A verdict for each input.", judged)
        .calls_provider()
}
