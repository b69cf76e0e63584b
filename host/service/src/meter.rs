//! What is measured: the port behind which metrics and accounting stand.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::Task;
use atelier_domain::money::MicroCredits;

use crate::caller::Caller;
use crate::limits::Class;

/// One call into a provider, ended.
#[derive(Debug)]
pub struct CallRecord<'a> {
    pub caller: &'a Caller,
    /// `instance/model`.
    pub model: &'a str,
    pub task: Task,
    /// `ok`, `abandoned` when the caller left, else the error's kind.
    pub outcome: &'static str,
    /// From the call's begin to its end.
    pub duration: Duration,
    /// From the call's begin to its first event.
    pub first: Option<Duration>,
    /// What the provider reported.
    pub usage: &'a [UsageLine],
}

/// What became of a prompt that is judged before it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScreeningOutcome {
    Sent,
    Refused,
    /// There was no verdict, and the operator has such prompts sent.
    SentUnjudged,
    RefusedUnjudged,
}

impl ScreeningOutcome {
    /// For metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            ScreeningOutcome::Sent => "sent",
            ScreeningOutcome::Refused => "refused",
            ScreeningOutcome::SentUnjudged => "sent_unjudged",
            ScreeningOutcome::RefusedUnjudged => "refused_unjudged",
        }
    }
}

/// Measures the calls of one model; resolved once, so that a call looks nothing up.
pub trait ModelMeter: Send + Sync + Debug {
    /// A call ended, however it did.
    fn ended(&self, record: &CallRecord<'_>);
    /// A call was charged.
    fn charged(&self, cost: MicroCredits);
}

/// Measures.
pub trait Meter: Send + Sync + Debug {
    /// The meter of a model.
    fn model(&self, instance: &str, model: &str) -> Arc<dyn ModelMeter>;
    /// A request was refused by a limit of ours.
    fn limit_refused(&self, class: Class);
    /// An instance's models were loaded, or could not be.
    fn catalogue_loaded(&self, instance: &str, ok: bool);
    /// A job reached its final state, a failed one with its error's code, and was charged, if it cost anything.
    fn job_ended(&self, instance: &str, state: &'static str, code: Option<&str>, cost: Option<MicroCredits>);
    /// A provider called back, or somebody in its place; the instance is empty where none was reached.
    fn callback_received(&self, instance: &str, outcome: &'static str);
    /// A prompt for an instance was judged before it was sent, or could not be.
    fn prompt_screened(&self, instance: &str, outcome: ScreeningOutcome);
    /// A sweep left so many rows or blobs where they are, since it could not deal with them.
    fn sweep_skipped(&self, sweep: &'static str, count: usize);
}

/// Measures nothing.
#[derive(Debug, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn model(&self, _: &str, _: &str) -> Arc<dyn ModelMeter> {
        Arc::new(NoMeter)
    }
    fn limit_refused(&self, _: Class) {}
    fn catalogue_loaded(&self, _: &str, _: bool) {}
    fn job_ended(&self, _: &str, _: &'static str, _: Option<&str>, _: Option<MicroCredits>) {}
    fn callback_received(&self, _: &str, _: &'static str) {}
    fn prompt_screened(&self, _: &str, _: ScreeningOutcome) {}
    fn sweep_skipped(&self, _: &'static str, _: usize) {}
}

impl ModelMeter for NoMeter {
    fn ended(&self, _: &CallRecord<'_>) {}
    fn charged(&self, _: MicroCredits) {}
}
