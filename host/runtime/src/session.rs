//! What a capability's code gets: the store of one call, and what its end means.

use std::sync::Arc;

use atelier_domain::failure::{Limit, ProviderError};
use atelier_domain::provider::CallContext;
use tokio::sync::Semaphore;
use wasmtime::component::Instance;
use wasmtime::{Store, Trap};

use crate::blank::Blank;
use crate::cpu::CpuMeter;
use crate::egress::Patterns;
use crate::fresh::{self, Fresh};
use crate::host_state::CallState;
use crate::limits::limit_error;
use crate::sandbox::LoadedPlugin;
use crate::v0_1::bindings::host::atelier::provider::log::Level;
use crate::v0_1::bindings::host::atelier::provider::types as wit;
use crate::v0_1::convert;

/// What a capability's code gets: the store of a call that is about to run.
pub struct Session {
    pub store: Store<CallState>,
    pub plugin: Arc<LoadedPlugin>,
    pub context: wit::CallContext,
    /// Absent until it is wanted, or once it was.
    instance: Option<Instance>,
    headroom: Arc<Semaphore>,
}

impl Session {
    /// A call's session: in an instance from stock, or in one that is made when it is wanted.
    pub fn new(
        fresh: Fresh,
        plugin: Arc<LoadedPlugin>,
        context: CallContext,
        cpu: Arc<CpuMeter>,
        headroom: Arc<Semaphore>,
    ) -> Self {
        let Fresh { mut store, instance } = fresh;
        let seen = convert::context(&context, &store.data().shared);
        store.data_mut().begin(context, cpu, plugin.package.needs_wasi);
        store.set_epoch_deadline(1);
        Self { store, plugin, context: seen, instance, headroom }
    }

    /// The instance, which serves this call alone.
    ///
    /// # Errors
    /// It could not be made, or its code trapped on the way.
    pub async fn instance(&mut self) -> wasmtime::Result<Instance> {
        match self.instance.take() {
            Some(instance) => Ok(instance),
            None => self.plugin.exports.pre.instantiate_async(&mut self.store).await,
        }
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
            Ok(Ok(value)) => {
                fresh::dispose(self.store, &self.headroom);
                return Ok(value);
            }
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
                fresh::dispose(self.store, &self.headroom);
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
            | ProviderError::PromptRefused { .. }
            | ProviderError::PromptUnjudged { .. }
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

/// Runs `$call` on the capability's export and gives its typed result, or the error that there is no such export.
macro_rules! export {
    ($session:ident, $capability:ident, $accessor:ident, $guest:ident => $call:expr) => {{
        let plugin = std::sync::Arc::clone(&$session.plugin);
        let Some(export) = &plugin.exports.$capability else {
            return Err($session.unsupported(stringify!($capability)));
        };
        let instance = $session.instance().await;
        match instance.and_then(|instance| export.load(&mut $session.store, &instance)) {
            Ok(bindings) => {
                let $guest = bindings.$accessor();
                $call.await
            }
            Err(error) => Err(error),
        }
    }};
}

pub(crate) use export;
