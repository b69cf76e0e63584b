//! One configured instance of a plugin, behind the domain's port.

mod callbacks;
mod ports;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use atelier_domain::blob::Blob;
use atelier_domain::failure::{FailureCode, ProviderError};
use atelier_domain::model::Description;
use atelier_domain::plugin::{InstanceConfig, SecretValue};
use atelier_domain::provider::CallContext;
use tokio::sync::OnceCell;
use url::Url;

use crate::breaker::Breaker;
use crate::call::{self, Body};
use crate::egress::{Grants, HostPattern, Secrets};
use crate::fresh::Stock;
use crate::host_state::Shared;
use crate::sandbox::{LoadedPlugin, Sandbox};
use crate::session::Session;
use crate::v0_1::imports::cache::InstanceCache;
use crate::v0_1::imports::quota::{QuotaReport, QuotaWindow};
pub use callbacks::Callbacks;

/// What a plugin may keep for one caller with secrets of their own.
const OWN_CACHE_BYTES: u64 = 256 << 10;

/// An instance as configured, with the file of its plugin.
#[derive(Clone, Debug)]
pub struct InstanceSettings {
    pub config: InstanceConfig,
    pub manifest: atelier_domain::manifest::Manifest,
    /// The plugin's file, read when it is first needed.
    pub file: std::path::PathBuf,
    /// BLAKE3 that the file must have, in hexadecimal.
    pub digest: String,
}

/// An instance that cannot be configured as asked.
#[derive(Debug, thiserror::Error)]
#[error("instance {instance}: {why}")]
pub struct InvalidInstance {
    pub instance: String,
    pub why: String,
}

/// One configured instance of a plugin. Its component is loaded at the first call.
pub struct SandboxedProvider {
    sandbox: Arc<Sandbox>,
    shared: Arc<Shared>,
    /// Without the values of its secrets.
    settings: InstanceSettings,
    /// The same for all that are made of it with other secrets.
    plugin: Arc<OnceCell<Arc<LoadedPlugin>>>,
    description: OnceCell<Arc<Description>>,
    stock: Arc<Stock>,
    /// Itself: a call outlives the borrow that began it.
    weak: Weak<Self>,
    /// The plugin's own faults.
    faults: Breaker,
    /// The upstream's failures, but never those of a caller's own making.
    upstream: Breaker,
    /// Absent where a caller's own secrets are used.
    callbacks: Option<Callbacks>,
    /// The instance's grants and its plugin's download hosts.
    downloads: Grants,
}

impl fmt::Debug for SandboxedProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SandboxedProvider").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl SandboxedProvider {
    /// Checks a configuration and prepares its grants and secrets.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn new(sandbox: Arc<Sandbox>, settings: InstanceSettings) -> Result<Arc<Self>, InvalidInstance> {
        let callbacks = Callbacks::new(&settings.manifest, &settings.config);
        let callbacks =
            callbacks.map_err(|why| InvalidInstance { instance: settings.config.name.to_string(), why })?;
        let cache_bytes = sandbox.profile.cache_bytes;
        Self::build(sandbox, settings, Arc::default(), Some(callbacks), cache_bytes)
    }

    /// The same instance with the secrets of a caller.
    fn with_own(&self, own: &BTreeMap<String, SecretValue>) -> Result<Arc<Self>, String> {
        let mut settings = self.settings.clone();
        settings.config.secrets.clone_from(own);
        let (sandbox, plugin) = (Arc::clone(&self.sandbox), Arc::clone(&self.plugin));
        let cache_bytes = sandbox.profile.cache_bytes.min(OWN_CACHE_BYTES);
        let provider =
            Self::build(sandbox, settings, plugin, None, cache_bytes).map_err(|error| error.why)?;
        match provider.missing_secret() {
            Some(missing) => Err(format!("its plugin needs the secret {missing} too")),
            None => Ok(provider),
        }
    }

    fn build(
        sandbox: Arc<Sandbox>,
        mut settings: InstanceSettings,
        plugin: Arc<OnceCell<Arc<LoadedPlugin>>>,
        callbacks: Option<Callbacks>,
        cache_bytes: u64,
    ) -> Result<Arc<Self>, InvalidInstance> {
        let config = &settings.config;
        let invalid = |why: String| InvalidInstance { instance: config.name.to_string(), why };
        let (grants, base) = grants_of(&settings).map_err(invalid)?;
        let (specs, clock) = (&settings.manifest.secrets, Arc::clone(&sandbox.clock));
        let secrets =
            Secrets::new(specs, &config.secrets, Some(base), &config.settings, clock).map_err(invalid)?;
        if let Some(unknown) = config
            .secrets
            .keys()
            .find(|name| !settings.manifest.secrets.iter().any(|spec| &spec.name == *name))
        {
            return Err(invalid(format!("{} has no secret {unknown:?}", settings.manifest.id)));
        }
        let downloads = settings.manifest.download_hosts.iter().filter_map(|host| HostPattern::parse(host));
        let downloads = grants.clone().and(&Grants::new(downloads.collect(), Vec::new()));
        let mut profile = sandbox.profile.clone();
        if let Some(mib) = settings.manifest.limits.memory_mib {
            profile.memory_bytes = profile.memory_bytes.min((mib as usize) << 20);
        }
        let randomness = sandbox.randomness();
        let shared = Shared {
            name: config.name.to_string(),
            plugin: settings.manifest.id.clone(),
            base_url: config.base_url.trim_end_matches('/').to_owned(),
            settings: serde_json::Value::Object(config.settings.clone()).to_string(),
            grants,
            secrets,
            egress: Some(sandbox.egress.clone()),
            blobs: Arc::clone(&sandbox.blobs),
            cache: InstanceCache::new(cache_bytes),
            profile,
            clock: Arc::clone(&sandbox.clock),
            randomness,
            quota: QuotaReport::default(),
            observer: Arc::clone(&sandbox.observer),
        };
        settings.config.secrets.clear();
        Ok(Arc::new_cyclic(|weak| Self {
            sandbox,
            shared: Arc::new(shared),
            settings,
            plugin,
            description: OnceCell::new(),
            stock: Arc::default(),
            weak: Weak::clone(weak),
            faults: Breaker::default(),
            upstream: Breaker::default(),
            callbacks,
            downloads,
        }))
    }

    /// The name of the first required secret that is not set.
    pub fn missing_secret(&self) -> Option<&str> {
        self.shared.secrets.missing()
    }

    /// What the provider last said of its own rate limits.
    pub fn quota(&self) -> Option<(atelier_domain::time::Timestamp, Vec<QuotaWindow>)> {
        self.shared.quota.last()
    }

    /// The instance's grants: what the host may fetch on its behalf goes by the manifest's download hosts instead.
    pub fn grants(&self) -> &Grants {
        &self.shared.grants
    }

    fn now_ms(&self) -> u64 {
        self.shared.clock.monotonic_ms()
    }

    fn admit(&self) -> Result<(), ProviderError> {
        let now = self.now_ms();
        for breaker in [&self.faults, &self.upstream] {
            breaker.admit(now).map_err(|open| ProviderError::Unavailable {
                instance: self.shared.name.clone(),
                reason: format!("its breaker is open after repeated failures: {}", open.reason),
                retry_after: Some(open.retry_after),
            })?;
        }
        match self.shared.secrets.missing() {
            Some(secret) => Err(ProviderError::SecretMissing {
                instance: self.shared.name.clone(),
                secret: secret.to_owned(),
            }),
            None => Ok(()),
        }
    }

    fn record<T>(&self, result: &Result<T, ProviderError>) {
        let now = self.now_ms();
        let Err(error) = result else {
            self.faults.record(now, None);
            self.upstream.record(now, None);
            return;
        };
        if error.is_plugin_fault() {
            self.faults.record(now, Some(&error.to_string()));
        } else if let ProviderError::Reported { failure, .. } = error {
            self.faults.record(now, None);
            let upstream_failed = matches!(
                failure.code,
                FailureCode::Overloaded
                    | FailureCode::Unavailable
                    | FailureCode::Timeout
                    | FailureCode::BadResponse
            ) && failure.http_status.is_none_or(|status| status >= 500);
            self.upstream.record(now, upstream_failed.then(|| error.to_string()).as_deref());
        }
    }

    /// The compiled component; concurrent first calls share one load.
    async fn loaded(&self) -> Result<Arc<LoadedPlugin>, ProviderError> {
        let load = || async {
            let (sandbox, file, digest) =
                (Arc::clone(&self.sandbox), self.settings.file.clone(), self.settings.digest.clone());
            tokio::task::spawn_blocking(move || {
                let bytes = std::fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
                if blake3::hash(&bytes).to_hex().as_str() != digest {
                    return Err(format!("{} is not the file that was installed", file.display()));
                }
                sandbox.load(&bytes).map_err(|error| error.to_string())
            })
            .await
            .map_err(|error| error.to_string())
            .and_then(|loaded| loaded)
        };
        self.plugin.get_or_try_init(load).await.cloned().map_err(|reason| ProviderError::Unavailable {
            instance: self.shared.name.clone(),
            reason,
            retry_after: None,
        })
    }

    /// A call: admitted by the breakers, run in the sandbox, recorded.
    async fn call<T: Send + 'static>(
        self: Arc<Self>,
        context: CallContext,
        body: impl FnOnce(Session) -> Body<T> + Send + 'static,
    ) -> Result<T, ProviderError> {
        self.admit()?;
        let plugin = self.loaded().await?;
        // Instances in stock are for callers who share one.
        let stock = self.callbacks.as_ref().map(|_| &self.stock);
        let result = call::run(&self.sandbox, plugin, Arc::clone(&self.shared), context, stock, body).await;
        self.record(&result);
        result
    }

    /// Fetches a result whose download wants the instance's secret.
    async fn download(&self, url: &str, bytes_max: u64) -> Result<Blob, ProviderError> {
        let (egress, store) = (&self.sandbox.egress, Arc::clone(&self.shared.blobs));
        let fetched = egress.download(url, &self.downloads, &self.shared.secrets, store, bytes_max).await;
        fetched.map_err(|error| {
            self.shared.refusal(&error, "").unwrap_or_else(|| ProviderError::Unavailable {
                instance: self.shared.name.clone(),
                reason: format!("its result could not be fetched: {error}"),
                retry_after: None,
            })
        })
    }

    /// A context for calls that the host makes for itself.
    pub fn own_context(&self, budget: Duration) -> CallContext {
        CallContext::of_host("host", budget)
    }
}

/// What the instance may reach, and the base URL's own host.
fn grants_of(settings: &InstanceSettings) -> Result<(Grants, HostPattern), String> {
    let config = &settings.config;
    let base = Url::parse(&config.base_url).map_err(|error| format!("base_url is malformed: {error}"))?;
    if !matches!(base.scheme(), "https" | "http") || base.query().is_some() || base.fragment().is_some() {
        return Err("base_url must be an http or https URL without query and fragment".to_owned());
    }
    let host = base.host_str().ok_or("base_url has no host")?;
    let base_host = match base.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    };
    let parse = |list: &mut dyn Iterator<Item = &String>| {
        list.map(|text| {
            HostPattern::parse(text).ok_or_else(|| format!("{text:?} is not a host, *.host or host:port"))
        })
        .collect::<Result<Vec<_>, _>>()
    };
    let own = HostPattern::parse(&base_host).ok_or_else(|| format!("{base_host:?} is not a host"))?;
    let mut public = parse(&mut settings.manifest.hosts.iter().chain(&config.hosts))?;
    public.push(own.clone());
    let private = parse(&mut config.private_hosts.iter())?;
    Ok((Grants::new(public, private), own))
}
