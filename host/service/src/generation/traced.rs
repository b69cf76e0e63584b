//! What a trace tells of a call into a provider: OpenTelemetry's conventions for generative AI
//! (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>). Nothing of what is asked or answered is told.

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::chat::FinishReason;
use atelier_domain::generation::usage::{TokenTotals, UsageLine};
use atelier_domain::job::Job;
use atelier_domain::model::Task;
use atelier_domain::trace::{Span, SpanKind, SpanValue, Trace, Tracer};
use tokio::time::error::Elapsed;

use crate::caller::Caller;
use crate::ledger::ABANDONED;
use crate::registry::ModelEntry;

/// Begins the span of a call, if its request is traced. Dropped, the call was abandoned.
pub(super) fn call(caller: &Caller, model: &ModelEntry, task: Task) -> Option<Span> {
    let trace = caller.trace.as_ref()?;
    let operation = operation(task);
    let mut span = trace.begin(SpanKind::Client, format!("{operation} {}", model.id.model()));
    describe(&mut span, operation, (model.id.instance(), model.id.model()));
    span.failed(Some(ABANDONED.into()));
    Some(span)
}

/// Where what a call causes goes on.
pub(crate) fn within(span: Option<&Span>) -> Option<Trace> {
    span.map(|span| span.trace().clone())
}

/// Ends a call's span: `ok`, or the word for what it failed with.
pub(super) fn ended(span: Option<Span>, outcome: &'static str, usage: &[UsageLine]) {
    let Some(mut span) = span else { return };
    let totals = TokenTotals::of(usage);
    for (name, meter, total) in [
        ("gen_ai.usage.input_tokens", "input-tokens", totals.input),
        ("gen_ai.usage.output_tokens", "output-tokens", totals.output),
    ] {
        if usage.iter().any(|line| line.meter == meter) {
            span.set(name, total);
        }
    }
    span.failed((outcome != "ok").then_some(outcome.into()));
}

/// The convention's words for why an answer ended. Those of providers' own are theirs to choose, and stay out.
pub(super) fn finished(span: &mut Span, reason: &FinishReason) {
    let word = match reason {
        FinishReason::Stop => "stop",
        FinishReason::Length => "length",
        FinishReason::ToolCalls => "tool_call",
        FinishReason::ContentFilter => "content_filter",
        FinishReason::Other(_) => "other",
    };
    span.set("gen_ai.response.finish_reasons", SpanValue::Texts(vec![word.into()]));
}

/// Begins the span of a job's step: in a trace of its own, since jobs outlive requests, linked to the one that submitted it.
pub(crate) fn step(tracer: Option<&Tracer>, job: &Job, step: &'static str) -> Option<Span> {
    let (tracer, submission) = (tracer?, job.trace?);
    let operation = Task::from_word(&job.request.task).map_or("generate_content", operation);
    let model = job.request.model.split_once('/').unwrap_or(("", &job.request.model));
    let mut span = tracer.linked(submission, SpanKind::Client, format!("{operation} {}", model.1));
    describe(&mut span, operation, model);
    span.set_with("atelier.job.id", || job.id.to_string());
    span.set("atelier.job.step", step);
    span.failed(Some(ABANDONED.into()));
    Some(span)
}

/// Ends a step's span.
pub(crate) fn stepped<T>(span: Option<Span>, outcome: &Result<Result<T, ProviderError>, Elapsed>) {
    let word = match outcome {
        Ok(Ok(_)) => "ok",
        Ok(Err(error)) => error.kind(),
        Err(_) => "timed-out",
    };
    ended(span, word, &[]);
}

fn describe(span: &mut Span, operation: &'static str, (instance, model): (&str, &str)) {
    span.set("gen_ai.operation.name", operation);
    // Instances are named by the operator, most of them after their provider; the kind of plugin behind one is its registry's matter.
    span.set_with("gen_ai.provider.name", || instance.to_owned());
    span.set_with("gen_ai.request.model", || model.to_owned());
}

/// The convention's word where it has one, else ours.
fn operation(task: Task) -> &'static str {
    match task {
        Task::Chat => "chat",
        Task::Embedding => "embeddings",
        Task::ImageGeneration
        | Task::ImageEdit
        | Task::ImageVariation
        | Task::ImageUpscale
        | Task::VideoGeneration
        | Task::VideoRemix
        | Task::SoundEffect
        | Task::Music
        | Task::Stems
        | Task::Speech => "generate_content",
        Task::Transcription => "transcription",
        Task::Translation => "translation",
        Task::Moderation => "moderation",
        Task::Training => "training",
    }
}
