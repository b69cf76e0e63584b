//! One call: a fresh instance, its limits and clocks, and what its end means.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use atelier_domain::egress::DeniedEgress;
use atelier_domain::failure::{Limit, ProviderError};
use atelier_domain::model::Description;
use atelier_domain::provider::CallContext;
use futures::Stream;
use tokio::sync::mpsc;

use crate::cpu::CpuMeter;
use crate::fresh::{Fresh, Stock};
use crate::host_state::{Shared, Used, milliseconds};
use crate::lane::{Stopped, TwoLanes};
use crate::limits::limit_error;
use crate::sandbox::{LoadedPlugin, Sandbox};
use crate::session::{Session, export};
use crate::v0_1::convert;

/// Batches of events on their way from a guest to its caller.
pub const EVENT_BATCHES_MAX: usize = 16;

/// A capability's part of a call.
pub type Body<T> = Pin<Box<dyn Future<Output = Result<T, ProviderError>> + Send>>;

/// Runs a capability's body in a fresh session, within all limits.
pub async fn run<T: Send + 'static>(
    sandbox: &Arc<Sandbox>,
    plugin: Arc<LoadedPlugin>,
    shared: Arc<Shared>,
    context: CallContext,
    stock: Option<&Arc<Stock>>,
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
    let headroom = &sandbox.headroom;
    let prepared = stock.and_then(|stock| {
        stock.refill(headroom, &plugin, &shared);
        stock.take()
    });
    let fresh = prepared.unwrap_or_else(|| Fresh::empty(&plugin, shared));
    let session = Session::new(fresh, plugin, context, Arc::clone(&cpu), Arc::clone(headroom));
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
    /// A request did not leave, since the instance may not reach its host. A guest may try in a loop.
    fn egress_denied(&self, _denied: &DeniedEgress<'_>) {}
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
    let context = CallContext::of_host("describe", shared.profile.wall);
    run(sandbox, Arc::clone(plugin), shared, context, None, |mut session| {
        Box::pin(async move {
            let result = export!(session, catalog, atelier_provider_catalog, guest =>
                guest.call_describe(&mut session.store));
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
