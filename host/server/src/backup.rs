//! What a backup of this installation is made of, and the making of one while the server runs.

pub(crate) mod configuration;
mod last;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use atelier_service::ServiceError;
use atelier_storage::backup::{self, BackupError, Manifest, Progress, Source};
use atelier_storage::{Blobs, Store};

use crate::config::Config;
use crate::key_file::KeyFile;
use crate::pieces::{Pieces, Taken};

pub(crate) use last::LastBackup;

/// Where data lies in a restored folder, as `atelier init` makes it.
pub(crate) const DATA: &str = "data";
/// The configuration in a restored folder.
pub(crate) const CONFIGURATION: &str = "atelier.toml";

/// Writes a backup of an installation.
///
/// # Errors
/// The store is damaged, or something cannot be read or written.
pub(crate) fn write(
    config: &Config,
    store: &Store,
    blobs: &Blobs,
    with_secrets: bool,
    out: &mut dyn Write,
    told: &mut dyn FnMut(Progress),
) -> Result<Manifest, BackupError> {
    let failed = |what: &Path| {
        let what = what.display().to_string();
        move |source| BackupError::Io { what, source }
    };
    let mut documents = Vec::new();
    if let Some(file) = &config.file {
        let text = std::fs::read_to_string(file).map_err(failed(file))?;
        let text = configuration::to_restore(&text, with_secrets).map_err(failed(file))?;
        documents.push((CONFIGURATION.to_owned(), text.into_bytes()));
    }
    let data = &config.storage.path;
    let mut files = Vec::new();
    for key in KeyFile::ALL.into_iter().filter(|key| with_secrets || !key.is_secret()) {
        let name = key.name();
        let path = data.join(name);
        if path.try_exists().map_err(failed(&path))? {
            files.push((format!("{DATA}/{name}"), path));
        }
    }
    let plugins = data.join("plugins");
    let entries = match std::fs::read_dir(&plugins) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(&plugins)(error)),
    };
    for entry in entries.into_iter().flatten() {
        let entry = entry.map_err(failed(&plugins))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // What is being installed has another name until it is whole.
        if name.ends_with(".wasm") {
            files.push((format!("{DATA}/plugins/{name}"), entry.path()));
        }
    }
    files.sort();
    let program = env!("CARGO_PKG_VERSION");
    let source = Source { store, blobs, files, documents, with_secrets, program };
    backup::write(&source, out, told)
}

/// Backups of the running server, one at a time.
#[derive(Clone, Debug)]
pub(crate) struct Backups {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    config: Config,
    store: Arc<Store>,
    blobs: Blobs,
    is_running: AtomicBool,
}

/// It is over, however it ended.
struct Ended(Arc<Inner>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.is_running.store(false, Ordering::Release);
    }
}

impl Backups {
    pub(crate) fn new(config: Config, store: Arc<Store>, blobs: Blobs) -> Self {
        Self { inner: Arc::new(Inner { config, store, blobs, is_running: AtomicBool::new(false) }) }
    }

    /// Begins one; it is made as fast as its pieces are taken, and ends when nobody takes them any more. The last piece of one that went
    /// wrong is an error.
    ///
    /// # Errors
    /// [`ServiceError::Exists`] while another is made.
    pub(crate) fn begin(&self, with_secrets: bool) -> Result<Taken, ServiceError> {
        if self.inner.is_running.swap(true, Ordering::AcqRel) {
            return Err(ServiceError::Exists { what: "a backup that is under way".to_owned() });
        }
        let ended = Ended(self.inner.clone());
        let (mut out, taken) = Pieces::new();
        tokio::task::spawn_blocking(move || {
            let inner = &ended.0;
            let made = write(&inner.config, &inner.store, &inner.blobs, with_secrets, &mut out, &mut |_| {});
            match made {
                Ok(manifest) => {
                    let (rows, blobs, bytes) = (manifest.rows, manifest.blobs.count, out.bytes());
                    let missing = manifest.blobs.missing.len();
                    tracing::info!(rows, blobs, missing, bytes, "a backup was handed over");
                    if let Err(error) = LastBackup::now(bytes, rows).keep(&inner.config.storage.path) {
                        tracing::warn!(%error, "when the last backup was made could not be written down");
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "a backup was not made");
                    out.breaker().break_off(&error);
                }
            }
        });
        Ok(taken)
    }
}
