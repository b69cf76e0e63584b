//! Asking a model, and in its place those that may step in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use atelier_domain::failure::ProviderError;
use atelier_domain::generation::Json;
use atelier_domain::generation::chat::ChatRequest;
use atelier_domain::generation::embedding::{EmbeddingRequest, EmbeddingResponse};
use atelier_domain::generation::moderation::{ModerationRequest, ModerationResponse};
use atelier_domain::generation::speech::SpeechRequest;
use atelier_domain::generation::transcription::TranscriptionRequest;
use atelier_domain::generation::usage::UsageLine;
use atelier_domain::model::Task;
use atelier_domain::provider::{CallContext, ChargeJournal, EventStream, Provider};
use futures::future::BoxFuture;

use super::live::{Other, Relief};
use super::{Answered, Generations, Live, LiveEvent, Pending, context, counted, expected, traced};
use crate::ServiceError;
use crate::caller::Caller;
use crate::ledger::{Admission, Charge, Expected};
use crate::meter::CallRecord;
use crate::own_keys;
use crate::registry::{ModelEntry, Resolved, Target};

/// A request that any of several models may be asked.
pub(super) trait Asked: Clone + Send + 'static {
    /// Where its model's own id stands.
    fn model(&mut self) -> &mut String;
    /// Provider-specific options.
    fn options(&self) -> &Json;
    /// What it is expected to use of a model.
    fn expected(&self, model: &ModelEntry) -> Expected;
    /// Addressed to a model.
    fn to(mut self, model: &ModelEntry) -> Self {
        self.model().clone_from(&model.info.id);
        self
    }
}

macro_rules! asked {
    ($($request:ty: |$this:ident, $of:ident| $expected:expr;)+) => {$(
        impl Asked for $request {
            fn model(&mut self) -> &mut String {
                &mut self.model
            }
            fn options(&self) -> &Json {
                &self.options
            }
            fn expected(&self, $of: &ModelEntry) -> Expected {
                let $this = self;
                $expected
            }
        }
    )+};
}
asked! {
    ChatRequest: |request, model| expected::chat(request, &model.info.limits);
    SpeechRequest: |request, _model| expected::speech(request);
    TranscriptionRequest: |request, _model| expected::transcription(request);
    EmbeddingRequest: |request, _model| expected::embedding(request);
    ModerationRequest: |request, _model| expected::moderation(request);
}

/// An answer that comes as a whole.
pub(super) trait Whole {
    /// What its provider reported.
    fn usage(&self) -> &[UsageLine];
}

impl Whole for EmbeddingResponse {
    fn usage(&self) -> &[UsageLine] {
        &self.usage
    }
}

impl Whole for ModerationResponse {
    fn usage(&self) -> &[UsageLine] {
        &self.usage
    }
}

/// How a request is asked of a provider that answers with events.
type AskLive<T, R> = fn(Arc<dyn Provider>, CallContext, R) -> EventStream<T>;
/// How a request is asked of a provider that answers with a whole.
type AskWhole<T, R> = for<'p> fn(&'p dyn Provider, CallContext, R) -> BoxFuture<'p, Result<T, ProviderError>>;

impl Generations {
    /// Asks for events.
    pub(super) fn ask_live<T: LiveEvent, R: Asked>(
        &self,
        caller: &Caller,
        resolved: Resolved,
        (task, budget): (Task, Duration),
        request: R,
        ask: AskLive<T, R>,
    ) -> Result<Live<T>, ServiceError> {
        resolved.model.options().check(request.options())?;
        let (started, (first, sent)) = (Instant::now(), counted(caller, budget));
        let Resolved { provider, model, fallbacks } = resolved;
        let request = request.to(&model);
        let expected = request.expected(&model);
        if fallbacks.is_empty() {
            let admission = self.ledger.admit(caller, &model, task, expected, sent)?;
            return Ok(Live::new(caller, model, task, started, admission, move |trace| {
                ask(provider, CallContext { trace, ..first }, request)
            }));
        }
        let others: VecDeque<_> = self
            .fit(fallbacks, &request)
            .map(|Target { provider, model }| {
                let request = request.clone().to(&model);
                let journal: Arc<dyn ChargeJournal> = sent.clone();
                let context = CallContext { journal: Some(journal), ..context(caller, budget) };
                let expected = request.expected(&model);
                Other {
                    model,
                    expected,
                    begin: Box::new(move |trace| ask(provider, CallContext { trace, ..context }, request)),
                }
            })
            .collect();
        let costs: Vec<_> = others.iter().map(|other| (other.model.clone(), other.expected)).collect();
        let admission = self.ledger.admit_any(caller, &model, task, expected, sent.clone(), &costs)?;
        let live = Live::new(caller, model, task, started, admission, move |trace| {
            ask(provider, CallContext { trace, ..first }, request)
        });
        Ok(live.relieved_by(Relief { sent, others }))
    }

    /// Asks for a whole answer.
    pub(super) async fn ask_whole<T: Whole, R: Asked>(
        &self,
        caller: &Caller,
        resolved: Resolved,
        task: Task,
        request: R,
        ask: AskWhole<T, R>,
    ) -> Result<Answered<T>, ServiceError> {
        resolved.model.options().check(request.options())?;
        let Resolved { provider, model, fallbacks } = resolved;
        let others = self.fit(fallbacks, &request).map(|other| {
            let expected = request.expected(&other.model);
            (other, expected)
        });
        let mut others: VecDeque<(Target, Expected)> = others.collect();
        let costs: Vec<_> = others.iter().map(|(other, expected)| (other.model.clone(), *expected)).collect();
        let expected = request.expected(&model);
        let (mut call, sent) = counted(caller, self.budget.other);
        let admission = self.ledger.admit_any(caller, &model, task, expected, sent.clone(), &costs)?;
        let charge = self.admitted(admission).await?;
        let (started, mut pending) = (Instant::now(), Pending(Some(charge)));
        let (mut target, mut request) = (Target { provider, model }, Some(request));
        loop {
            // The last one takes it as it is.
            let asked = if others.is_empty() { request.take() } else { request.clone() };
            let Some(asked) = asked else {
                return Err(ServiceError::Internal("a request was asked of more than may be".to_owned()));
            };
            let span = traced::call(caller, &target.model, task);
            let traced_call = CallContext { trace: traced::within(span.as_ref()), ..call.clone() };
            let asking = ask(&*target.provider, traced_call, asked.to(&target.model));
            let outcome = match tokio::time::timeout(self.budget.other, asking).await {
                Ok(outcome) => outcome.map_err(ServiceError::Provider),
                Err(_) => {
                    Err(ServiceError::TimedOut { what: "the provider's answer", after: self.budget.other })
                }
            };
            let duration = started.elapsed();
            let word = match &outcome {
                Ok(_) => "ok",
                Err(ServiceError::Provider(error)) => error.kind(),
                Err(_) => "timed-out",
            };
            let lines = outcome.as_ref().map_or(&[][..], Whole::usage);
            let model = target.model.id.as_str();
            let record =
                CallRecord { caller, model, task, outcome: word, duration, first: None, usage: lines };
            target.model.meter().ended(&record);
            traced::ended(span, word, lines);
            if let Err(ServiceError::Provider(error)) = &outcome
                && sent.lets_another_try(error)
                && let Some((other, expected)) = others.pop_front()
            {
                pending.retarget(&other.model, expected);
                sent.begin_anew();
                call = CallContext { journal: call.journal, ..context(caller, self.budget.other) };
                target = other;
                continue;
            }
            pending.record(word, lines);
            return match outcome {
                Ok(value) => Ok(Answered { model: target.model, value, provider_time: duration }),
                Err(ServiceError::Provider(error)) => Err(own_keys::failed(error, &target.model)),
                Err(error) => Err(error),
            };
        }
    }

    /// Those that take a request's options, and have a price if one is needed.
    fn fit<R: Asked>(&self, fallbacks: Vec<Target>, request: &R) -> impl Iterator<Item = Target> {
        let options = request.options();
        fallbacks.into_iter().filter(move |target| {
            target.model.options().check(options).is_ok() && self.ledger.price_of(&target.model).is_ok()
        })
    }

    /// Waits for what is set aside, where it must.
    async fn admitted(&self, admission: Admission) -> Result<Charge, ServiceError> {
        match admission {
            Admission::Now(charge) => Ok(charge),
            Admission::Later(charge) => charge.await,
        }
    }
}
