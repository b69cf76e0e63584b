//! Plugins at work: the sandbox built from the configuration, and one provider for each configured instance.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use atelier_domain::blob::{Blob, BlobStore};
use atelier_domain::egress::{DeniedEgress, EgressDenial, shown_host};
use atelier_domain::failure::{Failure, FailureCode, ProviderError};
use atelier_domain::model::Description;
use atelier_domain::plugin::{InstalledPlugin, InstanceConfig};
use atelier_domain::time::Clock;
use atelier_runtime::egress::{EgressError, EgressTimeouts, Grants, HostPattern, Secrets};
use atelier_runtime::{
    CompileLimits, Compiler, InstanceSettings, Observer, Profile, Sandbox, SandboxConfig, SandboxedProvider,
};
use atelier_service::fetcher::Fetcher;
use atelier_service::plugins::{
    Examined, PluginHost, Plugins, PluginsError, TrustMode, TrustPolicy, TrustedKey,
};
use atelier_service::registry::Registry;
use bytes::Bytes;

use crate::config;

/// The hidden verb by which this program compiles a component in a child of its own.
pub const COMPILE_VERB: &str = "compile-component";

const COMPILE_LIMITS: CompileLimits = CompileLimits { memory_bytes: 6 << 30, time: Duration::from_secs(300) };

/// The configured limits as the runtime names them.
pub fn profile(limits: &config::Sandbox) -> Profile {
    let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    let count = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
    Profile {
        memory_bytes: size(limits.memory_mib << 20),
        table_elements: size(limits.table_elements),
        stack_bytes: size(limits.stack_kib << 10),
        cpu: Duration::from_millis(limits.cpu_ms),
        wall: Duration::from_millis(limits.wall_ms),
        response_bytes: limits.response_mib << 20,
        blob_bytes: limits.blob_mib << 20,
        log_bytes: size(limits.log_kib << 10),
        open_requests: count(limits.open_requests),
        requests: count(limits.requests),
        handles: size(limits.handles),
        host_call_bytes: size(limits.host_call_memory_mib << 20),
        host_calls: limits.host_calls,
        concurrent_calls: count(limits.concurrent_calls),
        slow_lane_calls: size(limits.slow_lane_calls),
        slow_lane_threads: size(limits.slow_lane_threads),
        cache_bytes: limits.cache_mib << 20,
    }
}

/// The configured trust mode and keys.
///
/// # Errors
/// A key is malformed.
pub fn trust_policy(plugins: &config::Plugins) -> anyhow::Result<TrustPolicy> {
    let mode = match plugins.trust {
        config::TrustMode::Strict => TrustMode::Strict,
        config::TrustMode::Warn => TrustMode::Warn,
        config::TrustMode::Off => TrustMode::Off,
    };
    let keys = plugins.trusted_keys.iter().map(|key| TrustedKey::parse(&key.publisher, &key.key));
    let keys =
        keys.collect::<Result<_, _>>().map_err(|why| anyhow::anyhow!("[[plugins.trusted_keys]]: {why}"))?;
    Ok(TrustPolicy { mode, keys })
}

/// Compiles in a child of this program, within bounds.
///
/// # Errors
/// This program's own file cannot be found.
pub fn compiler() -> std::io::Result<Compiler> {
    let (program, arguments) = (std::env::current_exe()?, vec![COMPILE_VERB.into()]);
    Ok(Compiler::Child { program, arguments, limits: COMPILE_LIMITS })
}

/// Builds the sandbox under `data`, compiling in children of this program.
///
/// # Errors
/// This machine cannot run it.
pub fn sandbox(
    limits: &config::Sandbox,
    upstream: config::Upstream,
    data: &Path,
    host_token: &str,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
) -> anyhow::Result<Arc<Sandbox>> {
    let compiler = compiler()?;
    let sandbox = Sandbox::new(SandboxConfig {
        profile: profile(limits),
        artefacts: data.join("compiled"),
        compiler,
        timeouts: EgressTimeouts {
            connect: upstream.connect_max,
            first_byte: upstream.first_byte_max,
            idle: upstream.idle_max,
        },
        host_token: host_token.to_owned(),
        blobs,
        clock,
        observer,
        random_seed: None,
    })?;
    Ok(Arc::new(sandbox))
}

/// The sandbox behind the port that installing needs.
#[derive(Debug)]
pub struct SandboxHost(pub Arc<Sandbox>);

#[async_trait]
impl PluginHost for SandboxHost {
    async fn examine(&self, file: Bytes) -> Result<Examined, String> {
        let package = tokio::task::spawn_blocking(move || atelier_runtime::Package::read(&file))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        Ok(Examined {
            manifest: package.manifest,
            digest: package.digest,
            capabilities: package.capabilities,
            imports: package.imports,
        })
    }

    async fn prepare(&self, file: Bytes) -> Result<Description, String> {
        let sandbox = Arc::clone(&self.0);
        let plugin = tokio::task::spawn_blocking(move || sandbox.load(&file))
            .await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        self.0.describe(&plugin).await.map_err(|error| error.to_string())
    }
}

/// The configured instances: each a provider in the registry, or a problem that the operator is told.
#[derive(Debug)]
pub struct Instances {
    sandbox: Arc<Sandbox>,
    plugins: Arc<Plugins>,
    registry: Arc<Registry>,
    configured: Vec<InstanceConfig>,
    problems: Mutex<BTreeMap<String, String>>,
}

impl Instances {
    /// Instances as configured; none is in the registry yet.
    pub fn new(
        sandbox: Arc<Sandbox>,
        plugins: Arc<Plugins>,
        registry: Arc<Registry>,
        configured: Vec<InstanceConfig>,
    ) -> Self {
        Self { sandbox, plugins, registry, configured, problems: Mutex::default() }
    }

    /// Where their components run.
    pub fn sandbox(&self) -> &Arc<Sandbox> {
        &self.sandbox
    }

    /// Puts all instances into the registry. Components are loaded when they are first needed.
    ///
    /// # Errors
    /// The store is failing.
    pub async fn start(&self) -> Result<(), PluginsError> {
        let installed = self.plugins.list().await?;
        for config in &self.configured {
            let plugin = installed.iter().find(|plugin| plugin.id() == config.plugin);
            self.place(config, plugin).await;
        }
        Ok(())
    }

    /// Renews the instances of one plugin after it was installed, changed or removed. Running calls go on undisturbed.
    ///
    /// # Errors
    /// The store is failing.
    pub async fn reload(&self, plugin_id: &str) -> Result<(), PluginsError> {
        let plugin = match self.plugins.get(plugin_id).await {
            Ok(plugin) => Some(plugin),
            Err(PluginsError::NotFound(_)) => None,
            Err(error) => return Err(error),
        };
        for config in self.configured.iter().filter(|config| config.plugin == plugin_id) {
            self.place(config, plugin.as_ref()).await;
        }
        Ok(())
    }

    /// Instance → why it cannot be called.
    pub fn problems(&self) -> BTreeMap<String, String> {
        self.problems.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where an instance's results may be fetched from: its plugin's download hosts, and what the operator granted.
    async fn download_grants(&self, instance: &str) -> Result<Grants, String> {
        let config = self.configured.iter().find(|config| config.name.as_str() == instance);
        let config = config.ok_or("it is not configured")?;
        let plugin = self.plugins.get(&config.plugin).await.map_err(|error| error.to_string())?;
        let patterns = |hosts: &[String]| hosts.iter().filter_map(|host| HostPattern::parse(host)).collect();
        Ok(Grants::new(patterns(&plugin.current.manifest.download_hosts), patterns(&config.private_hosts)))
    }

    /// Tells of a result that an instance's plugin named and that may not be fetched.
    fn download_denied(&self, instance: &str, host: &str, denial: EgressDenial) {
        let config = self.configured.iter().find(|config| config.name.as_str() == instance);
        let plugin = config.map_or("", |config| config.plugin.as_str());
        let host = shown_host(host);
        self.sandbox.egress_denied(&DeniedEgress { instance, plugin, host, denial, request_id: "" });
    }

    async fn place(&self, config: &InstanceConfig, plugin: Option<&InstalledPlugin>) {
        let placed = match plugin {
            None => Err(format!(
                "its plugin {} is not installed: run `atelier plugin install FILE`",
                config.plugin
            )),
            Some(plugin) if !plugin.enabled => {
                Err(format!("its plugin is disabled: run `atelier plugin enable {}`", config.plugin))
            }
            Some(plugin) => self.provider(config, plugin),
        };
        let mut problem = None;
        match placed {
            Ok(provider) => self.registry.put(&config.name, provider).await,
            Err(why) => {
                tracing::warn!(instance = config.name.as_str(), "{why}");
                self.registry.remove(&config.name).await;
                problem = Some(why);
            }
        }
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        match problem {
            Some(why) => drop(problems.insert(config.name.to_string(), why)),
            None => drop(problems.remove(config.name.as_str())),
        }
    }

    fn provider(
        &self,
        config: &InstanceConfig,
        plugin: &InstalledPlugin,
    ) -> Result<Arc<SandboxedProvider>, String> {
        let manifest = plugin.current.manifest.clone();
        let mut config = config.clone();
        if config.base_url.is_empty() {
            config.base_url =
                manifest.default_base_url.clone().ok_or("it needs base_url: its plugin has no default")?;
        }
        if let Some(schema) = &manifest.settings {
            let settings = serde_json::Value::Object(config.settings.clone());
            jsonschema::validate(schema, &settings)
                .map_err(|error| format!("its settings are wrong at {}: {error}", error.instance_path()))?;
        }
        let (file, digest) = (self.plugins.file(&plugin.current.digest), plugin.current.digest.clone());
        let settings = InstanceSettings { config, manifest, file, digest };
        SandboxedProvider::new(Arc::clone(&self.sandbox), settings).map_err(|error| error.why)
    }
}

/// Fetches results from the download hosts of an instance's plugin.
#[derive(Debug)]
pub struct Downloads {
    instances: Arc<Instances>,
    blobs: Arc<dyn BlobStore>,
}

impl Downloads {
    /// Downloads into `blobs`.
    pub fn new(instances: Arc<Instances>, blobs: Arc<dyn BlobStore>) -> Self {
        Self { instances, blobs }
    }
}

#[async_trait]
impl Fetcher for Downloads {
    async fn fetch(&self, instance: &str, url: &str, bytes_max: u64) -> Result<Blob, ProviderError> {
        let unavailable = |reason: String| ProviderError::Unavailable {
            instance: instance.to_owned(),
            reason,
            retry_after: None,
        };
        let grants = self.instances.download_grants(instance).await.map_err(unavailable)?;
        let (egress, store) = (self.instances.sandbox.egress(), Arc::clone(&self.blobs));
        egress.download(url, &grants, &Secrets::default(), store, bytes_max).await.map_err(
            |error| match error {
                EgressError::Denied { host, denial } => {
                    self.instances.download_denied(instance, &host, denial);
                    let (instance, reason) = (instance.to_owned(), denial.to_string());
                    ProviderError::EgressDenied { instance, host, reason }
                }
                // It will be no smaller the next time.
                EgressError::TooLarge(_) => {
                    let failure = Failure::new(FailureCode::TooLarge, format!("its result: {error}"));
                    ProviderError::Reported { instance: instance.to_owned(), failure: Box::new(failure) }
                }
                other => unavailable(format!("its result could not be fetched: {other}")),
            },
        )
    }
}
