//! A plugin on the bench: its component loaded in a real sandbox, and a fresh instance with an upstream of its own for each check,
//! so that no breaker, cache or count of one check reaches into the next.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use atelier_domain::blob::MemoryBlobs;
use atelier_domain::id::{CallId, InstanceName};
use atelier_domain::manifest::{Manifest, SecretPlace, SecretSpec, WebhookScheme};
use atelier_domain::plugin::{InstanceConfig, SecretValue};
use atelier_domain::provider::{CallContext, ChargeJournal};
use atelier_domain::store::StoreError;
use atelier_domain::time::SystemClock;
use atelier_runtime::egress::{EgressTimeouts, Grants, HostPattern, Secrets};
use atelier_runtime::{
    CallReport, Compiler, InstanceSettings, LoadedPlugin, Observer, Package, Profile, Sandbox, SandboxConfig,
    SandboxedProvider, Used,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;

use crate::cases::Instance;
use crate::clock::TestClock;
use crate::exchange::Exchanges;
use crate::upstream::{Fault, Provider, Upstream};

/// All randomness of a suite is drawn from this.
const SEED: u64 = 7;
/// How long one call may take.
pub const CALL_BUDGET: Duration = Duration::from_secs(20);
/// How the placeholders for secrets begin. No upstream may ever send one back.
const PLACEHOLDER: &str = "placeholder-for-the-secret";

/// What a bench is built from.
#[derive(Debug)]
pub struct BenchConfig {
    /// The plugin's file.
    pub file: PathBuf,
    /// What an operator grants each call.
    pub profile: Profile,
    /// The private folder for compiled components.
    pub artefacts: PathBuf,
    pub compiler: Compiler,
    pub instance: Instance,
    pub exchanges: Exchanges,
    /// To record instead of replaying.
    pub record: Option<RecordFrom>,
}

/// A real provider to record from.
#[derive(Debug, Clone)]
pub struct RecordFrom {
    /// With the path that the instance's base URL has.
    pub base_url: String,
    pub secrets: BTreeMap<String, SecretValue>,
    /// Whether it is a server on a private network or without TLS.
    pub private: bool,
}

/// What calls used, and what they logged.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Testimony>);

/// What a [`Witness`] saw.
#[derive(Debug, Default, Clone)]
pub struct Testimony {
    /// The most of each that one call used.
    pub used: Used,
    pub cpu: Duration,
    pub calls: u32,
    pub lines: Vec<String>,
}

impl Witness {
    /// All that was seen since the last time this was asked.
    pub fn take(&self) -> Testimony {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Witness {
    fn call_ended(&self, report: &CallReport<'_>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.calls += 1;
        seen.cpu = seen.cpu.max(report.cpu);
        seen.used = most(seen.used, report.used);
    }

    fn logged(&self, _: &str, line: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lines.push(line.to_owned());
    }
}

/// The larger of each count.
pub fn most(one: Used, other: Used) -> Used {
    Used {
        memory_bytes: one.memory_bytes.max(other.memory_bytes),
        response_bytes: one.response_bytes.max(other.response_bytes),
        blob_bytes: one.blob_bytes.max(other.blob_bytes),
        log_bytes: one.log_bytes.max(other.log_bytes),
        requests: one.requests.max(other.requests),
        host_calls: one.host_calls.max(other.host_calls),
    }
}

/// Counts the charging requests that were announced.
#[derive(Debug, Default)]
pub struct Charges(AtomicU32);

impl Charges {
    /// How many so far.
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl ChargeJournal for Charges {
    async fn charging(&self, _repeatable: bool) -> Result<(), StoreError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A plugin, ready to be called.
pub struct Bench {
    pub package: Package,
    pub profile: Profile,
    pub clock: Arc<TestClock>,
    pub witness: Arc<Witness>,
    pub exchanges: Arc<Exchanges>,
    pub sandbox: Arc<Sandbox>,
    pub plugin: Arc<LoadedPlugin>,
    pub base_path: String,
    file: PathBuf,
    instance: Instance,
    record: Option<RecordFrom>,
}

impl fmt::Debug for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("plugin", &self.package.manifest.id).finish_non_exhaustive()
    }
}

impl Bench {
    /// Loads the plugin. Takes as long as compiling does; blocks.
    ///
    /// # Errors
    /// The file is no plugin, or does not compile or link.
    pub fn new(config: BenchConfig) -> anyhow::Result<Self> {
        let shown = config.file.display().to_string();
        let bytes = std::fs::read(&config.file).with_context(|| format!("cannot read {shown}"))?;
        let package = Package::read(&bytes).with_context(|| shown.clone())?;
        let (clock, witness) = (Arc::new(TestClock::default()), Arc::new(Witness::default()));
        let mut profile = config.profile;
        let sandbox = Arc::new(Sandbox::new(SandboxConfig {
            profile: profile.clone(),
            artefacts: config.artefacts,
            compiler: config.compiler,
            timeouts: EgressTimeouts {
                connect: Duration::from_secs(5),
                first_byte: CALL_BUDGET,
                idle: CALL_BUDGET,
            },
            host_token: "atelier-plugin-test".to_owned(),
            blobs: Arc::new(MemoryBlobs::default()),
            clock: Arc::clone(&clock) as _,
            observer: Arc::clone(&witness) as _,
            random_seed: Some(SEED),
        })?);
        let plugin = sandbox.load(&bytes).with_context(|| format!("{shown} does not load"))?;
        if let Some(mib) = package.manifest.limits.memory_mib {
            profile.memory_bytes = profile.memory_bytes.min((mib as usize) << 20);
        }
        let base_path = match (&config.instance.base_path, &package.manifest.default_base_url) {
            (Some(path), _) => path.clone(),
            (None, Some(url)) => Url::parse(url).context("default-base-url")?.path().to_owned(),
            (None, None) => String::new(),
        };
        Ok(Self {
            package,
            profile,
            clock,
            witness,
            exchanges: Arc::new(config.exchanges),
            sandbox,
            plugin,
            base_path: base_path.trim_end_matches('/').to_owned(),
            file: config.file,
            instance: config.instance,
            record: config.record,
        })
    }

    /// The plugin's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.package.manifest
    }

    /// Whether the plugin exports an interface.
    pub fn exports(&self, interface: &str) -> bool {
        self.package.capabilities.iter().any(|name| name == interface)
    }

    /// Whether exchanges are recorded and not replayed.
    pub fn is_recording(&self) -> bool {
        self.record.is_some()
    }

    /// A fresh instance and an upstream of its own.
    ///
    /// # Errors
    /// The instance cannot be configured, or there is no port.
    pub async fn rig(&self, fault: Fault) -> anyhow::Result<Rig> {
        let upstream = match &self.record {
            None => Upstream::replay(Arc::clone(&self.exchanges), fault).await?,
            Some(from) => Upstream::record(self.provider(from)?).await?,
        };
        let config = InstanceConfig {
            name: "under-test".parse::<InstanceName>()?,
            plugin: self.manifest().id.clone(),
            base_url: format!("{}{}", upstream.url(), self.base_path),
            hosts: Vec::new(),
            private_hosts: vec![upstream.address.clone()],
            settings: self.instance.settings.clone(),
            secrets: self
                .placeholders()
                .into_iter()
                .map(|(value, name)| (name, SecretValue::new(value)))
                .collect(),
        };
        let settings = InstanceSettings {
            config,
            manifest: self.manifest().clone(),
            file: self.file.clone(),
            digest: self.package.digest.clone(),
        };
        let provider = SandboxedProvider::new(Arc::clone(&self.sandbox), settings)?;
        self.witness.take();
        Ok(Rig { upstream, provider, charges: Arc::default() })
    }

    /// Placeholder → the secret's name. Every secret is set, so that whatever a plugin would leak is there to be leaked.
    pub fn placeholders(&self) -> BTreeMap<String, String> {
        let secrets = self.manifest().secrets.iter();
        secrets.map(|secret| (self.placeholder(secret), secret.name.clone())).collect()
    }

    fn placeholder(&self, secret: &SecretSpec) -> String {
        let plain = format!("{PLACEHOLDER}-{}", secret.name);
        let scheme = self.manifest().webhook.as_ref().map(|webhook| webhook.scheme);
        if secret.place == SecretPlace::Webhook && scheme == Some(WebhookScheme::StandardWebhooks) {
            // Keys of that scheme are base64.
            return format!("whsec_{}", STANDARD.encode(plain));
        }
        plain
    }

    /// Names of the secrets that each request to the base URL must carry.
    pub fn sent_secrets(&self) -> impl Iterator<Item = &str> {
        let secrets = self.manifest().secrets.iter();
        let sent = secrets.filter(|secret| {
            secret.required
                && secret.hosts.is_empty()
                && !matches!(secret.place, SecretPlace::Webhook | SecretPlace::Path)
        });
        sent.map(|secret| secret.name.as_str())
    }

    fn provider(&self, from: &RecordFrom) -> anyhow::Result<Provider> {
        let base = Url::parse(&from.base_url).context("--base-url")?;
        let Some(host) = base.host_str() else { bail!("--base-url has no host") };
        let host = base.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let pattern = HostPattern::parse(&host).with_context(|| format!("{host} is no host"))?;
        let private = if from.private { vec![pattern.clone()] } else { Vec::new() };
        let settings = &self.instance.settings;
        let clock = Arc::new(SystemClock::default());
        let secrets =
            Secrets::new(&self.manifest().secrets, &from.secrets, Some(pattern.clone()), settings, clock);
        let secrets = secrets.map_err(|why| anyhow::anyhow!(why))?;
        if let Some(missing) = secrets.missing() {
            bail!(
                "recording needs the secret {missing}: name the variable that holds it, --secret {missing}=VARIABLE"
            );
        }
        let mut origin = base;
        origin.set_path("");
        Ok(Provider {
            origin,
            egress: self.sandbox.egress().clone(),
            grants: Grants::new(vec![pattern], private),
            secrets,
            placeholders: self.placeholders(),
            heard: Mutex::default(),
        })
    }
}

/// One check's own instance and upstream.
#[derive(Debug)]
pub struct Rig {
    pub upstream: Upstream,
    pub provider: Arc<SandboxedProvider>,
    pub charges: Arc<Charges>,
}

impl Rig {
    /// A call's context. Nothing in it changes from run to run but the call's id.
    pub fn context(&self) -> CallContext {
        CallContext {
            call: CallId::new(),
            request_id: Arc::from("conformance"),
            attempt: 1,
            idempotency_key: "conformance-key".to_owned(),
            budget: CALL_BUDGET,
            scope: Arc::from("tenant"),
            callback_url: None,
            depth: 0,
            journal: Some(Arc::clone(&self.charges) as _),
            previews: None,
            hidden: None,
            trace: None,
        }
    }
}
