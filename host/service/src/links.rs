//! Links: an owner lets others have one artifact without a key, for a time. An address is signed, so that none can be made up; its row
//! makes it known to its owner, who may revoke it.

mod address;

use std::sync::Arc;
use std::time::Duration;

use atelier_domain::blob::Blob;
use atelier_domain::id::LinkId;
use atelier_domain::job::StoredOutput;
use atelier_domain::link::{Artifact, Link, LinkKind};
use atelier_domain::store::{AccountStore, LinkStore, StoreError};
use atelier_domain::time::Clock;

pub use address::LinkAddresses;

use crate::caller::Caller;
use crate::files::Files;
use crate::jobs::Jobs;
use crate::limits::{Class, Limiter, Subject};
use crate::{ServiceError, StoragePool};

/// A user's links that are neither over nor revoked.
pub const LINKS_MAX: usize = 10_000;
/// Characters of a title.
pub const TITLE_CHARACTERS_MAX: usize = 200;
/// The longest that a link may last.
pub const LASTS_MAX: Duration = Duration::from_secs(365 * 86_400);

/// What links are made with.
#[derive(Debug)]
pub struct LinkPorts {
    pub addresses: LinkAddresses,
    pub store: Arc<dyn LinkStore>,
    pub accounts: Arc<dyn AccountStore>,
    pub files: Files,
    pub jobs: Jobs,
    pub pool: StoragePool,
    pub limiter: Arc<Limiter>,
    pub clock: Arc<dyn Clock>,
}

/// A link to be made.
#[derive(Clone, Debug)]
pub struct NewLink {
    pub artifact: Artifact,
    pub kind: LinkKind,
    pub title: Option<String>,
    pub lasts: Duration,
}

/// What a link leads to.
#[derive(Clone, Debug)]
pub struct Target {
    pub link: Link,
    pub blob: Blob,
    /// As its owner called it.
    pub name: Option<String>,
    /// How long the link goes on.
    pub left: Duration,
}

/// Links of all users.
#[derive(Debug)]
pub struct Links {
    ports: LinkPorts,
}

impl Links {
    /// Over these ports.
    pub fn new(ports: LinkPorts) -> Self {
        Self { ports }
    }

    /// Makes a link to one of the caller's artifacts.
    ///
    /// # Errors
    /// They have no such artifact, too many links, or the link's time or title is not allowed.
    pub async fn create(&self, caller: &Caller, new: NewLink) -> Result<Link, ServiceError> {
        let invalid =
            |param: &str, message: String| Err(ServiceError::Invalid { param: param.to_owned(), message });
        if new.lasts.is_zero() || new.lasts > LASTS_MAX {
            return invalid("expires_in_seconds", format!("must be from 1 to {}", LASTS_MAX.as_secs()));
        }
        if let Some(title) = &new.title
            && (title.chars().count() > TITLE_CHARACTERS_MAX || title.chars().any(char::is_control))
        {
            let message = format!("at most {TITLE_CHARACTERS_MAX} characters, and no control characters");
            return invalid("title", message);
        }
        let now = self.ports.clock.now();
        let link = Link {
            id: LinkId::new(),
            owner: caller.user(),
            artifact: new.artifact,
            kind: new.kind,
            title: new.title,
            created: now,
            expires: now.plus(new.lasts),
        };
        // Only what the caller owns, and what is there.
        self.find(&link).await?;
        let (store, row) = (self.ports.store.clone(), link.clone());
        let made = self.ports.pool.run(move || -> Result<(), ServiceError> {
            if store.link_count(row.owner)? >= LINKS_MAX {
                return Err(ServiceError::TooMany { what: "links", max: LINKS_MAX });
            }
            Ok(store.create_link(&row)?)
        });
        made.await.map(|()| link)
    }

    /// The caller's links, newest first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn list(
        &self,
        caller: &Caller,
        before: Option<LinkId>,
        limit: usize,
    ) -> Result<Vec<Link>, ServiceError> {
        let (store, owner) = (self.ports.store.clone(), caller.user());
        self.ports.pool.run(move || store.links_of(owner, before, limit)).await
    }

    /// Makes a link lead nowhere, at once.
    ///
    /// # Errors
    /// The caller has none such.
    pub async fn revoke(&self, caller: &Caller, id: LinkId) -> Result<(), ServiceError> {
        let (store, owner) = (self.ports.store.clone(), caller.user());
        match self.ports.pool.run(move || store.remove_link(owner, id)).await? {
            true => Ok(()),
            false => Err(ServiceError::NotFound { what: "such link" }),
        }
    }

    /// The unguessable part of a link's address.
    pub fn token(&self, link: &Link) -> String {
        self.ports.addresses.token(link)
    }

    /// What a token leads to, for anybody who has it.
    ///
    /// # Errors
    /// It is none of ours, over, revoked, its owner is disabled, or its artifact is gone: all of them look alike. Or it is asked for too often.
    pub async fn follow(&self, token: &str) -> Result<Target, ServiceError> {
        let nothing = || ServiceError::NotFound { what: "such link" };
        let now = self.ports.clock.now();
        // What is not signed or over costs no look-up.
        let signed = self.ports.addresses.read(token).filter(|signed| signed.expires > now);
        let id = signed.ok_or_else(nothing)?.id;
        let taken =
            self.ports.limiter.take(Subject::Link(id), Class::Shares, self.ports.clock.monotonic_ms());
        if taken.retry_after.is_some() {
            return Err(ServiceError::RateLimited(taken));
        }
        let (store, accounts) = (self.ports.store.clone(), self.ports.accounts.clone());
        let found = self.ports.pool.run(move || {
            let Some(link) = store.link(id)? else { return Ok(None) };
            Ok::<_, StoreError>((!accounts.is_user_disabled(link.owner)?).then_some(link))
        });
        let link = found.await?.ok_or_else(nothing)?;
        let left = Duration::from_millis(link.expires.0.saturating_sub(now.0));
        let (blob, name) = match self.find(&link).await {
            Err(ServiceError::NotFound { .. }) => return Err(nothing()),
            found => found?,
        };
        Ok(Target { link, blob, name, left })
    }

    async fn find(&self, link: &Link) -> Result<(Blob, Option<String>), ServiceError> {
        match link.artifact {
            Artifact::File(id) => {
                let file = self.ports.files.owned(link.owner, id).await?;
                let blob = self.ports.files.open(&file).await?;
                Ok((blob, Some(file.name)))
            }
            Artifact::Output { job, index } => {
                let job = self.ports.jobs.owned(link.owner, job).await?;
                let output = usize::try_from(index).ok().and_then(|index| job.outputs.get(index));
                let Some(StoredOutput::Media { blob, size, content_type, .. }) = output else {
                    return Err(ServiceError::NotFound { what: "such output" });
                };
                Ok((self.ports.jobs.open(*blob, *size, content_type).await?, None))
            }
        }
    }
}
