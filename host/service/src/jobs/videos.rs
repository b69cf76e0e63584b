//! Videos: media jobs that their owner lists apart from others, and deletes.

use atelier_domain::generation::media::MediaInput;
use atelier_domain::generation::{Media, MediaSource};
use atelier_domain::id::JobId;
use atelier_domain::job::{Erasure, Job, JobPage, JobState, StoredInput, StoredOutput};

use super::{JobPorts, Jobs};
use crate::ServiceError;
use crate::caller::Caller;

/// The role of a video that another is made of (see `wit/`).
const VIDEO: &str = "video";
/// The attribute of an input that names the job which made it.
const MADE_BY: &str = "made-by";
const GONE: ServiceError = ServiceError::NotFound { what: "such generation" };

impl Jobs {
    /// A page of the caller's videos.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn videos(&self, caller: &Caller, page: JobPage) -> Result<Vec<Job>, ServiceError> {
        let (store, owner) = (self.inner.ports.store.clone(), caller.user());
        self.inner.ports.pool.run(move || store.videos_of(owner, &page)).await
    }

    /// A finished video of the caller's as the input of another job.
    ///
    /// # Errors
    /// It is not finished or has no video, or its content is gone.
    pub async fn source_video(&self, job: &Job) -> Result<MediaInput, ServiceError> {
        let found = job.outputs.iter().find_map(|output| match output {
            StoredOutput::Media { blob, size, content_type, attributes, .. } if is_video(content_type) => {
                Some((*blob, *size, content_type, attributes))
            }
            StoredOutput::Media { .. } | StoredOutput::Text(_) | StoredOutput::Model(_) => None,
        });
        let Some((blob, size, content_type, attributes)) = found.filter(|_| job.state == JobState::Succeeded)
        else {
            let message =
                format!("the video is {}: only a completed one can be made anew", job.state.as_str());
            return Err(ServiceError::Invalid { param: "video_id".to_owned(), message });
        };
        let blob = self.open(blob, size, content_type).await?;
        let mut media = Media::new(MediaSource::Blob(blob), Some(content_type.clone()));
        media.attributes.clone_from(attributes);
        media.attributes.push((MADE_BY.to_owned(), job.id.to_string()));
        Ok(MediaInput { role: VIDEO.to_owned(), media })
    }

    /// Deletes a job of the caller's with all that was put in and made; one that goes on has to end first. What is being read at
    /// this moment is read to its end.
    ///
    /// # Errors
    /// They have none such, or it goes on.
    pub async fn erase(&self, caller: &Caller, id: JobId) -> Result<(), ServiceError> {
        let JobPorts { store, blobs, pool, .. } = &self.inner.ports;
        let (store, blobs, owner) = (store.clone(), blobs.clone(), caller.user());
        let job = self.get(caller, id).await?;
        let erasure = pool.run(move || {
            for blob in job.blobs() {
                // Its content's time of grace begins now; content that is gone or damaged needs none.
                if let Err(error) = blobs.claim(&blob, "") {
                    tracing::warn!(%blob, %error, "the content of a job that is being deleted cannot be read");
                }
            }
            store.erase_job(owner, id)
        });
        match erasure.await? {
            Erasure::Erased => Ok(()),
            Erasure::Open => Err(ServiceError::NotEnded { what: "generation" }),
            Erasure::Absent => Err(GONE),
        }
    }
}

/// The job that made what a job was given, if one did.
pub fn made_by(inputs: &[StoredInput]) -> Option<JobId> {
    let mut attributes = inputs.iter().flat_map(|input| &input.attributes);
    attributes.find(|(name, _)| name == MADE_BY).and_then(|(_, id)| id.parse().ok())
}

/// Whether a content type is a video's.
pub fn is_video(content_type: &str) -> bool {
    content_type.starts_with("video/")
}
