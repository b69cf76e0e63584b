//! `POST /v1/moderations` (OpenAI API, moderations).

use std::collections::BTreeMap;

use atelier_domain::generation::moderation::{ModerationInput, ModerationRequest, Verdict};
use atelier_domain::generation::{Json, empty_object};
use atelier_domain::model::Task;
use serde::{Deserialize, Serialize};

use super::chat_completions::off_thread;
use super::input::{self, Kind};
use super::{ApiError, Call, Reply, answer, body, prefix};

const INPUTS_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    model: Option<String>,
    input: Input,
    /// Ours: provider-specific options by the model's own schema.
    options: Option<Json>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Input {
    Text(String),
    Texts(Vec<String>),
    Parts(Vec<PartBody>),
}

#[derive(Deserialize)]
struct PartBody {
    r#type: String,
    text: Option<String>,
    image_url: Option<ImageUrl>,
}

#[derive(Deserialize)]
struct ImageUrl {
    url: String,
}

#[derive(Serialize)]
struct Moderation<'a> {
    id: String,
    model: &'a str,
    results: Vec<ResultView<'a>>,
}

#[derive(Serialize)]
struct ResultView<'a> {
    flagged: bool,
    categories: BTreeMap<&'a str, bool>,
    category_scores: BTreeMap<&'a str, f64>,
    category_applied_input_types: BTreeMap<&'a str, &'a [String]>,
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
    Ok(answer::json(&view)?.after(answered.provider_time))
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
