//! Users, their keys and sessions, and who a request comes from.

mod deletion;
mod guard;
mod hasher;
mod limits;
mod passwords;
mod sessions;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::token::TokenDigest;
use atelier_domain::account::{ApiKey, KeyDigest, KeySecret, Principal, Role, Scope, User, browser_key};
use atelier_domain::id::{KeyId, UserId};
use atelier_domain::store::{AccountStore, CredentialStore, DeletionStore, StoreError};
use atelier_domain::time::{Clock, Timestamp};
use moka::future::Cache;
use tokio::sync::{Mutex, watch};

use guard::Guard;
pub use guard::GuardLimits;
pub use hasher::{HashCost, Hasher, HasherLimits};
pub use limits::AccountLimits;
pub(crate) use sessions::fresh;
use sessions::{Attempted, KnownSession};
pub use sessions::{SignIn, SignedIn};

use crate::caller::scope_of;
use crate::{ServiceError, StoragePool};

/// How long a good key is believed without asking the store, at most five minutes.
const GOOD_FOR: Duration = Duration::from_secs(300);
const GOOD_KEYS_MAX: u64 = 100_000;
/// Unknown keys are remembered shortly and few, so that guessing costs the store little and memory less.
const UNKNOWN_FOR: Duration = Duration::from_secs(5);
const UNKNOWN_KEYS_MAX: u64 = 10_000;
/// Characters of a name.
const NAME_CHARACTERS_MAX: usize = 100;

/// From one sweep of sessions that are over to the next, and between two goes of one.
const BETWEEN_SWEEPS: Duration = Duration::from_secs(600);
const BETWEEN_GOES: Duration = Duration::from_millis(50);

/// What authentication found.
#[derive(Clone, Debug)]
pub struct Authenticated {
    pub principal: Arc<Principal>,
    /// Opaque name of the tenant.
    pub scope: Arc<str>,
}

#[derive(Debug)]
struct Known {
    who: Authenticated,
    owner: UserId,
    key: KeyId,
    /// The epoch in which the store was asked: any other, and the store is asked again.
    epoch: u64,
    /// The minute of the last note of use.
    touched_minute: AtomicU64,
}

/// Users and keys over the account store.
#[derive(Debug)]
pub struct Accounts {
    store: Arc<dyn AccountStore>,
    sign_ins: Arc<dyn CredentialStore>,
    deletions: Arc<dyn DeletionStore>,
    /// Held while somebody is deleted.
    deleting: Mutex<()>,
    pool: StoragePool,
    clock: Arc<dyn Clock>,
    limits: AccountLimits,
    hasher: Hasher,
    failures_here: Guard<Attempted>,
    failures_anywhere: Guard<Attempted>,
    known_sessions: Cache<TokenDigest, Arc<KnownSession>>,
    known: Cache<KeyDigest, Arc<Known>>,
    unknown: Cache<KeyDigest, u64>,
    /// Counts changes that take access away. Each makes everything cached before it void, also a load still under way.
    epoch: AtomicU64,
    /// The same for sessions, of which many end: keys are none the slower.
    session_epoch: AtomicU64,
}

/// A key just made, with the only copy of its secret.
#[derive(Debug)]
pub struct NewKey {
    pub key: ApiKey,
    pub secret: KeySecret,
}

impl Accounts {
    /// Accounts over a store.
    pub fn new<S: AccountStore + CredentialStore + DeletionStore + 'static>(
        store: Arc<S>,
        pool: StoragePool,
        clock: Arc<dyn Clock>,
        limits: AccountLimits,
    ) -> Self {
        let known_sessions = Cache::builder().max_capacity(GOOD_KEYS_MAX).time_to_live(GOOD_FOR).build();
        Self {
            store: store.clone(),
            sign_ins: store.clone(),
            deletions: store,
            deleting: Mutex::default(),
            pool,
            clock,
            hasher: Hasher::new(limits.hasher),
            failures_here: Guard::new(limits.failures_here),
            failures_anywhere: Guard::new(limits.failures_anywhere),
            limits,
            known_sessions,
            known: Cache::builder().max_capacity(GOOD_KEYS_MAX).time_to_live(GOOD_FOR).build(),
            unknown: Cache::builder().max_capacity(UNKNOWN_KEYS_MAX).time_to_live(UNKNOWN_FOR).build(),
            epoch: AtomicU64::new(0),
            session_epoch: AtomicU64::new(0),
        }
    }

    /// Who has this secret.
    ///
    /// # Errors
    /// Unknown, expired or revoked key, disabled user, or the store cannot be asked.
    pub async fn authenticate(&self, secret: &str) -> Result<Authenticated, ServiceError> {
        let digest = KeyDigest::of(secret);
        let epoch = self.epoch.load(Ordering::Acquire);
        let known = match self.known.get(&digest).await {
            Some(known) if known.epoch == epoch => known,
            Some(_) => {
                self.known.invalidate(&digest).await;
                self.load(digest, epoch).await?
            }
            None => self.load(digest, epoch).await?,
        };
        let now = self.clock.now();
        if known.who.principal.expires.is_some_and(|expires| expires <= now) {
            return Err(ServiceError::KeyExpired);
        }
        self.note_use(&known, now);
        Ok(known.who.clone())
    }

    async fn load(&self, digest: KeyDigest, epoch: u64) -> Result<Arc<Known>, ServiceError> {
        if self.unknown.get(&digest).await == Some(epoch) {
            return Err(ServiceError::KeyUnknown);
        }
        let result = self.known.try_get_with(digest, self.look_up(digest, epoch)).await;
        let known = result.map_err(|error| (*error).clone())?;
        // A shared load may have begun before the last revocation: then only a look of our own counts.
        if known.epoch == epoch { Ok(known) } else { self.look_up(digest, epoch).await }
    }

    async fn look_up(&self, digest: KeyDigest, epoch: u64) -> Result<Arc<Known>, ServiceError> {
        let store = self.store.clone();
        let Some((key, user)) = self.pool.run(move || store.key_by_digest(&digest)).await? else {
            self.unknown.insert(digest, epoch).await;
            return Err(ServiceError::KeyUnknown);
        };
        if key.revoked.is_some() {
            return Err(ServiceError::KeyRevoked);
        }
        if user.disabled {
            return Err(ServiceError::UserDisabled);
        }
        let principal = Principal {
            user: user.id,
            role: self.role_of(&user),
            key: key.id,
            scopes: key.scopes,
            expires: key.expires,
            session: None,
        };
        let who = Authenticated { principal: Arc::new(principal), scope: scope_of(user.id) };
        let touched_minute = AtomicU64::new(key.last_used.map_or(0, minute));
        Ok(Arc::new(Known { who, owner: user.id, key: key.id, epoch, touched_minute }))
    }

    /// Who a key speaks for, without its secret: for what was begun with it and goes on without its owner.
    ///
    /// # Errors
    /// The key is gone, expired or revoked, may not generate, or its user is disabled.
    pub async fn principal(&self, owner: UserId, id: KeyId) -> Result<Principal, ServiceError> {
        let store = self.store.clone();
        let (key, user) =
            self.pool.run(move || Ok::<_, StoreError>((store.key(owner, id)?, store.user(owner)?))).await?;
        // What was begun in a browser goes on when its session has ended, as long as its user may.
        if let Some(user) = &user
            && id == browser_key(owner)
        {
            if user.disabled {
                return Err(ServiceError::UserDisabled);
            }
            let role = self.role_of(user);
            let scopes = role.scopes().to_vec();
            return Ok(Principal { user: owner, role, key: id, scopes, expires: None, session: None });
        }
        let (Some(key), Some(user)) = (key, user) else { return Err(ServiceError::KeyUnknown) };
        if key.revoked.is_some() {
            return Err(ServiceError::KeyRevoked);
        }
        if user.disabled {
            return Err(ServiceError::UserDisabled);
        }
        if key.expires.is_some_and(|expires| expires <= self.clock.now()) {
            return Err(ServiceError::KeyExpired);
        }
        let ApiKey { id, scopes, expires, .. } = key;
        let role = self.role_of(&user);
        let principal = Principal { user: user.id, role, key: id, scopes, expires, session: None };
        match principal.may(Scope::Generate) {
            true => Ok(principal),
            false => Err(ServiceError::ScopeMissing(Scope::Generate)),
        }
    }

    /// Notes the use of a key once a minute, beside the request.
    fn note_use(&self, known: &Known, now: Timestamp) {
        let this = minute(now);
        let last = known.touched_minute.load(Ordering::Relaxed);
        let mine = this > last
            && known
                .touched_minute
                .compare_exchange(last, this, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if mine {
            let (store, pool, owner, key) = (self.store.clone(), self.pool.clone(), known.owner, known.key);
            tokio::spawn(async move {
                if let Err(error) = pool.run(move || store.touch_key(owner, key, now)).await {
                    tracing::warn!(%error, "the last use of a key could not be noted");
                }
            });
        }
    }

    /// Adds a user.
    ///
    /// # Errors
    /// The name is taken or malformed.
    pub async fn create_user(&self, name: &str, role: Role) -> Result<User, ServiceError> {
        let name = checked_name(name)?;
        // Mail goes to addresses in lower case, however they were written.
        let name = name.parse::<EmailAddress>().map_or(name, |address| address.to_string());
        let user = User {
            id: UserId::new(),
            name,
            role,
            created: self.clock.now(),
            disabled: false,
            verified: None,
        };
        let (store, row) = (self.store.clone(), user.clone());
        self.pool.run(move || store.create_user(&row)).await?;
        Ok(user)
    }

    /// Makes a key for a user. Its secret exists nowhere else.
    ///
    /// # Errors
    /// The user does not exist, or no scope was named.
    pub async fn create_key(
        &self,
        owner: UserId,
        name: &str,
        scopes: Vec<Scope>,
        expires: Option<Timestamp>,
    ) -> Result<NewKey, ServiceError> {
        let name = checked_name(name)?;
        if scopes.is_empty() {
            let message = "name at least one scope: read, generate, admin or plugin-admin".to_owned();
            return Err(ServiceError::Invalid { param: "scopes".to_owned(), message });
        }
        let secret = KeySecret::generate()
            .map_err(|error| ServiceError::Internal(format!("the system has no randomness: {error}")))?;
        let key = ApiKey {
            id: KeyId::new(),
            user: owner,
            name,
            digest: secret.digest(),
            hint: secret.hint(),
            scopes,
            created: self.clock.now(),
            expires,
            revoked: None,
            last_used: None,
        };
        let (store, row) = (self.store.clone(), key.clone());
        self.pool
            .run(move || match store.user(owner)?.filter(|user| !user.is_deleted()) {
                Some(_) => Ok(store.create_key(&row)?),
                None => Err(ServiceError::NotFound { what: "such user" }),
            })
            .await?;
        self.unknown.invalidate(&key.digest).await;
        Ok(NewKey { key, secret })
    }

    /// A user's keys, in the order of their making.
    pub async fn keys(
        &self,
        owner: UserId,
        after: Option<KeyId>,
        limit: usize,
    ) -> Result<Vec<ApiKey>, ServiceError> {
        let store = self.store.clone();
        self.pool.run(move || store.keys(owner, after, limit)).await
    }

    /// Takes a key's access away, durably and at once.
    ///
    /// # Errors
    /// The owner has no such key.
    pub async fn revoke_key(&self, owner: UserId, id: KeyId) -> Result<(), ServiceError> {
        let (store, now) = (self.store.clone(), self.clock.now());
        let found = self.pool.run(move || store.revoke_key(owner, id, now)).await?;
        self.epoch.fetch_add(1, Ordering::AcqRel);
        if found { Ok(()) } else { Err(ServiceError::NotFound { what: "such key" }) }
    }

    /// Users, in the order of their making.
    pub async fn users(&self, after: Option<UserId>, limit: usize) -> Result<Vec<User>, ServiceError> {
        let store = self.store.clone();
        self.pool.run(move || store.users(after, limit)).await
    }

    /// The user of that name.
    ///
    /// # Errors
    /// There is none.
    pub async fn user_by_name(&self, name: &str) -> Result<User, ServiceError> {
        let (store, name) = (self.store.clone(), name.to_owned());
        let found = self.pool.run(move || store.user_by_name(&name)).await?;
        found.ok_or(ServiceError::NotFound { what: "such user" })
    }

    /// Takes all of a user's access away at once, or gives it back.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn set_disabled(&self, id: UserId, disabled: bool) -> Result<User, ServiceError> {
        let (store, sign_ins) = (self.store.clone(), self.sign_ins.clone());
        let changed = self
            .pool
            .run(move || {
                let found = store.user(id)?.filter(|user| !user.is_deleted());
                let mut user = found.ok_or(ServiceError::NotFound { what: "such user" })?;
                user.disabled = disabled;
                store.update_user(&user)?;
                if disabled {
                    // Those sessions do not come back with their user.
                    sign_ins.end_sessions(id)?;
                }
                Ok::<_, ServiceError>(user)
            })
            .await;
        self.access_taken();
        changed
    }

    /// What a user is: as they were made, or as the configuration says of their address once it is verified.
    pub fn role_of(&self, user: &User) -> Role {
        let is_named = user.verified.is_some() && self.limits.administrators.contains(&user.name);
        if is_named { Role::Administrator } else { user.role }
    }

    /// How passwords are hashed.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Whatever is cached of keys and sessions is void.
    fn access_taken(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        self.sessions_ended();
    }

    /// Whatever is cached of sessions is void.
    pub(crate) fn sessions_ended(&self) {
        self.session_epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// Removes what is over, until told to stop.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        loop {
            let rest = match self.sweep_sessions().await {
                Ok(sessions::SWEPT_MAX..) => BETWEEN_GOES,
                Ok(_) => BETWEEN_SWEEPS,
                Err(error) => {
                    tracing::error!(%error, "sessions that are over could not be removed");
                    BETWEEN_SWEEPS
                }
            };
            tokio::select! {
                () = tokio::time::sleep(rest) => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }
}

fn minute(moment: Timestamp) -> u64 {
    moment.0 / 60_000
}

fn checked_name(name: &str) -> Result<String, ServiceError> {
    let name = name.trim();
    let length = name.chars().count();
    if length == 0 || length > NAME_CHARACTERS_MAX || name.chars().any(char::is_control) {
        let message = format!("a name has 1 to {NAME_CHARACTERS_MAX} characters and no control characters");
        return Err(ServiceError::Invalid { param: "name".to_owned(), message });
    }
    Ok(name.to_owned())
}
