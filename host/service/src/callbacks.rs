//! Providers' callbacks: who sent one is checked by the host, what it says is read in the sandbox, and the job that it is about goes on
//! at once. It is never more than a reason to look: polling goes on without it.

mod address;
mod senders;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use atelier_domain::generation::media::{Callback, CallbackEvent, CallbackRefusal, Delivery};
use atelier_domain::id::JobId;
use atelier_domain::job::Job;
use atelier_domain::provider::{CallContext, Provider};
use atelier_domain::store::{CallbackMark, CallbackStore};
use atelier_domain::time::Clock;
use tokio::sync::watch;

pub use address::{CallbackAddresses, Target};
pub use senders::{InvalidNetwork, Network};

use crate::jobs::{Jobs, Woken};
use crate::limits::{Class, Limiter, Subject};
use crate::meter::Meter;
use crate::places::{PlaceLimits, Places};
use crate::registry::Registry;
use crate::{ServiceError, StoragePool};

/// Deliveries are remembered for one to two of these. A signature is good for five minutes to either side, so that none outlives its
/// memory.
const PERIOD: Duration = Duration::from_secs(900);
/// Between sweeps of what need not be remembered, and how much one removes.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const SWEPT_MAX: usize = 16_384;
/// For taking one callback apart.
const PARSE_BUDGET: Duration = Duration::from_secs(10);
/// Events taken out of one callback.
const EVENTS_MAX: usize = 64;

/// Of one instance. Few are taken at once, so that a storm of them leaves this machine to who waits for an answer: providers send again
/// what is refused, and jobs are asked about anyhow.
const PLACES: PlaceLimits = PlaceLimits { taken_max: 2, waiting_max: 256, wait_max: Duration::from_secs(2) };

/// What became of a callback; each is counted under its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A job was woken.
    Accepted,
    /// It was here before: nothing happens twice.
    Replayed,
    /// It is genuine and about no open job.
    Unmatched,
    /// Nobody was given this address.
    UnknownAddress,
    /// Its instance is not there or takes none.
    Unexpected,
    /// It came from an address from which its provider does not call.
    Stranger,
    Unsigned,
    Forged,
    Stale,
    /// Signed, but no JSON, or nothing that its plugin understands.
    Malformed,
}

impl Outcome {
    /// The word in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Replayed => "replayed",
            Self::Unmatched => "unmatched",
            Self::UnknownAddress => "unknown_address",
            Self::Unexpected => "unexpected",
            Self::Stranger => "stranger",
            Self::Unsigned => "unsigned",
            Self::Forged => "forged",
            Self::Stale => "stale",
            Self::Malformed => "malformed",
        }
    }
}

impl From<CallbackRefusal> for Outcome {
    fn from(refusal: CallbackRefusal) -> Self {
        match refusal {
            CallbackRefusal::Unexpected => Self::Unexpected,
            CallbackRefusal::Unsigned => Self::Unsigned,
            CallbackRefusal::Forged => Self::Forged,
            CallbackRefusal::Stale => Self::Stale,
        }
    }
}

/// Why a callback was not taken.
#[derive(Debug, thiserror::Error)]
pub enum CallbackError {
    /// Its sender learns nothing: not whether the address was given, nor to what, nor what was wrong with the signature.
    #[error("there is nothing at this address")]
    Refused,
    #[error("the callback is not what its signer's callbacks are")]
    Malformed,
    #[error(transparent)]
    Service(#[from] ServiceError),
}

/// What callbacks are received with.
#[derive(Debug)]
pub struct CallbackPorts {
    pub addresses: CallbackAddresses,
    pub jobs: Jobs,
    pub registry: Arc<Registry>,
    pub limiter: Arc<Limiter>,
    pub clock: Arc<dyn Clock>,
    pub meter: Arc<dyn Meter>,
    pub store: Arc<dyn CallbackStore>,
    pub pool: StoragePool,
    /// Instance → the only addresses from which its provider calls; any, where there is none.
    pub senders: HashMap<String, Vec<Network>>,
}

/// Receives providers' callbacks.
#[derive(Clone, Debug)]
pub struct Callbacks {
    ports: Arc<CallbackPorts>,
    /// By instance.
    places: Arc<Mutex<HashMap<String, Places>>>,
}

/// Whom a callback reached.
struct Reached {
    instance: String,
    provider: Arc<dyn Provider>,
    /// Absent for an instance's own address.
    job: Option<Job>,
}

impl Callbacks {
    /// None received yet.
    pub fn new(ports: CallbackPorts) -> Self {
        Self { ports: Arc::new(ports), places: Arc::default() }
    }

    /// What the address of `token` was given for; `None` if it is none of ours.
    pub fn target(&self, token: &str) -> Option<Target> {
        self.ports.addresses.read(token)
    }

    /// The address of an instance, for its provider's settings.
    pub fn address_of(&self, target: &Target) -> Option<String> {
        self.ports.addresses.url(target)
    }

    /// Receives what was sent to the address of `target` from that of `sender`, and wakes whom it is about. Once its sender is known it
    /// is handled to its end, whether or not the sender waits for that.
    ///
    /// # Errors
    /// It is refused, malformed, one too many, or storage is busy.
    pub async fn receive(
        &self,
        target: Option<Target>,
        callback: Callback,
        sender: Option<IpAddr>,
        request_id: &str,
    ) -> Result<Outcome, CallbackError> {
        let received = self.received(target.as_ref(), callback, sender).await;
        let (instance, word) = match &received {
            Ok((instance, outcome)) => (instance.as_deref(), outcome.as_str()),
            Err(ServiceError::RateLimited(_)) => (None, "limited"),
            Err(error) => {
                tracing::warn!(request_id, %error, "a callback could not be received");
                (None, "failed")
            }
        };
        let job = match &target {
            Some(Target::Job(id)) => Some(tracing::field::display(id)),
            Some(Target::Instance(_)) | None => None,
        };
        // Addresses are not logged (O-1). This tells one sender from another, and whether it was a given one.
        let sender = sender.map(|address| self.ports.addresses.pseudonym(address));
        tracing::info!(request_id, instance, job, sender, outcome = word, "callback");
        self.ports.meter.callback_received(instance.unwrap_or_default(), word);
        match received?.1 {
            taken @ (Outcome::Accepted | Outcome::Replayed | Outcome::Unmatched) => Ok(taken),
            Outcome::Malformed => Err(CallbackError::Malformed),
            Outcome::UnknownAddress
            | Outcome::Unexpected
            | Outcome::Stranger
            | Outcome::Unsigned
            | Outcome::Forged
            | Outcome::Stale => Err(CallbackError::Refused),
        }
    }

    /// The instance that was reached, if one was, and what became of the callback.
    async fn received(
        &self,
        target: Option<&Target>,
        callback: Callback,
        sender: Option<IpAddr>,
    ) -> Result<(Option<String>, Outcome), ServiceError> {
        let Some(target) = target else { return Ok((None, Outcome::UnknownAddress)) };
        let subject = match target {
            Target::Job(id) => Subject::Job(*id),
            Target::Instance(name) => Subject::of_instance(name),
        };
        let decision = self.ports.limiter.take(subject, Class::Callback, self.ports.clock.monotonic_ms());
        if decision.retry_after.is_some() {
            self.ports.meter.limit_refused(Class::Callback);
            return Err(ServiceError::RateLimited(decision));
        }
        let Some(reached) = self.reach(target).await? else { return Ok((None, Outcome::Unexpected)) };
        let instance = reached.instance.clone();
        if !self.may_call(&instance, sender) {
            return Ok((Some(instance), Outcome::Stranger));
        }
        let place = self.places_of(&instance).take().await.ok_or(ServiceError::CallbacksBusy)?;
        let delivery = match reached.provider.verify_callback(&callback) {
            Ok(delivery) => delivery,
            Err(refusal) => return Ok((Some(instance), refusal.into())),
        };
        let callbacks = self.clone();
        let delivering = tokio::spawn(async move {
            let _until_it_is_taken = place;
            callbacks.deliver(reached, delivery, callback).await
        });
        let stopped = |error| ServiceError::Internal(format!("receiving a callback stopped: {error}"));
        Ok((Some(instance), delivering.await.map_err(stopped)??))
    }

    /// Where an instance's callbacks are taken. Instances are the operator's: there are few.
    fn places_of(&self, instance: &str) -> Places {
        let mut all = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = all.get(instance) {
            return places.clone();
        }
        all.entry(instance.to_owned()).or_insert(Places::new(PLACES)).clone()
    }

    /// Whether an instance's provider calls from there.
    fn may_call(&self, instance: &str, sender: Option<IpAddr>) -> bool {
        let Some(networks) = self.ports.senders.get(instance) else { return true };
        sender.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
    }

    fn period(&self) -> u64 {
        self.ports.clock.now().unix_seconds() / PERIOD.as_secs()
    }

    /// Forgets what need not be remembered, until told to stop.
    pub async fn run_sweeps(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            // The period before this one counts still.
            let (store, period) = (self.ports.store.clone(), self.period().saturating_sub(1));
            if let Err(error) = self.ports.pool.run(move || store.sweep_callbacks(period, SWEPT_MAX)).await {
                tracing::warn!(%error, "old callbacks could not be forgotten");
            }
            tokio::select! {
                () = tokio::time::sleep(SWEEP_EVERY) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn reach(&self, target: &Target) -> Result<Option<Reached>, ServiceError> {
        let (instance, job) = match target {
            Target::Instance(name) => (name.as_str().to_owned(), None),
            Target::Job(id) => match self.ports.jobs.called_back(*id).await? {
                Some(job) => (job.request.instance().to_owned(), Some(job)),
                None => return Ok(None),
            },
        };
        let provider = self.ports.registry.provider(&instance);
        Ok(provider.map(|provider| Reached { instance, provider, job }))
    }

    async fn deliver(
        &self,
        reached: Reached,
        delivery: Delivery,
        callback: Callback,
    ) -> Result<Outcome, ServiceError> {
        if !delivery.is_signed {
            // Anybody may have sent it: it is a reason to ask, and nothing else.
            return self.wake(&reached, None, vec![None]).await;
        }
        let mark = mark(&reached.instance, &delivery.id);
        let (store, period) = (self.ports.store.clone(), self.period());
        if self.ports.pool.run(move || store.is_callback_taken(mark, period)).await? {
            return Ok(Outcome::Replayed);
        }
        let is_over = reached.job.as_ref().is_some_and(|job| job.state.is_final());
        let events = if is_over { Some(Vec::new()) } else { self.read(&reached, callback).await };
        match events {
            Some(events) => self.wake(&reached, Some(mark), events).await,
            None => Ok(Outcome::Malformed),
        }
    }

    /// What a callback says; `None` if it is malformed.
    async fn read(&self, reached: &Reached, callback: Callback) -> Option<Vec<Option<CallbackEvent>>> {
        if serde_json::from_slice::<serde::de::IgnoredAny>(&callback.body).is_err() {
            return None;
        }
        match reached.provider.parse_callback(context(reached), callback).await {
            Ok(events) => Some(events.into_iter().take(EVENTS_MAX).map(Some).collect()),
            Err(error) if is_the_callbacks_fault(&error) => None,
            Err(error) => {
                // It is genuine, whatever became of its plugin: the job is asked about.
                // Not its words: a callback may repeat a prompt.
                tracing::warn!(
                    instance = reached.instance,
                    error = error.kind(),
                    "a callback could not be read"
                );
                Some(vec![None])
            }
        }
    }

    /// Wakes the jobs that events are about, and marks their callback, all at once: what could not be done may be delivered again.
    async fn wake(
        &self,
        reached: &Reached,
        mark: Option<CallbackMark>,
        events: Vec<Option<CallbackEvent>>,
    ) -> Result<Outcome, ServiceError> {
        let named =
            events.into_iter().filter_map(|event| Some((self.about(reached, event.as_ref())?, event)));
        let (store, period) = (self.ports.store.clone(), self.period());
        let take = move |jobs: &[JobId], now| store.take_callback(mark, period, jobs, now);
        Ok(match self.ports.jobs.wake(named.collect(), take).await? {
            Woken::Now => Outcome::Accepted,
            Woken::Nobody => Outcome::Unmatched,
            Woken::Before => Outcome::Replayed,
        })
    }

    /// The job that an event is about.
    fn about(&self, reached: &Reached, event: Option<&CallbackEvent>) -> Option<JobId> {
        let named = event.and_then(|event| event.provider_id.as_deref());
        match (&reached.job, named) {
            (Some(job), Some(named)) if job.is_another_at_its_provider(named) => None,
            (Some(job), _) => Some(job.id),
            (None, Some(named)) => self.ports.jobs.at_provider(&reached.instance, named),
            (None, None) => None,
        }
    }
}

fn mark(instance: &str, delivery: &str) -> CallbackMark {
    let mut hasher = blake3::Hasher::new_derive_key("atelier 2026-11 processed callback");
    hasher.update(&(instance.len() as u64).to_be_bytes()).update(instance.as_bytes());
    CallbackMark(*hasher.update(delivery.as_bytes()).finalize().as_bytes())
}

fn context(reached: &Reached) -> CallContext {
    let context = CallContext::of_host("callback", PARSE_BUDGET);
    let scope = reached.job.as_ref().map_or_else(|| "".into(), |job| crate::caller::scope_of(job.owner));
    let template = reached.job.as_ref().and_then(|job| job.request.template.as_ref());
    let hidden = template.map(|template| Arc::new(template.hidden()));
    CallContext { request_id: format!("callback-{}", context.call).into(), scope, hidden, ..context }
}

fn is_the_callbacks_fault(error: &atelier_domain::failure::ProviderError) -> bool {
    use atelier_domain::failure::{FailureCode, ProviderError};
    matches!(error, ProviderError::Reported { failure, .. } if failure.code == FailureCode::InvalidRequest)
}
