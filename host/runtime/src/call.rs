//! One call: a fresh instance, its limits and clocks, and what its end means.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use atelier_domain::failure::{Limit, ProviderError};
use atelier_domain::id::CallId;
use atelier_domain::model::Description;
use atelier_domain::provider::CallContext;
use futures::Stream;
use tokio::sync::mpsc;
use wasmtime::{Store, Trap};

use crate::blank::Blank;
use crate::egress::Patterns;
use crate::host_state::{CallState, Shared, Used, milliseconds};
use crate::lane::{CpuMeter, Stopped, TwoLanes};
use crate::limits::limit_error;
use crate::sandbox::{LoadedPlugin, Sandbox};
use crate::traffic::Traffic;
use crate::v0_1::bindings::host::atelier::provider::log::Level;
use crate::v0_1::bindings::host::atelier::provider::types as wit;
use crate::v0_1::convert;
use crate::v0_1::imports::wasi::Wasi;

/// Batches of events on their way from a guest to its caller.
pub const EVENT_BATCHES_MAX: usize = 16;

/// What a capability's code gets: the store of a call that is about to run.
pub struct Session {
    pub store: Store<CallState>,
    pub plugin: Arc<LoadedPlugin>,
    pub context: wit::CallContext,
}

/// A capability's part of a call.
pub type Body<T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send>>;

impl Session {
    fn new(plugin: Arc<LoadedPlugin>, shared: Arc<Shared>, context: CallContext, cpu: Arc<CpuMeter>) -> Self {
        let seen = convert::context(&context, &shared);
        let traffic = Arc::new(Traffic::default());
        let wasi =
            plugin.package.needs_wasi.then(|| Box::new(Wasi::new(&shared, &context, Arc::clone(&traffic))));
        let engine = plugin.exports.catalog.engine().clone();
        let mut store = Store::new(&engine, CallState::new(shared, context, cpu, wasi, traffic));
        let host_call_bytes = store.data().shared.profile.host_call_bytes;
        store.set_hostcall_fuel(host_call_bytes);
        store.limiter(|state| &mut state.meter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| store.data_mut().tick());
        Self { store, plugin, context: seen }
    }

    /// What the end of an export means.
    ///
    /// # Errors
    /// What was refused, what the plugin reported, or how it fell.
    pub fn finish<T>(
        mut self,
        result: wasmtime::Result<Result<T, wit::Failure>>,
    ) -> Result<T, ProviderError> {
        self.pass_on_output();
        let refusal = |state: &mut CallState| {
            state.take_refusal().or_else(|| state.wasi.as_ref().and_then(|wasi| wasi.take_refusal()))
        };
        let error = match result {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => refusal(self.store.data_mut()).unwrap_or_else(|| self.reported(failure)),
            Err(trap) => refusal(self.store.data_mut()).unwrap_or_else(|| self.fallen(&trap)),
        };
        Err(self.without_secrets(error))
    }

    /// The end of an export that gave a result: the result without secrets.
    ///
    /// # Errors
    /// It breaks a rule of the contract, in the words of `converted`.
    pub fn give<T: Blank>(mut self, converted: Result<T, String>) -> Result<T, ProviderError> {
        self.pass_on_output();
        match converted {
            Ok(mut value) => {
                value.blank(&self.patterns());
                Ok(value)
            }
            Err(what) => {
                let instance = self.store.data().shared.name.clone();
                Err(self.without_secrets(ProviderError::Forbidden { instance, what }))
            }
        }
    }

    /// The plugin has no such capability.
    pub fn unsupported(&self, capability: &str) -> ProviderError {
        let instance = self.store.data().shared.name.clone();
        ProviderError::Unsupported { instance, task: capability.replace('_', "-") }
    }

    /// What must not get out.
    pub fn patterns(&self) -> Arc<Patterns> {
        self.store.data().shared.secrets.patterns()
    }

    fn pass_on_output(&mut self) {
        let state = self.store.data_mut();
        let Some(output) = state.wasi.as_ref().map(|wasi| wasi.output()) else { return };
        for line in String::from_utf8_lossy(&output).lines() {
            if state.log_line(Level::Info, line).is_err() {
                break;
            }
        }
    }

    /// Secrets are blanked before texts are cut to size: a cut could leave most of one.
    fn reported(&self, mut failure: wit::Failure) -> ProviderError {
        let state = self.store.data();
        let patterns = self.patterns();
        failure.message.blank(&patterns);
        failure.param.blank(&patterns);
        failure.provider_detail.blank(&patterns);
        let mut failure = convert::failure(failure);
        // What the plugin read from the answer's body says it best; the headers are read here, for all plugins.
        failure.retry_after = failure.retry_after.or_else(|| state.traffic.retry_after());
        ProviderError::Reported { instance: state.shared.name.clone(), failure: Box::new(failure) }
    }

    /// Blanks secrets in all that a guest can have put into an error.
    fn without_secrets(&self, mut error: ProviderError) -> ProviderError {
        let patterns = self.patterns();
        match &mut error {
            ProviderError::EgressDenied { host, reason, .. } => {
                host.blank(&patterns);
                reason.blank(&patterns);
            }
            ProviderError::Forbidden { what, .. } => what.blank(&patterns),
            ProviderError::Trapped { detail, .. } => detail.blank(&patterns),
            ProviderError::Reported { .. }
            | ProviderError::LimitReached { .. }
            | ProviderError::SecretMissing { .. }
            | ProviderError::SecretRefused { .. }
            | ProviderError::Unavailable { .. }
            | ProviderError::Unsupported { .. }
            | ProviderError::Canceled => {}
        }
        error
    }

    fn fallen(&self, trap: &wasmtime::Error) -> ProviderError {
        let shared = &self.store.data().shared;
        let text = format!("{trap:#}");
        if let Some(Trap::StackOverflow) = trap.downcast_ref::<Trap>() {
            return limit_error(
                &shared.name,
                Limit::Stack,
                format!("{} KiB", shared.profile.stack_bytes >> 10),
            );
        }
        if text.contains("fuel allocated for hostcalls") {
            let budget = format!("{} KiB", shared.profile.host_call_bytes >> 10);
            return limit_error(&shared.name, Limit::HostCallMemory, budget);
        }
        let detail: String = text.chars().take(500).collect();
        ProviderError::Trapped { instance: shared.name.clone(), detail }
    }
}

/// Runs a capability's body in a fresh session, within all limits.
pub async fn run<T: Send + 'static>(
    sandbox: &Arc<Sandbox>,
    plugin: Arc<LoadedPlugin>,
    shared: Arc<Shared>,
    context: CallContext,
    body: impl FnOnce(Session) -> Body<T> + Send + 'static,
) -> Result<T, ProviderError> {
    let name = shared.name.clone();
    let Ok(place) = Arc::clone(&sandbox.places).try_acquire_owned() else {
        return Err(ProviderError::Unavailable {
            instance: name,
            reason: format!("all {} places for plugin calls are taken", shared.profile.concurrent_calls),
            retry_after: Some(Duration::from_secs(1)),
        });
    };
    let running = sandbox.engines.running();
    let is_short = context.budget < shared.profile.wall;
    let wall = context.budget.min(shared.profile.wall);
    let cpu = Arc::new(CpuMeter::default());
    let report = Report { cpu: Arc::clone(&cpu), observer: &*sandbox.observer, instance: &name };
    let plugin_id = Arc::clone(&plugin.id);
    let session = Session::new(plugin, shared, context, Arc::clone(&cpu));
    let body = body(session);
    // A call that is given up in the slow lane keeps its instance until its next pause: its place goes with it.
    let call = async move {
        let _held = (place, running);
        body.await
    };
    let call = TwoLanes::new(call, cpu, Arc::clone(&sandbox.slow_lane), plugin_id);
    let result = match tokio::time::timeout(wall, call).await {
        Ok(Ok(result)) => result,
        Ok(Err(Stopped::LaneFull)) => {
            Err(limit_error(&name, Limit::SlowLane, format!("{} calls", sandbox.profile.slow_lane_calls)))
        }
        Ok(Err(Stopped::Lost(detail))) => Err(ProviderError::Trapped { instance: name.clone(), detail }),
        // A caller's hurry says nothing of the plugin.
        Err(_) if is_short => Err(limit_error(&name, Limit::CallerTime, milliseconds(wall))),
        Err(_) => Err(limit_error(&name, Limit::WallTime, milliseconds(wall))),
    };
    report.ended(result.as_ref().err());
    result
}

/// What an ended call took, for its observer.
struct Report<'a> {
    cpu: Arc<CpuMeter>,
    observer: &'a dyn Observer,
    instance: &'a str,
}

impl Report<'_> {
    fn ended(&self, error: Option<&ProviderError>) {
        self.observer.call_ended(&CallReport {
            instance: self.instance,
            cpu: self.cpu.used(),
            used: self.cpu.used_up(),
            error,
        });
    }
}

/// What an ended call took.
#[derive(Debug)]
pub struct CallReport<'a> {
    pub instance: &'a str,
    pub cpu: Duration,
    /// What it used beside; nothing if it was given up while it computed.
    pub used: Used,
    pub error: Option<&'a ProviderError>,
}

/// Is told what calls do: metrics, and the harness of plugin authors. Called on the calls' own path: it must be quick.
pub trait Observer: Send + Sync + std::fmt::Debug {
    /// A call ended.
    fn call_ended(&self, report: &CallReport<'_>);
    /// A plugin wrote a line for the operator; it is in the host's log already.
    fn logged(&self, _instance: &str, _line: &str) {}
}

/// Nobody looks.
#[derive(Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {
    fn call_ended(&self, _: &CallReport<'_>) {}
}

/// `catalog.describe`, with the install's context.
pub async fn describe(
    sandbox: &Arc<Sandbox>,
    plugin: &Arc<LoadedPlugin>,
    shared: Arc<Shared>,
) -> Result<Description, ProviderError> {
    let context = CallContext {
        call: CallId::new(),
        request_id: Arc::from("describe"),
        attempt: 1,
        idempotency_key: String::new(),
        budget: shared.profile.wall,
        scope: Arc::from(""),
        callback_url: None,
        depth: 0,
        journal: None,
        previews: None,
    };
    run(sandbox, Arc::clone(plugin), shared, context, |mut session| {
        Box::pin(async move {
            let result = match session.plugin.exports.catalog.instantiate_async(&mut session.store).await {
                Ok(bindings) => bindings.atelier_provider_catalog().call_describe(&mut session.store).await,
                Err(error) => Err(error),
            };
            match result {
                Ok(Ok(description)) => session.give(convert::catalog::description(description)),
                Ok(Err(failure)) => session.finish(Ok(Err(failure))),
                Err(trap) => session.finish(Err(trap)),
            }
        })
    })
    .await
}

/// A live call as a stream: polling it drives the call, dropping it ends the call.
pub struct LiveStream<T> {
    events: mpsc::Receiver<Vec<T>>,
    /// Gives the last batch. Absent once it has ended.
    call: Option<Body<Vec<T>>>,
    last: Option<Result<Vec<T>, ProviderError>>,
}

impl<T> LiveStream<T> {
    /// Joins a call and the channel it writes to.
    pub fn new(events: mpsc::Receiver<Vec<T>>, call: Body<Vec<T>>) -> Self {
        Self { events, call: Some(call), last: None }
    }
}

impl<T: Send + Unpin> Stream for LiveStream<T> {
    type Item = Result<Vec<T>, ProviderError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            match this.events.poll_recv(cx) {
                Poll::Ready(Some(batch)) => return Poll::Ready(Some(Ok(batch))),
                Poll::Ready(None) if this.call.is_none() => {
                    return Poll::Ready(
                        this.last.take().filter(|last| !matches!(last, Ok(batch) if batch.is_empty())),
                    );
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
            let Some(call) = &mut this.call else { return Poll::Pending };
            match call.as_mut().poll(cx) {
                Poll::Ready(last) => {
                    this.last = Some(last);
                    // With the call go its store and its sink, the channel's only senders.
                    this.call = None;
                }
                Poll::Pending => {
                    let batch = ready!(this.events.poll_recv(cx));
                    return match batch {
                        Some(batch) => Poll::Ready(Some(Ok(batch))),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }
}
