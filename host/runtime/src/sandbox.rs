//! Loads plugins, and runs the only call that is made at install.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use atelier_domain::blob::BlobStore;
use atelier_domain::egress::DeniedEgress;
use atelier_domain::failure::ProviderError;
use atelier_domain::model::Description;
use atelier_domain::time::Clock;
use tokio::sync::Semaphore;
use wasmtime::Engine;
use wasmtime::component::Linker;

use crate::artefact::{self, Artefacts, CompileError, Compiler};
use crate::call::Observer;
use crate::egress::{Egress, EgressTimeouts, Grants, Secrets};
use crate::engine::Engines;
use crate::fresh::HEADROOM;
use crate::host_state::Shared;
use crate::lane::SlowLane;
use crate::limits::Profile;
use crate::package::{Package, PackageError};
use crate::v0_1::exports::Exports;
use crate::v0_1::imports;
use crate::v0_1::imports::cache::InstanceCache;
use crate::v0_1::imports::quota::QuotaReport;
use crate::v0_1::imports::random::Randomness;

/// What a sandbox is built from.
#[derive(Debug)]
pub struct SandboxConfig {
    pub profile: Profile,
    /// The private folder for compiled components.
    pub artefacts: PathBuf,
    pub compiler: Compiler,
    pub timeouts: EgressTimeouts,
    /// Tells this host from others in `Via`.
    pub host_token: String,
    pub blobs: Arc<dyn BlobStore>,
    pub clock: Arc<dyn Clock>,
    pub observer: Arc<dyn Observer>,
    /// For reproducible tests of plugins: what `random` gives is drawn from this seed.
    pub random_seed: Option<u64>,
}

/// Why the sandbox cannot do as asked.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    #[error("the sandbox cannot run on this machine: {0}")]
    Engine(String),
    #[error("the sandbox cannot start: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Package(#[from] PackageError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error("the component does not fit the contract: {0}")]
    Link(String),
    #[error(transparent)]
    Describe(#[from] ProviderError),
}

/// A component, compiled and linked.
#[derive(Debug)]
pub struct LoadedPlugin {
    pub package: Package,
    /// The id from its manifest.
    pub(crate) id: Arc<str>,
    pub(crate) exports: Exports,
    /// Making an instance of it runs none of its code, and takes a place in the pool.
    pub(crate) is_inert: bool,
}

/// The sandbox: engines, compiled components, the slow lane, the way out.
#[derive(Debug)]
pub struct Sandbox {
    pub(crate) engines: Engines,
    pub(crate) slow_lane: Arc<SlowLane>,
    pub(crate) egress: Egress,
    pub(crate) places: Arc<Semaphore>,
    /// For instances beside those of running calls.
    pub(crate) headroom: Arc<Semaphore>,
    pub(crate) profile: Profile,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Arc<dyn Observer>,
    random_seed: Option<u64>,
    artefacts: Artefacts,
    /// By digest. A place is locked while its component is compiled, so that concurrent first calls share one compilation.
    loaded: Mutex<HashMap<String, Arc<Mutex<Weak<LoadedPlugin>>>>>,
}

impl Sandbox {
    /// Builds the engines and starts the slow lane.
    ///
    /// # Errors
    /// This machine cannot run it, or its folder cannot be used.
    pub fn new(config: SandboxConfig) -> Result<Self, SandboxError> {
        let engine = |error: wasmtime::Error| SandboxError::Engine(format!("{error:#}"));
        let engines = Engines::new(&config.profile).map_err(engine)?;
        let artefacts =
            Artefacts::open(&config.artefacts, config.compiler, &config.profile, &engines.on_demand)?;
        let slow_lane = SlowLane::new(config.profile.slow_lane_threads, config.profile.slow_lane_calls)?;
        let egress = Egress::new(&config.host_token, config.timeouts)
            .map_err(|error| SandboxError::Engine(format!("the host token: {error}")))?;
        Ok(Self {
            engines,
            slow_lane: Arc::new(slow_lane),
            egress,
            places: Arc::new(Semaphore::new(config.profile.concurrent_calls as usize)),
            headroom: Arc::new(Semaphore::new(HEADROOM as usize)),
            profile: config.profile,
            blobs: config.blobs,
            clock: config.clock,
            observer: config.observer,
            random_seed: config.random_seed,
            artefacts,
            loaded: Mutex::default(),
        })
    }

    pub(crate) fn randomness(&self) -> Randomness {
        match self.random_seed {
            None => Randomness::System,
            Some(seed) => Randomness::Seeded { seed, drawn: AtomicU64::new(0) },
        }
    }

    /// Tells whoever observes of a request that the host may not make for an instance.
    pub fn egress_denied(&self, denied: &DeniedEgress<'_>) {
        self.observer.egress_denied(denied);
    }

    /// The way out, for the host's own fetches on behalf of callers.
    pub fn egress(&self) -> &Egress {
        &self.egress
    }

    /// Compiles (or finds compiled) and links a plugin's file. Instances of one file share the result. Blocks.
    ///
    /// # Errors
    /// It is no plugin, or does not compile, or does not fit the contract.
    pub fn load(&self, bytes: &[u8]) -> Result<Arc<LoadedPlugin>, SandboxError> {
        let digest = blake3::hash(bytes).to_hex().to_string();
        let place = self.place(&digest);
        let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = place.upgrade() {
            return Ok(found);
        }
        let package = Package::read(bytes)?;
        let path = self.artefacts.compiled(&package.digest, bytes)?;
        let exports = self.link(&package, &path)?;
        let id = Arc::from(package.manifest.id.as_str());
        let is_pooled =
            self.engines.pooling.as_ref().is_some_and(|pool| Engine::same(pool, exports.pre.engine()));
        let is_inert = is_pooled && !package.needs_wasi && !package.starts;
        let plugin = Arc::new(LoadedPlugin { package, id, exports, is_inert });
        *place = Arc::downgrade(&plugin);
        Ok(plugin)
    }

    /// The place of a digest. Places that nobody holds or waits for, and whose component is gone, are dropped on the way.
    fn place(&self, digest: &str) -> Arc<Mutex<Weak<LoadedPlugin>>> {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        loaded.retain(|known, place| {
            known == digest
                || Arc::strong_count(place) > 1
                || place.try_lock().is_ok_and(|component| component.strong_count() > 0)
        });
        Arc::clone(loaded.entry(digest.to_owned()).or_default())
    }

    fn link(&self, package: &Package, path: &std::path::Path) -> Result<Exports, SandboxError> {
        let misfit = |error: wasmtime::Error| SandboxError::Link(format!("{error:#}"));
        let component = match self.engines.pooling.as_ref().map(|engine| artefact::load(engine, path)) {
            Some(Ok(component)) => component,
            Some(Err(error)) => {
                tracing::debug!(plugin = package.manifest.id, %error, "does not fit the pool: runs on demand");
                artefact::load(&self.engines.on_demand, path).map_err(misfit)?
            }
            None => artefact::load(&self.engines.on_demand, path).map_err(misfit)?,
        };
        let mut linker = Linker::new(component.engine());
        imports::link(&mut linker).map_err(misfit)?;
        if package.needs_wasi {
            imports::wasi::link(&mut linker).map_err(misfit)?;
        }
        let pre = linker.instantiate_pre(&component).map_err(misfit)?;
        Exports::new(&pre, &package.capabilities).map_err(misfit)
    }

    /// Asks a plugin what it is: without egress, secrets or settings.
    ///
    /// # Errors
    /// It failed, or used up a limit.
    pub async fn describe(
        self: &Arc<Self>,
        plugin: &Arc<LoadedPlugin>,
    ) -> Result<Description, ProviderError> {
        let shared = Arc::new(Shared {
            name: plugin.package.manifest.id.clone(),
            plugin: plugin.package.manifest.id.clone(),
            base_url: String::new(),
            settings: "{}".to_owned(),
            grants: Grants::default(),
            secrets: Secrets::default(),
            profile: self.profile.clone(),
            egress: None,
            blobs: Arc::clone(&self.blobs),
            cache: InstanceCache::new(0),
            clock: Arc::clone(&self.clock),
            randomness: self.randomness(),
            quota: QuotaReport::default(),
            observer: Arc::clone(&self.observer),
        });
        crate::call::describe(self, plugin, shared).await
    }
}
