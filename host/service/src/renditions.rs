//! Small pictures of images and peaks of sounds, made when they are first asked for and kept beside the content that they were made
//! of: content of its own, named by a row that goes when the source goes.
//!
//! What users send is decoded here, so that everything about it is bounded: bytes, pixels, memory, time, and how many at once.

mod peaks;
mod thumbnail;

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use atelier_domain::blob::{Blob, BlobStore};
use atelier_domain::rendition::{Rendition, RenditionKind};
use atelier_domain::store::FileStore;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};

use crate::files::opened;
use crate::{ServiceError, StoragePool};

/// Made at once, on threads of their own.
const AT_ONCE: usize = 2;
/// Waiting for a place, and how long for it and for the work.
const WAITING_MAX: usize = 64;
const WAIT_MAX: Duration = Duration::from_secs(20);

/// What renditions are made with.
#[derive(Debug)]
pub struct RenditionPorts {
    pub store: Arc<dyn FileStore>,
    pub blobs: Arc<dyn BlobStore>,
    pub pool: StoragePool,
}

/// What one attempt gives: content of a type, or why there is none.
struct Made {
    content_type: &'static str,
    bytes: Vec<u8>,
}

type Attempt = Result<Made, String>;

/// Who makes what at this moment: whoever else wants it waits for it.
type Making = HashMap<([u8; 32], RenditionKind), Weak<AsyncMutex<()>>>;

/// Renditions of all content.
#[derive(Debug)]
pub struct Renditions {
    ports: RenditionPorts,
    places: Arc<Semaphore>,
    making: Mutex<Making>,
}

impl Renditions {
    /// Over these ports.
    pub fn new(ports: RenditionPorts) -> Self {
        Self { ports, places: Arc::new(Semaphore::new(AT_ONCE)), making: Mutex::default() }
    }

    /// A rendition of content whose reader may read the content itself.
    ///
    /// # Errors
    /// [`ServiceError::NotFound`] where none can be made; storage is failing or busy; too many are wanted at once.
    pub async fn of(&self, source: Blob, kind: RenditionKind) -> Result<Blob, ServiceError> {
        if !kind.fits(&source.content_type) {
            return Err(nothing());
        }
        let made = match self.known(&source, kind).await? {
            Some(known) => known,
            None => {
                let turn = self.turn(&source, kind)?;
                let work = async {
                    let _held = turn.lock().await;
                    match self.known(&source, kind).await? {
                        Some(known) => Ok(known),
                        None => self.make(source.clone(), kind).await,
                    }
                };
                let late = |_| ServiceError::StorageBusy;
                tokio::time::timeout(WAIT_MAX, work).await.map_err(late)??
            }
        };
        match made {
            Rendition::None { .. } => Err(nothing()),
            Rendition::Made { blob, size, content_type } => {
                opened(&self.ports.blobs, &self.ports.pool, "a rendition", blob, size, &content_type).await
            }
        }
    }

    async fn known(&self, source: &Blob, kind: RenditionKind) -> Result<Option<Rendition>, ServiceError> {
        let (store, id) = (self.ports.store.clone(), source.id);
        self.ports.pool.run(move || store.rendition(&id, kind)).await
    }

    /// The lock of whoever makes this one.
    fn turn(&self, source: &Blob, kind: RenditionKind) -> Result<Arc<AsyncMutex<()>>, ServiceError> {
        let mut making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = making.get(&(source.id.0, kind)).and_then(Weak::upgrade) {
            return Ok(turn);
        }
        making.retain(|_, turn| turn.strong_count() > 0);
        if making.len() >= WAITING_MAX {
            return Err(ServiceError::StorageBusy);
        }
        let turn = Arc::new(AsyncMutex::new(()));
        making.insert((source.id.0, kind), Arc::downgrade(&turn));
        Ok(turn)
    }

    async fn make(&self, source: Blob, kind: RenditionKind) -> Result<Rendition, ServiceError> {
        let place = self.places.clone().acquire_owned().await.map_err(|_| ServiceError::StorageBusy)?;
        let (store, blobs) = (self.ports.store.clone(), self.ports.blobs.clone());
        // Not among the storage pool's calls, which are short. The place is given back when the work ends, not when its caller leaves.
        let work = tokio::task::spawn_blocking(move || {
            let _place = place;
            // A decoder that panics on what somebody sent has found nothing.
            let attempt = catch_unwind(AssertUnwindSafe(|| match kind {
                RenditionKind::Thumbnail => thumbnail::thumbnail(&source),
                RenditionKind::Peaks => peaks::peaks(&source),
            }));
            let attempt = attempt.unwrap_or_else(|_| Err("the decoder stopped unexpectedly".to_owned()));
            let rendition = match attempt {
                Ok(Made { content_type, bytes }) => {
                    let mut writer = blobs.create(content_type)?;
                    writer.append(&bytes)?;
                    let Blob { id: blob, size, .. } = writer.finish()?;
                    Rendition::Made { blob, size, content_type: content_type.to_owned() }
                }
                Err(reason) => Rendition::None { reason },
            };
            store.put_rendition(&source.id, kind, &rendition)?;
            // The source may have been collected meanwhile, and what is derived from it with it.
            if blobs.open(&source.id, "")?.is_none() {
                store.forget_renditions(&source.id)?;
            }
            Ok::<_, ServiceError>(rendition)
        });
        let stopped =
            |error| ServiceError::Internal(format!("making a rendition stopped unexpectedly: {error}"));
        work.await.map_err(stopped)?
    }
}

fn nothing() -> ServiceError {
    ServiceError::NotFound { what: "rendition of this content" }
}

/// Refuses a blob of more than `max` bytes.
fn small(source: &Blob, max: u64) -> Result<(), String> {
    if source.size > max { Err(format!("it has more than {max} bytes")) } else { Ok(()) }
}
