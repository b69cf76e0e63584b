//! `atelier:provider/blobs`.

use std::io;

use atelier_domain::blob::{Blob, BlobWriter};
use atelier_domain::failure::Limit;
use wasmtime::component::Resource;

use crate::host_state::CallState;
use crate::v0_1::bindings::host::atelier::provider::blobs::{BlobError, Host, HostBlob, HostBlobWriter};

/// A blob being written. Absent while a blocking thread has it, and after `finish`.
pub struct Writer(Option<Box<dyn BlobWriter>>);

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Writer")
    }
}

impl Writer {
    /// Wraps the store's writer.
    pub fn new(writer: Box<dyn BlobWriter>) -> Self {
        Self(Some(writer))
    }
}

/// Runs file work off the async threads.
pub async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn unavailable(error: &io::Error) -> BlobError {
    BlobError::Unavailable(error.to_string())
}

impl CallState {
    /// Counts bytes towards the call's blobs; gives the budget when it is used up.
    pub fn count_blob_bytes(&mut self, bytes: u64) -> Result<(), String> {
        self.used.blob_bytes = self.used.blob_bytes.saturating_add(bytes);
        let max = self.shared.profile.blob_bytes;
        if self.used.blob_bytes <= max {
            return Ok(());
        }
        let budget = format!("{max} bytes");
        self.refuse_limit(Limit::BlobBytes, budget.clone());
        Err(budget)
    }
}

impl Host for CallState {
    async fn create(
        &mut self,
        content_type: String,
    ) -> wasmtime::Result<Result<Resource<Writer>, BlobError>> {
        self.count_host_call()?;
        if content_type.len() > 255 || !content_type.is_ascii() {
            return Ok(Err(BlobError::Invalid("a media type has 255 ASCII characters at most".to_owned())));
        }
        let store = self.shared.blobs.clone();
        match blocking(move || store.create(&content_type)).await {
            Ok(writer) => Ok(Ok(self.push(Writer::new(writer))?)),
            Err(error) => Ok(Err(unavailable(&error))),
        }
    }
}

impl HostBlob for CallState {
    async fn size(&mut self, blob: Resource<Blob>) -> wasmtime::Result<u64> {
        self.count_host_call()?;
        Ok(self.table.get(&blob)?.size)
    }

    async fn content_type(&mut self, blob: Resource<Blob>) -> wasmtime::Result<String> {
        self.count_host_call()?;
        Ok(self.table.get(&blob)?.content_type.clone())
    }

    async fn read(
        &mut self,
        blob: Resource<Blob>,
        offset: u64,
        max: u32,
    ) -> wasmtime::Result<Result<Vec<u8>, BlobError>> {
        self.count_host_call()?;
        let max = (max as usize).min(self.shared.profile.host_call_bytes);
        let blob = self.table.get(&blob)?.clone();
        let read = if blob.is_in_memory() {
            blob.read(offset, max)
        } else {
            blocking(move || blob.read(offset, max)).await
        };
        Ok(read.map(|bytes| bytes.to_vec()).map_err(|error| unavailable(&error)))
    }

    async fn drop(&mut self, blob: Resource<Blob>) -> wasmtime::Result<()> {
        self.table.delete(blob)?;
        Ok(())
    }
}

impl HostBlobWriter for CallState {
    async fn append(
        &mut self,
        writer: Resource<Writer>,
        bytes: Vec<u8>,
    ) -> wasmtime::Result<Result<(), BlobError>> {
        self.count_host_call()?;
        if let Err(budget) = self.count_blob_bytes(bytes.len() as u64) {
            return Ok(Err(BlobError::LimitReached(budget)));
        }
        let Some(mut inner) = self.table.get_mut(&writer)?.0.take() else {
            return Ok(Err(BlobError::Invalid(
                "the blob is already finished, or its disk failed".to_owned(),
            )));
        };
        let appended = blocking(move || inner.append(&bytes).map(|()| inner)).await;
        match appended {
            Ok(inner) => {
                self.table.get_mut(&writer)?.0 = Some(inner);
                Ok(Ok(()))
            }
            Err(error) => Ok(Err(unavailable(&error))),
        }
    }

    async fn finish(
        &mut self,
        writer: Resource<Writer>,
    ) -> wasmtime::Result<Result<Resource<Blob>, BlobError>> {
        self.count_host_call()?;
        let Some(inner) = self.table.get_mut(&writer)?.0.take() else {
            return Ok(Err(BlobError::Invalid(
                "the blob is already finished, or its disk failed".to_owned(),
            )));
        };
        match blocking(move || inner.finish()).await {
            Ok(blob) => Ok(Ok(self.push(blob)?)),
            Err(error) => Ok(Err(unavailable(&error))),
        }
    }

    async fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
