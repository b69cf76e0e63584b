//! A job as its owner sees it.

use atelier_domain::job::{Job, StoredOutput};
use atelier_domain::rendition::RenditionKind;
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::http::openapi::{id, words};

#[derive(Serialize, ToSchema)]
#[schema(as = Generation)]
pub(in crate::http) struct JobView<'a> {
    #[schema(schema_with = id)]
    id: String,
    #[schema(inline, value_type = StateWord)]
    state: &'static str,
    /// The model by its full id.
    model: &'a str,
    task: &'a str,
    /// `null` also where a template made it, which nobody is shown.
    #[schema(required)]
    prompt: Option<&'a str>,
    /// The template that was filled in, and with what.
    #[serde(skip_serializing_if = "Option::is_none")]
    template: Option<TemplateUseView<'a>>,
    /// From 0 to 1, where the provider tells it.
    #[schema(required)]
    progress: Option<f64>,
    #[schema(format = DateTime)]
    created: String,
    #[schema(required, format = DateTime)]
    started: Option<String>,
    #[schema(required, format = DateTime)]
    finished: Option<String>,
    /// When the host gives it up.
    #[schema(format = DateTime)]
    deadline: String,
    outputs: Vec<OutputView<'a>>,
    usage: Vec<UsageView<'a>>,
    /// What was charged, in micro-credits; `null` until it ends, and where its model has no price.
    #[schema(required)]
    cost: Option<u64>,
    /// What is set aside while it goes on, in micro-credits: the most that it will cost.
    held: u64,
    #[schema(required)]
    error: Option<ErrorView<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = GenerationTemplate)]
struct TemplateUseView<'a> {
    #[schema(schema_with = id)]
    id: String,
    version: u32,
    /// What was filled in; `text` beside the variables' names, if it was sent.
    #[schema(value_type = Object)]
    variables: Option<&'a RawValue>,
}

#[derive(Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[schema(as = GenerationOutput)]
enum OutputView<'a> {
    Media {
        /// Where its bytes are.
        url: String,
        content_type: &'a str,
        /// In bytes.
        size: u64,
        /// Where a small picture of it is; `null` for what is no image.
        #[schema(required)]
        thumbnail: Option<String>,
        /// Where the peaks of a sound are; `null` for what is none.
        #[schema(required)]
        peaks: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        revised_prompt: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        seed: Option<i64>,
    },
    Text {
        text: &'a str,
    },
    Model {
        model: &'a str,
    },
}

#[derive(Serialize, ToSchema)]
#[schema(as = GenerationUsage)]
struct UsageView<'a> {
    /// What is counted.
    meter: &'a str,
    quantity: u64,
    #[schema(value_type = std::collections::BTreeMap<String, String>)]
    attributes: std::collections::BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = GenerationError)]
struct ErrorView<'a> {
    code: &'a str,
    message: &'a str,
}

words! {
    StateWord: "queued" | "processing" | "succeeded" | "failed" | "canceled";
}

/// A job, for the reference.
pub(in crate::http) fn sample(state: &str) -> serde_json::Value {
    json!({"id": "019ab0c3-e5f0-7d0a-a1b2-c3d4e5f60718", "state": state, "model": "replicate/black-forest-labs/flux-schnell",
        "task": "image-generation", "prompt": "A lighthouse in a storm, oil on canvas", "progress": null,
        "created": "2026-11-22T00:00:00.000Z", "started": null, "finished": null, "deadline": "2026-11-22T00:02:00.000Z",
        "outputs": [], "usage": [], "cost": null, "held": 0, "error": null})
}

impl<'a> From<&'a Job> for JobView<'a> {
    fn from(job: &'a Job) -> Self {
        let output = |(i, output): (usize, &'a StoredOutput)| match output {
            StoredOutput::Media { size, content_type, revised_prompt, seed, .. } => OutputView::Media {
                url: format!("/api/v1/generations/{}/outputs/{i}", job.id),
                thumbnail: RenditionKind::Thumbnail
                    .fits(content_type)
                    .then(|| format!("/api/v1/generations/{}/outputs/{i}/thumbnail", job.id)),
                peaks: RenditionKind::Peaks
                    .fits(content_type)
                    .then(|| format!("/api/v1/generations/{}/outputs/{i}/peaks", job.id)),
                content_type,
                size: *size,
                revised_prompt: revised_prompt.as_deref(),
                seed: *seed,
            },
            StoredOutput::Text(text) => OutputView::Text { text },
            StoredOutput::Model(model) => OutputView::Model { model },
        };
        let usage = job.usage.iter().map(|line| UsageView {
            meter: &line.meter,
            quantity: line.quantity,
            attributes: line.attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect(),
        });
        Self {
            id: job.id.to_string(),
            state: job.state.as_str(),
            model: &job.request.model,
            task: &job.request.task,
            prompt: job.request.prompt.as_deref(),
            template: job.request.template.as_deref().map(|used| TemplateUseView {
                id: used.id.to_string(),
                version: used.version,
                variables: serde_json::from_str(&used.variables).ok(),
            }),
            progress: job.progress,
            created: job.created.rfc3339(),
            started: job.started.map(|moment| moment.rfc3339()),
            finished: job.finished.map(|moment| moment.rfc3339()),
            deadline: job.deadline.rfc3339(),
            outputs: job.outputs.iter().enumerate().map(output).collect(),
            usage: usage.collect(),
            cost: job.bill.cost.map(|cost| cost.charged.beyond(cost.refunded).get()),
            held: if job.state.is_final() { 0 } else { job.bill.held.get() },
            error: job.error.as_ref().map(|error| ErrorView { code: &error.code, message: &error.message }),
        }
    }
}
