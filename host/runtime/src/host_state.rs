//! What the host keeps for one call: its limits, its handles, and what it was refused.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::blob::BlobStore;
use atelier_domain::egress::{DeniedEgress, shown_host};
use atelier_domain::failure::{Limit, ProviderError};
use atelier_domain::provider::CallContext;
use atelier_domain::time::Clock;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use wasmtime::UpdateDeadline;
use wasmtime::component::ResourceTable;

use crate::call::Observer;
use crate::cpu::CpuMeter;
use crate::egress::{Egress, EgressError, Grants, Secrets};
use crate::engine::TICK;
use crate::limits::{Meter, Profile, limit_error};
use crate::traffic::Traffic;
use crate::v0_1::imports::cache::InstanceCache;
use crate::v0_1::imports::quota::QuotaReport;
use crate::v0_1::imports::random::Randomness;
use crate::v0_1::imports::wasi::Wasi;

/// CPU time since the first tick within a poll at which the guest has not paused for a tick: between two ticks its thread may lose the
/// processor for a while.
const OVERRUN: Duration = Duration::from_nanos(TICK.subsec_nanos() as u64 / 2);

/// What all calls of one instance share.
pub struct Shared {
    /// The instance's name, or the plugin's id for `describe`.
    pub name: String,
    /// The plugin's id.
    pub plugin: String,
    pub base_url: String,
    /// The settings as JSON text.
    pub settings: String,
    pub grants: Grants,
    pub secrets: Secrets,
    pub profile: Profile,
    /// Absent: no way out, as for `describe`.
    pub egress: Option<Egress>,
    pub blobs: Arc<dyn BlobStore>,
    pub cache: InstanceCache,
    pub clock: Arc<dyn Clock>,
    pub randomness: Randomness,
    pub quota: QuotaReport,
    pub observer: Arc<dyn Observer>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("name", &self.name)
            .field("base_url", &self.base_url)
            .finish_non_exhaustive()
    }
}

impl Shared {
    /// The call's own error, if the way out refused: see [`EgressError::refusal`]. Whoever observes is told of what was denied.
    pub fn refusal(&self, error: &EgressError, request_id: &str) -> Option<ProviderError> {
        if let EgressError::Denied { host, denial } = error {
            let host = self.secrets.patterns().blank_text(host).unwrap_or_else(|| host.clone());
            self.observer.egress_denied(&DeniedEgress {
                instance: &self.name,
                plugin: &self.plugin,
                host: shown_host(&host),
                denial: *denial,
                request_id,
            });
        }
        error.refusal(&self.name)
    }
}

/// What a call has used of the limits that the host itself counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Linear memory, in bytes; counted by wasmtime's limiter and put here at the call's end.
    pub memory_bytes: usize,
    pub response_bytes: u64,
    pub blob_bytes: u64,
    pub log_bytes: usize,
    /// Over all ways out; put here at the call's end.
    pub requests: u32,
    pub host_calls: u64,
}

/// The state of one call: the `T` of its `Store<T>`.
pub struct CallState {
    pub shared: Arc<Shared>,
    pub context: CallContext,
    pub table: ResourceTable,
    pub meter: Meter,
    pub cpu: Arc<CpuMeter>,
    pub used: Used,
    pub traffic: Arc<Traffic>,
    pub wasi: Option<Box<Wasi>>,
    /// The runtime that the call began on.
    home: Handle,
    refusal: Option<ProviderError>,
}

impl CallState {
    /// The state of an instance that no call has yet.
    pub fn new(shared: Arc<Shared>) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(shared.profile.handles);
        let meter = Meter::new(shared.profile.memory_bytes, shared.profile.table_elements);
        Self {
            context: CallContext::of_host("none", Duration::ZERO),
            shared,
            table,
            meter,
            cpu: Arc::default(),
            used: Used::default(),
            traffic: Arc::default(),
            wasi: None,
            home: Handle::current(),
            refusal: None,
        }
    }

    /// A call begins, on the current runtime.
    pub fn begin(&mut self, context: CallContext, cpu: Arc<CpuMeter>, needs_wasi: bool) {
        self.wasi =
            needs_wasi.then(|| Box::new(Wasi::new(&self.shared, &context, Arc::clone(&self.traffic))));
        self.context = context;
        self.cpu = cpu;
        self.home = Handle::current();
    }

    /// Tells the call's clock what else the call has used.
    pub fn note_used_up(&self) {
        let (memory_bytes, requests) = (self.meter.memory(), self.traffic.requests());
        self.cpu.note_used_up(Used { memory_bytes, requests, ..self.used });
    }

    /// Runs work on the runtime that the call began on, although the call itself may be in the slow lane: a connection is driven by
    /// the runtime it was dialed on, and others will use it after this call. Dropping the future ends the work.
    ///
    /// # Errors
    /// The runtime is ending, or the work panicked.
    pub fn at_home<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
        &self,
        work: F,
    ) -> impl Future<Output = wasmtime::Result<T>> + Send + use<T, F> {
        let home = self.home.clone();
        async move {
            if Handle::current().id() == home.id() {
                return Ok(work.await);
            }
            let mut task = JoinSet::new();
            task.spawn_on(work, &home);
            match task.join_next().await {
                Some(Ok(output)) => Ok(output),
                Some(Err(error)) => Err(wasmtime::Error::msg(error.to_string())),
                None => Err(wasmtime::Error::msg("the work was lost")),
            }
        }
    }

    /// Remembers the first thing that was refused: it is what the operator needs to know, whatever the guest makes of it.
    pub fn refuse(&mut self, error: ProviderError) {
        self.refusal.get_or_insert(error);
    }

    /// Refuses by a limit.
    pub fn refuse_limit(&mut self, limit: Limit, budget: impl Into<String>) {
        self.refuse(limit_error(&self.shared.name, limit, budget));
    }

    /// Refuses by a limit, and ends the guest.
    pub fn trap_limit(&mut self, limit: Limit, budget: impl Into<String>) -> wasmtime::Error {
        let budget = budget.into();
        let error = wasmtime::Error::msg(format!("the limit {limit} ({budget}) is used up"));
        self.refuse_limit(limit, budget);
        error
    }

    /// Refuses something that no plugin may do, and ends the guest.
    pub fn trap_forbidden(&mut self, what: impl Into<String>) -> wasmtime::Error {
        let what = what.into();
        let error = wasmtime::Error::msg(what.clone());
        self.refuse(ProviderError::Forbidden { instance: self.shared.name.clone(), what });
        error
    }

    /// Counts a call into the host.
    ///
    /// # Errors
    /// There were too many: the guest ends.
    pub fn count_host_call(&mut self) -> wasmtime::Result<()> {
        self.used.host_calls += 1;
        let max = self.shared.profile.host_calls;
        if self.used.host_calls > max {
            Err(self.trap_limit(Limit::HostCalls, format!("{max} calls")))
        } else {
            Ok(())
        }
    }

    /// Puts a handle into the call's table.
    ///
    /// # Errors
    /// The table is full: the guest ends.
    pub fn push<T: Send + 'static>(
        &mut self,
        entry: T,
    ) -> wasmtime::Result<wasmtime::component::Resource<T>> {
        match self.table.push(entry) {
            Ok(handle) => Ok(handle),
            Err(_) => {
                let max = self.shared.profile.handles;
                Err(self.trap_limit(Limit::Handles, format!("{max} handles")))
            }
        }
    }

    /// What was refused first: by the host, or by wasmtime's limiter.
    pub fn take_refusal(&mut self) -> Option<ProviderError> {
        self.refusal.take().or_else(|| {
            self.meter.refused.take().map(|(limit, budget)| limit_error(&self.shared.name, limit, budget))
        })
    }

    /// The epoch callback: a tick has passed since the guest's last one. That says nothing yet: the guest may have waited, or its
    /// thread may have lost the processor. Only CPU time from one tick to another within one poll is an overrun.
    ///
    /// # Errors
    /// The call's CPU time is used up.
    pub fn tick(&mut self) -> wasmtime::Result<UpdateDeadline> {
        let seen = self.cpu.tick();
        let max = self.shared.profile.cpu;
        if seen.call > max {
            return Err(self.trap_limit(Limit::CpuTime, milliseconds(max)));
        }
        if seen.since_first < OVERRUN {
            return Ok(UpdateDeadline::Continue(1));
        }
        self.cpu.note_overrun();
        Ok(UpdateDeadline::Yield(1))
    }
}

impl Drop for CallState {
    fn drop(&mut self) {
        self.note_used_up();
    }
}

impl fmt::Debug for CallState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallState")
            .field("shared", &self.shared)
            .field("used", &self.used)
            .finish_non_exhaustive()
    }
}

/// A budget of time, for people.
pub fn milliseconds(duration: Duration) -> String {
    format!("{} ms", duration.as_millis())
}
