//! A job as its owner sees it.

use atelier_domain::job::{Job, StoredOutput};
use serde::Serialize;

#[derive(Serialize)]
pub(super) struct JobView<'a> {
    id: String,
    state: &'static str,
    model: &'a str,
    task: &'a str,
    prompt: Option<&'a str>,
    progress: Option<f64>,
    created: String,
    started: Option<String>,
    finished: Option<String>,
    deadline: String,
    outputs: Vec<OutputView<'a>>,
    usage: Vec<UsageView<'a>>,
    error: Option<ErrorView<'a>>,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
enum OutputView<'a> {
    Media {
        /// Where its bytes are.
        url: String,
        content_type: &'a str,
        /// In bytes.
        size: u64,
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

#[derive(Serialize)]
struct UsageView<'a> {
    meter: &'a str,
    quantity: u64,
    attributes: std::collections::BTreeMap<&'a str, &'a str>,
}

#[derive(Serialize)]
struct ErrorView<'a> {
    code: &'a str,
    message: &'a str,
}

impl<'a> From<&'a Job> for JobView<'a> {
    fn from(job: &'a Job) -> Self {
        let output = |(i, output): (usize, &'a StoredOutput)| match output {
            StoredOutput::Media { size, content_type, revised_prompt, seed, .. } => OutputView::Media {
                url: format!("/api/v1/generations/{}/outputs/{i}", job.id),
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
            progress: job.progress,
            created: job.created.rfc3339(),
            started: job.started.map(|moment| moment.rfc3339()),
            finished: job.finished.map(|moment| moment.rfc3339()),
            deadline: job.deadline.rfc3339(),
            outputs: job.outputs.iter().enumerate().map(output).collect(),
            usage: usage.collect(),
            error: job.error.as_ref().map(|error| ErrorView { code: &error.code, message: &error.message }),
        }
    }
}
