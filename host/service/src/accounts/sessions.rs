//! Sessions of browsers: begun with a password, known by a random token, ended from many sides.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use atelier_domain::account::password::Password;
use atelier_domain::account::session::{PasswordHash, Session};
use atelier_domain::account::token::{Token, TokenDigest};
use atelier_domain::account::{Principal, User, browser_key};
use atelier_domain::id::{SessionId, UserId};
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

use super::hasher::Checked;
use super::{Accounts, Authenticated, minute};
use crate::ServiceError;
use crate::caller::scope_of;
use crate::limits::network_of;

/// Characters kept of what a browser calls itself.
const AGENT_CHARACTERS_MAX: usize = 200;
/// Bytes of a name that is looked up: more than any has.
const NAME_BYTES_MAX: usize = 256;
/// Sessions removed in one go.
pub(super) const SWEPT_MAX: usize = 256;

/// Whom an attempt to sign in is counted for: a name, hashed, and where it came from, or from anywhere.
pub(super) type Attempted = ([u8; 32], Option<IpAddr>);

/// What somebody signs in with.
#[derive(Debug)]
pub struct SignIn<'a> {
    pub name: &'a str,
    pub password: &'a str,
    /// Where they are.
    pub from: IpAddr,
    /// What their browser calls itself.
    pub agent: &'a str,
    /// A session that the browser has already: it ends.
    pub before: Option<Token>,
}

/// A session just begun, with the only copy of its secret.
#[derive(Debug)]
pub struct SignedIn {
    pub user: User,
    pub session: Session,
    pub token: Token,
}

#[derive(Debug)]
pub(super) struct KnownSession {
    who: Authenticated,
    digest: TokenDigest,
    expires: Timestamp,
    /// The epoch in which the store was asked: any other, and the store is asked again.
    epoch: u64,
    /// The last use, in milliseconds since 1970.
    last_used: AtomicU64,
    /// The minute of the last note of use.
    noted_minute: AtomicU64,
}

impl Accounts {
    /// Begins a session for whoever knows a user's password.
    ///
    /// # Errors
    /// [`ServiceError::SignInFailed`], whatever it was that is wrong, after as much work as a success takes;
    /// [`ServiceError::TooManyFailures`] after too many of those; [`ServiceError::SignInBusy`].
    pub async fn sign_in(&self, sign_in: SignIn<'_>) -> Result<SignedIn, ServiceError> {
        let attempted = self.attempt(sign_in.name, sign_in.from)?;
        let Ok(password) = Password::attempt(sign_in.password) else {
            return Err(ServiceError::SignInFailed);
        };
        let found = self.known_by(sign_in.name).await?;
        let (hash, version) = match &found {
            Some(user) if !user.disabled => {
                let credentials = self.credentials_of(user.id).await?;
                (credentials.password, credentials.version)
            }
            Some(_) | None => (None, 0),
        };
        let checked = self.hasher.check(password, hash.clone()).await?;
        let (Checked::Right { dearer }, Some(user)) = (checked, found) else {
            return Err(ServiceError::SignInFailed);
        };
        self.forgive(&attempted);
        if let (Some(old), Some(new)) = (hash, dearer) {
            self.keep_dearer(user.id, old, new).await;
        }
        if let Some(before) = sign_in.before {
            self.sign_out(&before).await?;
        }
        self.begin(user, version, sign_in.agent).await
    }

    /// A session for a user whose credentials are of this version still.
    pub(crate) async fn begin(
        &self,
        user: User,
        version: u64,
        agent: &str,
    ) -> Result<SignedIn, ServiceError> {
        let token = fresh()?;
        let now = self.clock.now();
        let session = Session {
            id: SessionId::new(),
            user: user.id,
            digest: token.digest(),
            created: now,
            last_used: now,
            expires: now.plus(self.limits.session_lasts),
            version,
            agent: agent.chars().filter(|c| !c.is_control()).take(AGENT_CHARACTERS_MAX).collect(),
        };
        let (store, row, max) = (self.sign_ins.clone(), session.clone(), self.limits.sessions_per_user);
        let begun = self.pool.run(move || store.create_session(&row, max)).await;
        match begun {
            Ok(()) => Ok(SignedIn { user, session, token }),
            // The password was changed while it was checked.
            Err(ServiceError::Store(StoreError::Conflict { .. })) => Err(ServiceError::SignInFailed),
            Err(error) => Err(error),
        }
    }

    /// Who is signed in with this token.
    ///
    /// # Errors
    /// [`ServiceError::SessionOver`]: it is unknown, ended, unused for too long or too old, or its user is disabled.
    pub async fn authenticate_session(&self, token: &Token) -> Result<Authenticated, ServiceError> {
        let digest = token.digest();
        let epoch = self.session_epoch.load(Ordering::Acquire);
        let known = match self.known_sessions.get(&digest).await {
            Some(known) if known.epoch == epoch => known,
            Some(_) | None => {
                let known = Arc::new(self.look_up_session(digest, epoch).await?);
                self.known_sessions.insert(digest, known.clone()).await;
                known
            }
        };
        let now = self.clock.now();
        let idle_since = Timestamp(known.last_used.load(Ordering::Relaxed));
        if now >= known.expires || now >= idle_since.plus(self.limits.session_idle) {
            return Err(ServiceError::SessionOver);
        }
        known.last_used.fetch_max(now.0, Ordering::Relaxed);
        self.note_session(&known, now);
        Ok(known.who.clone())
    }

    async fn look_up_session(&self, digest: TokenDigest, epoch: u64) -> Result<KnownSession, ServiceError> {
        let store = self.sign_ins.clone();
        let found = self.pool.run(move || store.session_by_digest(&digest)).await?;
        let (session, user) = found.ok_or(ServiceError::SessionOver)?;
        if user.disabled {
            return Err(ServiceError::SessionOver);
        }
        let role = self.role_of(&user);
        let principal = Principal {
            user: user.id,
            role,
            key: browser_key(user.id),
            scopes: role.scopes().to_vec(),
            expires: Some(session.expires),
            session: Some(session.id),
        };
        Ok(KnownSession {
            who: Authenticated { principal: Arc::new(principal), scope: scope_of(user.id) },
            digest,
            expires: session.expires,
            epoch,
            last_used: AtomicU64::new(session.last_used.0),
            noted_minute: AtomicU64::new(minute(session.last_used)),
        })
    }

    /// Notes the use of a session once a minute, beside the request.
    fn note_session(&self, known: &KnownSession, now: Timestamp) {
        if known.noted_minute.fetch_max(minute(now), Ordering::Relaxed) < minute(now) {
            let (store, pool, digest) = (self.sign_ins.clone(), self.pool.clone(), known.digest);
            tokio::spawn(async move {
                if let Err(error) = pool.run(move || store.touch_session(&digest, now)).await {
                    tracing::warn!(%error, "the last use of a session could not be noted");
                }
            });
        }
    }

    /// Ends the session with this token, if there is one.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn sign_out(&self, token: &Token) -> Result<(), ServiceError> {
        let (store, digest) = (self.sign_ins.clone(), token.digest());
        let ended = self.pool.run(move || match store.session_by_digest(&digest)? {
            Some((session, _)) => store.end_session(session.user, session.id),
            None => Ok(false),
        });
        let ended = ended.await;
        self.sessions_ended();
        ended.map(|_| ())
    }

    /// The owner's sessions that go on, newest first.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn sessions(&self, owner: UserId) -> Result<Vec<Session>, ServiceError> {
        let store = self.sign_ins.clone();
        let mut sessions = self.pool.run(move || store.sessions_of(owner)).await?;
        let (now, idle) = (self.clock.now(), self.limits.session_idle);
        sessions.retain(|session| now < session.expires && now < session.last_used.plus(idle));
        Ok(sessions)
    }

    /// Ends one of the owner's sessions, at once.
    ///
    /// # Errors
    /// They have none such.
    pub async fn end_session(&self, owner: UserId, id: SessionId) -> Result<(), ServiceError> {
        let store = self.sign_ins.clone();
        let ended = self.pool.run(move || store.end_session(owner, id)).await;
        self.sessions_ended();
        if ended? { Ok(()) } else { Err(ServiceError::NotFound { what: "such session" }) }
    }

    /// Ends all sessions of a user, at once.
    ///
    /// # Errors
    /// There is no such user.
    pub async fn sign_out_everywhere(&self, user: UserId) -> Result<(), ServiceError> {
        let (users, store) = (self.store.clone(), self.sign_ins.clone());
        let ended = self.pool.run(move || match users.user(user)?.filter(|user| !user.is_deleted()) {
            Some(_) => Ok(store.end_sessions(user)?),
            None => Err(ServiceError::NotFound { what: "such user" }),
        });
        let ended = ended.await;
        self.sessions_ended();
        ended
    }

    /// How long a session may be unused, and how long it lasts at most.
    pub fn session_times(&self) -> (Duration, Duration) {
        (self.limits.session_idle, self.limits.session_lasts)
    }

    /// Begins an attempt with a user's password from an address.
    pub(super) fn attempt(&self, name: &str, from: IpAddr) -> Result<Attempted, ServiceError> {
        let name = *blake3::hash(name.trim().to_lowercase().as_bytes()).as_bytes();
        let (here, anywhere) = ((name, Some(network_of(from))), (name, None));
        let now = self.clock.monotonic_ms();
        let told = |after| ServiceError::TooManyFailures { after };
        self.failures_here.attempt(&here, now).map_err(told)?;
        self.failures_anywhere.attempt(&anywhere, now).map_err(told)?;
        Ok(here)
    }

    pub(super) fn forgive(&self, attempted: &Attempted) {
        self.failures_here.succeeded(attempted);
        self.failures_anywhere.succeeded(&(attempted.0, None));
    }

    pub(super) async fn keep_dearer(&self, user: UserId, old: PasswordHash, new: PasswordHash) {
        let store = self.sign_ins.clone();
        if let Err(error) = self.pool.run(move || store.rehash(user, &old, &new)).await {
            tracing::warn!(%error, "a password stays hashed at its old cost");
        }
    }

    /// The user of a name as it was typed: addresses are kept in lower case.
    async fn known_by(&self, name: &str) -> Result<Option<User>, ServiceError> {
        let name = name.trim().to_owned();
        if name.len() > NAME_BYTES_MAX / 2 && !name.is_ascii() || name.len() > NAME_BYTES_MAX {
            return Ok(None);
        }
        let store = self.store.clone();
        self.pool
            .run(move || match store.user_by_name(&name)? {
                Some(user) => Ok::<_, StoreError>(Some(user)),
                None => store.user_by_name(&name.to_lowercase()),
            })
            .await
    }

    /// Removes sessions that are over; gives how many there were.
    pub(super) async fn sweep_sessions(&self) -> Result<usize, ServiceError> {
        let (store, now) = (self.sign_ins.clone(), self.clock.now());
        self.pool.run(move || store.sweep_sessions(now, SWEPT_MAX)).await
    }
}

/// A random token.
pub(crate) fn fresh() -> Result<Token, ServiceError> {
    Token::generate()
        .map_err(|error| ServiceError::Internal(format!("the system has no randomness: {error}")))
}
