//! Installing plugins and taking them back: signature, contract, permissions, consent, lock file.

mod permissions;
mod trust;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use atelier_domain::manifest::Manifest;
use atelier_domain::model::Description;
use atelier_domain::plugin::{InstalledPlugin, PluginVersion, Trust};
use atelier_domain::store::{PluginStore, StoreError};
use atelier_domain::time::Clock;
use bytes::Bytes;
use tokio::sync::Mutex;

pub use permissions::{Change, Permissions};
pub use trust::{TrustError, TrustMode, TrustPolicy, TrustedKey};

/// What a plugin's file says of itself.
#[derive(Clone, Debug)]
pub struct Examined {
    pub manifest: Manifest,
    /// BLAKE3 of the file, in hexadecimal.
    pub digest: String,
    pub capabilities: Vec<String>,
    pub imports: Vec<String>,
}

/// The sandbox, as far as installing needs it.
#[async_trait]
pub trait PluginHost: Send + Sync + std::fmt::Debug {
    /// Reads and validates a file; compiles and runs nothing.
    ///
    /// # Errors
    /// Why it is no plugin for this host, for the operator.
    async fn examine(&self, file: Bytes) -> Result<Examined, String>;
    /// Compiles and links a file and asks it, in the sandbox, what it is.
    ///
    /// # Errors
    /// Why it failed, for the operator.
    async fn prepare(&self, file: Bytes) -> Result<Description, String>;
}

/// Why a plugin could not be installed or changed.
#[derive(Debug, thiserror::Error)]
pub enum PluginsError {
    #[error("the file is not a plugin for this host: {0}")]
    Unusable(String),
    #[error(transparent)]
    Untrusted(#[from] TrustError),
    #[error("{id} {version} is already installed")]
    AlreadyInstalled { id: String, version: String },
    #[error("installing needs your consent to these permissions; repeat with consent {}", .0.consent)]
    ConsentNeeded(Box<Inspection>),
    #[error("there is no plugin {0}")]
    NotFound(String),
    #[error("{0} has no previous version to roll back to")]
    NoPrevious(String),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the plugin folder cannot be used: {0}")]
    Folder(#[from] std::io::Error),
}

/// What an operator should know before saying yes.
#[derive(Clone, Debug)]
pub struct Inspection {
    pub examined: Examined,
    pub trust: Trust,
    pub permissions: Permissions,
    /// Against the installed version; everything is new if there is none.
    pub changes: Vec<Change>,
    /// The installed version.
    pub replaces: Option<String>,
    /// Says yes to exactly this file with exactly these permissions.
    pub consent: String,
}

/// An operator's consent.
#[derive(Clone, Debug)]
pub enum Consent {
    /// To whatever the file asks for: `--yes`.
    ToAll,
    /// The token of an inspection that was shown.
    Token(String),
    /// None yet.
    None,
}

/// The installed plugins.
#[derive(Debug)]
pub struct Plugins {
    store: Arc<dyn PluginStore>,
    host: Arc<dyn PluginHost>,
    folder: PathBuf,
    policy: TrustPolicy,
    clock: Arc<dyn Clock>,
    /// One change at a time.
    changing: Mutex<()>,
}

impl Plugins {
    /// Plugins whose files are kept in `folder`.
    pub fn new(
        store: Arc<dyn PluginStore>,
        host: Arc<dyn PluginHost>,
        folder: PathBuf,
        policy: TrustPolicy,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, host, folder, policy, clock, changing: Mutex::new(()) }
    }

    /// Where the file with a digest is kept.
    pub fn file(&self, digest: &str) -> PathBuf {
        self.folder.join(format!("{digest}.wasm"))
    }

    /// All of them, by id.
    ///
    /// # Errors
    /// The store is failing.
    pub async fn list(&self) -> Result<Vec<InstalledPlugin>, PluginsError> {
        self.stored(|store| store.plugins()).await
    }

    /// One of them.
    ///
    /// # Errors
    /// There is none such.
    pub async fn get(&self, id: &str) -> Result<InstalledPlugin, PluginsError> {
        let wanted = id.to_owned();
        self.stored(move |store| store.plugin(&wanted))
            .await?
            .ok_or_else(|| PluginsError::NotFound(id.to_owned()))
    }

    /// Looks at a file: who signed it, what it wants, what would change. Nothing of it is run.
    ///
    /// # Errors
    /// It is no plugin, or not trusted.
    pub async fn inspect(&self, file: &Bytes, signature: Option<&str>) -> Result<Inspection, PluginsError> {
        let examined = self.host.examine(file.clone()).await.map_err(PluginsError::Unusable)?;
        let trust = self.policy.judge(file, signature, examined.manifest.publisher())?;
        let id = examined.manifest.id.clone();
        let installed = self.stored(move |store| store.plugin(&id)).await?;
        let permissions = Permissions::of(&examined.manifest);
        let before = installed.as_ref().map(|plugin| Permissions::of(&plugin.current.manifest));
        let changes = permissions.changes_since(before.as_ref());
        let consent = permissions.consent_token(&examined.digest);
        let replaces = installed.map(|plugin| plugin.current.manifest.version);
        Ok(Inspection { examined, trust, permissions, changes, replaces, consent })
    }

    /// Installs or upgrades. The switch is one write; running calls go on with the version they began with.
    ///
    /// # Errors
    /// Any step of the inspection, the missing consent, or the plugin's own `describe`.
    pub async fn install(
        &self,
        file: Bytes,
        signature: Option<&str>,
        consent: &Consent,
    ) -> Result<InstalledPlugin, PluginsError> {
        let _one = self.changing.lock().await;
        let inspection = self.inspect(&file, signature).await?;
        let agreed = match consent {
            Consent::ToAll => true,
            Consent::Token(token) => *token == inspection.consent,
            Consent::None => false,
        };
        if !agreed {
            return Err(PluginsError::ConsentNeeded(Box::new(inspection)));
        }
        let Examined { manifest, digest, capabilities, .. } = inspection.examined;
        let id = manifest.id.clone();
        let installed = self.stored(move |store| store.plugin(&id)).await?;
        if installed.as_ref().is_some_and(|plugin| plugin.current.digest == digest) {
            return Err(PluginsError::AlreadyInstalled { id: manifest.id, version: manifest.version });
        }
        let description = self.host.prepare(file.clone()).await.map_err(PluginsError::Unusable)?;
        let target = self.file(&digest);
        blocking(move || write_file(&target, &file)).await?;
        let current = PluginVersion {
            manifest,
            digest,
            trust: inspection.trust,
            capabilities,
            description,
            installed: self.clock.now(),
        };
        let enabled = installed.as_ref().is_none_or(|plugin| plugin.enabled);
        let (previous, superseded) = match installed {
            Some(InstalledPlugin { current, previous, .. }) => (Some(Box::new(current)), previous),
            None => (None, None),
        };
        let plugin = self.put(InstalledPlugin { current, previous, enabled }).await?;
        let kept = |digest: &str| {
            plugin.current.digest == digest
                || plugin.previous.as_ref().is_some_and(|kept| kept.digest == digest)
        };
        if let Some(superseded) = superseded.filter(|version| !kept(&version.digest)) {
            self.forget_file(&superseded.digest).await?;
        }
        Ok(plugin)
    }

    /// Lets its instances be called, or not.
    ///
    /// # Errors
    /// There is none such.
    pub async fn set_enabled(&self, id: &str, enabled: bool) -> Result<InstalledPlugin, PluginsError> {
        let _one = self.changing.lock().await;
        let mut plugin = self.get(id).await?;
        plugin.enabled = enabled;
        self.put(plugin).await
    }

    /// Swaps the current version for the previous.
    ///
    /// # Errors
    /// There is none such, or it has no previous version.
    pub async fn roll_back(&self, id: &str) -> Result<InstalledPlugin, PluginsError> {
        let _one = self.changing.lock().await;
        let plugin = self.get(id).await?;
        let previous = plugin.previous.ok_or_else(|| PluginsError::NoPrevious(id.to_owned()))?;
        let plugin = InstalledPlugin {
            current: *previous,
            previous: Some(Box::new(plugin.current)),
            enabled: plugin.enabled,
        };
        self.put(plugin).await
    }

    /// Forgets a plugin and its files.
    ///
    /// # Errors
    /// There is none such.
    pub async fn remove(&self, id: &str) -> Result<InstalledPlugin, PluginsError> {
        let _one = self.changing.lock().await;
        let plugin = self.get(id).await?;
        let gone = id.to_owned();
        self.stored(move |store| store.remove_plugin(&gone)).await?;
        let digests = [Some(&plugin.current), plugin.previous.as_deref()];
        for version in digests.into_iter().flatten() {
            self.forget_file(&version.digest).await?;
        }
        Ok(plugin)
    }

    async fn forget_file(&self, digest: &str) -> std::io::Result<()> {
        let file = self.file(digest);
        blocking(move || match std::fs::remove_file(file) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        })
        .await
    }

    async fn put(&self, plugin: InstalledPlugin) -> Result<InstalledPlugin, PluginsError> {
        let row = plugin.clone();
        self.stored(move |store| store.put_plugin(&row)).await?;
        Ok(plugin)
    }

    async fn stored<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn PluginStore) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, PluginsError> {
        let store = Arc::clone(&self.store);
        let done = tokio::task::spawn_blocking(move || work(store.as_ref())).await;
        Ok(done.map_err(|error| StoreError::Unavailable(error.to_string()))??)
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}

/// Whole or not at all.
fn write_file(target: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = target.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let scratch = target.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = std::fs::File::create(&scratch)?;
    std::io::Write::write_all(&mut file, bytes)?;
    file.sync_all()?;
    std::fs::rename(&scratch, target)
}
