//! The ports of the database. Their methods block: call them off the async threads.

mod batches;
mod callbacks;
mod conversations;
mod credentials;
mod deletions;
mod events;
mod ledger;
mod mail;
mod provider_keys;
mod responses;
mod sealing;
mod sweep;
mod templates;
mod webhooks;

use std::fmt;

use crate::account::{ApiKey, KeyDigest, User};
use crate::blob::BlobId;
use crate::file::{FilePage, FileQuota, FileUse, LeavingFile, StoredFile};
use crate::id::{FileId, JobId, KeyId, LinkId, UserId};
use crate::idempotency::{Claim, ClaimKey};
use crate::job::{Erasure, Job, JobPage};
use crate::link::Link;
use crate::money::{Hold, Refusal};
use crate::plugin::InstalledPlugin;
use crate::rendition::{Rendition, RenditionKind};
use crate::time::Timestamp;

pub use batches::BatchStore;
pub use callbacks::{CallbackMark, CallbackStore};
pub use conversations::ConversationStore;
pub use credentials::CredentialStore;
pub use deletions::DeletionStore;
pub use events::{EventPage, EventRetention, EventStore, EventSweep, EventWatcher, JobEventPage, Noted};
pub use ledger::{Audit, LedgerStore};
pub use mail::MailStore;
pub use provider_keys::ProviderKeyStore;
pub use responses::ResponseStore;
pub use sealing::{DataKey, KeeperError, KeyKeeper};
pub use sweep::{Overdue, SweepPage, SweepPlace, Swept};
pub use templates::TemplateStore;
pub use webhooks::{AfterAttempt, DeliveryKey, DeliveryStore, DueDeliveries, DueDelivery, EndpointStore};

/// Why the store could not do as asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    #[error("{what} already exists")]
    Exists { what: String },
    #[error("{what} was changed meanwhile")]
    Conflict { what: String },
    /// The files of an owner would have more bytes than they may.
    #[error("the quota of {max} bytes would be exceeded: {used} are used and {wanted} more are wanted")]
    QuotaExceeded { used: u64, wanted: u64, max: u64 },
    /// An owner would have more files than they may.
    #[error("there are {max} files already")]
    TooManyFiles { max: u64 },
    /// What an owner has removed is on the disk still, and has to go before there is room for more.
    #[error("{bytes} bytes in {files} removed files are on the disk still")]
    StillLeaving { bytes: u64, files: u64 },
    #[error("the store is damaged: {0}")]
    Damaged(String),
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
    /// The disk is full; nothing was changed.
    #[error("there is no room left to write: {0}")]
    Full(String),
    /// The ledger does not allow it; nothing was changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Users and their keys.
pub trait AccountStore: Send + Sync + fmt::Debug {
    /// Adds a user; the name must be new.
    fn create_user(&self, user: &User) -> Result<(), StoreError>;
    fn user(&self, id: UserId) -> Result<Option<User>, StoreError>;
    fn user_by_name(&self, name: &str) -> Result<Option<User>, StoreError>;
    /// Whether a user may do nothing any more. One who is not known has done nothing yet.
    fn is_user_disabled(&self, id: UserId) -> Result<bool, StoreError> {
        Ok(self.user(id)?.is_some_and(|user| user.disabled))
    }
    /// Replaces a user's row; `false` if there is none. The name cannot change.
    fn update_user(&self, user: &User) -> Result<bool, StoreError>;
    /// In the order of their making, after `after`, `limit` at most.
    fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, StoreError>;
    /// Adds a key, durably.
    fn create_key(&self, key: &ApiKey) -> Result<(), StoreError>;
    /// The key with this digest and its user: one look-up, so that both agree.
    fn key_by_digest(&self, digest: &KeyDigest) -> Result<Option<(ApiKey, User)>, StoreError>;
    /// The user's key; another's is none.
    fn key(&self, owner: UserId, id: KeyId) -> Result<Option<ApiKey>, StoreError>;
    fn keys(&self, owner: UserId, after: Option<KeyId>, limit: usize) -> Result<Vec<ApiKey>, StoreError>;
    /// Marks the owner's key revoked, durably; `false` if they have none such.
    fn revoke_key(&self, owner: UserId, id: KeyId, when: Timestamp) -> Result<bool, StoreError>;
    /// Notes when a key was last used. Recorded, not durable.
    fn touch_key(&self, owner: UserId, id: KeyId, when: Timestamp) -> Result<(), StoreError>;
}

/// The lock file of installed plugins.
pub trait PluginStore: Send + Sync + fmt::Debug {
    fn plugins(&self) -> Result<Vec<InstalledPlugin>, StoreError>;
    fn plugin(&self, id: &str) -> Result<Option<InstalledPlugin>, StoreError>;
    /// Adds or replaces a plugin's entry, durably.
    fn put_plugin(&self, plugin: &InstalledPlugin) -> Result<(), StoreError>;
    /// `false` if there was none.
    fn remove_plugin(&self, id: &str) -> Result<bool, StoreError>;
}

/// A job being admitted, and what is true only together with it.
#[derive(Clone, Copy, Debug)]
pub struct NewJob<'a> {
    pub job: &'a Job,
    /// The claim of the request that it is the answer to.
    pub claim: Option<(&'a ClaimKey, &'a Claim)>,
    /// What it may cost.
    pub hold: Option<&'a Hold>,
}

impl<'a> From<&'a Job> for NewJob<'a> {
    /// Nothing beside it.
    fn from(job: &'a Job) -> Self {
        Self { job, claim: None, hold: None }
    }
}

/// Jobs.
pub trait JobStore: Send + Sync + fmt::Debug {
    /// Adds a job with all that belongs to it in one transaction, durably. The claim must be free, have expired when
    /// the job is created, or have been begun by the same request.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the id is taken; [`StoreError::Refused`] if its owner may not spend what it may cost.
    fn create_job(&self, new: &NewJob<'_>) -> Result<(), StoreError>;
    /// The owner's job; another's is none.
    fn job_of(&self, owner: UserId, id: JobId) -> Result<Option<Job>, StoreError>;
    /// Any job: for the engine only.
    fn job(&self, id: JobId) -> Result<Option<Job>, StoreError>;
    /// The owner's jobs, newest first, before `before`, `limit` at most. Takes time by the page, not by the table.
    fn jobs_of(&self, owner: UserId, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, StoreError>;
    /// The owner's trainings, as [`JobStore::jobs_of`] gives jobs.
    fn trainings_of(
        &self,
        owner: UserId,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<Vec<Job>, StoreError>;
    /// A page of the owner's videos. Takes time by the page.
    fn videos_of(&self, owner: UserId, page: &JobPage) -> Result<Vec<Job>, StoreError>;
    /// Deletes the owner's job if it is final, durably: it is listed and found no more, and names no blob. What the books and
    /// the operator's list of failures need stays.
    fn erase_job(&self, owner: UserId, id: JobId) -> Result<Erasure, StoreError>;
    /// Reads, changes and writes one job in a transaction, durably. `change` may run again and must do nothing else; it returns
    /// whether to write. A change that makes the job final settles or releases its hold, and sets its cost. Gives the job as it then is,
    /// or `None` if there is none.
    fn change_job(&self, id: JobId, change: &dyn Fn(&mut Job) -> bool) -> Result<Option<Job>, StoreError>;
    /// Jobs that are not final, by the time they want to be woken: `limit` at most. Takes time by the open jobs only.
    fn open_jobs(&self, limit: usize) -> Result<Vec<(Timestamp, JobId)>, StoreError>;
    /// Jobs of all owners that failed with this code, newest first, before `before`, `limit` at most. Takes time by the page.
    fn failed_jobs(&self, code: &str, before: Option<JobId>, limit: usize) -> Result<Vec<Job>, StoreError>;
    /// How many of the owner's jobs are not final.
    fn open_job_count(&self, owner: UserId) -> Result<usize, StoreError>;
}

/// Files of users. A row and the name that it gives its blob are written in one transaction.
pub trait FileStore: Send + Sync + fmt::Debug {
    /// Adds a file, durably.
    ///
    /// # Errors
    /// [`StoreError::QuotaExceeded`], [`StoreError::TooManyFiles`] or [`StoreError::StillLeaving`] if its owner would then have more than
    /// the quota lets them.
    fn create_file(&self, file: &StoredFile, quota: &FileQuota) -> Result<(), StoreError>;
    /// The owner's file; another's is none.
    fn file_of(&self, owner: UserId, id: FileId) -> Result<Option<StoredFile>, StoreError>;
    /// A page of the owner's files. Takes time by the page, not by the table.
    fn files_of(&self, owner: UserId, page: &FilePage) -> Result<Vec<StoredFile>, StoreError>;
    /// Removes the owner's file at `now`, durably; `false` if they have none such. It counts as leaving from then on.
    fn remove_file(&self, owner: UserId, id: FileId, now: Timestamp) -> Result<bool, StoreError>;
    /// What the owner has, and what of theirs is leaving.
    fn file_use_of(&self, owner: UserId) -> Result<FileUse, StoreError>;
    /// Files whose time was over at `now`.
    fn expired_files(&self, now: Timestamp, page: &SweepPage) -> Result<Overdue<StoredFile>, StoreError>;
    /// Files that were removed before `before`.
    fn leaving_files(&self, before: Timestamp, page: &SweepPage) -> Result<Overdue<LeavingFile>, StoreError>;
    /// A removed file counts no more; `false` if it did not. Recorded, not durable.
    fn forget_leaving(&self, file: &LeavingFile) -> Result<bool, StoreError>;
    /// Whether any row names a blob: a file, an input or output of a job, or a message.
    fn is_blob_named(&self, id: &BlobId) -> Result<bool, StoreError>;
    /// What became of a rendition of content, `None` if it was not tried yet.
    fn rendition(&self, source: &BlobId, kind: RenditionKind) -> Result<Option<Rendition>, StoreError>;
    /// Keeps a rendition of content, and names its blob until it is forgotten, durably.
    fn put_rendition(
        &self,
        source: &BlobId,
        kind: RenditionKind,
        rendition: &Rendition,
    ) -> Result<(), StoreError>;
    /// Forgets all renditions of content that is about to be removed. Recorded, not durable.
    fn forget_renditions(&self, source: &BlobId) -> Result<(), StoreError>;
}

/// Links to artifacts.
pub trait LinkStore: Send + Sync + fmt::Debug {
    /// Adds a link, durably.
    fn create_link(&self, link: &Link) -> Result<(), StoreError>;
    /// Any link: for whoever was given its address.
    fn link(&self, id: LinkId) -> Result<Option<Link>, StoreError>;
    /// The owner's links, newest first, before `before`, `limit` at most.
    fn links_of(&self, owner: UserId, before: Option<LinkId>, limit: usize) -> Result<Vec<Link>, StoreError>;
    /// How many links the owner has.
    fn link_count(&self, owner: UserId) -> Result<usize, StoreError>;
    /// Removes the owner's link, durably; `false` if they have none such.
    fn remove_link(&self, owner: UserId, id: LinkId) -> Result<bool, StoreError>;
    /// Links whose time was over at `now`.
    fn expired_links(&self, now: Timestamp, page: &SweepPage) -> Result<Overdue<Link>, StoreError>;
}
