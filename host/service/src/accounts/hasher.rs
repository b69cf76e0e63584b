//! Argon2id (RFC 9106) off the async threads: so many at once, so many that wait, and no longer than so.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{CustomizedPasswordHasher as _, PasswordVerifier as _};
use argon2::{Algorithm, Argon2, Params, Version};
use atelier_domain::account::password::Password;
use atelier_domain::account::session::PasswordHash;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::ServiceError;

const SALT_BYTES: usize = 16;

/// What a hash costs whoever makes it, and so whoever guesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashCost {
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

impl HashCost {
    /// OWASP's Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
    pub const OWASP: Self = Self { memory_kib: 19_456, passes: 2, lanes: 1 };
}

/// Bounds of a [`Hasher`]. Each hash takes a core, and the memory of its cost.
#[derive(Clone, Copy, Debug)]
pub struct HasherLimits {
    pub cost: HashCost,
    pub running_max: usize,
    pub waiting_max: usize,
    pub wait_max: Duration,
}

impl Default for HasherLimits {
    fn default() -> Self {
        Self { cost: HashCost::OWASP, running_max: 2, waiting_max: 64, wait_max: Duration::from_secs(5) }
    }
}

/// Hashes passwords.
#[derive(Clone)]
pub struct Hasher {
    limits: HasherLimits,
    argon2: Argon2<'static>,
    places: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    hashed: Arc<AtomicU64>,
    refused: Arc<AtomicU64>,
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hasher").field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// What a check of a password showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Wrong,
    Right {
        /// The same password at today's cost, where it was hashed at another.
        dearer: Option<PasswordHash>,
    },
}

impl Hasher {
    /// A hasher with these bounds.
    ///
    /// # Panics
    /// The cost is none that Argon2 has: one of ours.
    pub fn new(limits: HasherLimits) -> Self {
        let HashCost { memory_kib, passes, lanes } = limits.cost;
        let params = Params::new(memory_kib, passes, lanes, None).expect("a cost of ours");
        Self {
            limits,
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            places: Arc::new(Semaphore::new(limits.running_max)),
            waiting: Arc::default(),
            hashed: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// Hashes made so far, whether for somebody or for nobody.
    pub fn hashed(&self) -> u64 {
        self.hashed.load(Ordering::Relaxed)
    }

    /// Passwords that were neither hashed nor checked, since too many were.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    /// Hashes a password with a salt of its own.
    ///
    /// # Errors
    /// Too many are being hashed.
    pub(super) async fn hash(&self, password: Password) -> Result<PasswordHash, ServiceError> {
        self.run(move |this| this.hashed_now(&password)).await
    }

    /// Holds a password against a hash. Without one, as much is done in vain, so that nobody learns from the time that it took who
    /// there is.
    ///
    /// # Errors
    /// Too many are being hashed.
    pub(super) async fn check(
        &self,
        password: Password,
        against: Option<PasswordHash>,
    ) -> Result<Checked, ServiceError> {
        self.run(move |this| {
            let Some(against) = against else {
                this.hashed_now(&password)?;
                return Ok(Checked::Wrong);
            };
            let stored = Phc::new(&against.0)
                .map_err(|error| ServiceError::Internal(format!("a stored password is none: {error}")))?;
            this.hashed.fetch_add(1, Ordering::Relaxed);
            if this.argon2.verify_password(password.reveal().as_bytes(), &stored).is_err() {
                return Ok(Checked::Wrong);
            }
            let is_todays = Params::try_from(&stored).is_ok_and(|params| {
                let HashCost { memory_kib, passes, lanes } = this.limits.cost;
                (params.m_cost(), params.t_cost(), params.p_cost()) == (memory_kib, passes, lanes)
            });
            let dearer = if is_todays { None } else { Some(this.hashed_now(&password)?) };
            Ok(Checked::Right { dearer })
        })
        .await
    }

    fn hashed_now(&self, password: &Password) -> Result<PasswordHash, ServiceError> {
        let internal = |what: String| ServiceError::Internal(what);
        let mut salt = [0; SALT_BYTES];
        getrandom::fill(&mut salt)
            .map_err(|error| internal(format!("the system has no randomness: {error}")))?;
        self.hashed.fetch_add(1, Ordering::Relaxed);
        let hash = self.argon2.hash_password_customized(
            password.reveal().as_bytes(),
            &salt,
            Some("argon2id"),
            None,
            self.argon2.params().clone(),
        );
        let hash = hash.map_err(|error| internal(format!("a password could not be hashed: {error}")))?;
        Ok(PasswordHash(hash.to_string()))
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let place = match self.places.clone().try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.wait().await.inspect_err(|_| {
                self.refused.fetch_add(1, Ordering::Relaxed);
            })?,
        };
        let this = self.clone();
        let outcome = tokio::task::spawn_blocking(move || {
            // Given back when the work ends, not when its caller leaves.
            let _place = place;
            work(&this)
        });
        outcome.await.unwrap_or_else(|error| {
            Err(ServiceError::Internal(format!("hashing stopped unexpectedly: {error}")))
        })
    }

    async fn wait(&self) -> Result<OwnedSemaphorePermit, ServiceError> {
        let _waiting = Waiting::enter(&self.waiting, self.limits.waiting_max)?;
        match tokio::time::timeout(self.limits.wait_max, self.places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) | Err(_) => Err(ServiceError::SignInBusy),
        }
    }
}

/// Counts one that waits, however it stops waiting.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize, max: usize) -> Result<Self, ServiceError> {
        let before = count.fetch_add(1, Ordering::Relaxed);
        let waiting = Self(count);
        if before < max { Ok(waiting) } else { Err(ServiceError::SignInBusy) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: HashCost = HashCost { memory_kib: 64, passes: 1, lanes: 1 };

    fn hasher(cost: HashCost) -> Hasher {
        Hasher::new(HasherLimits { cost, ..HasherLimits::default() })
    }

    fn password(text: &str) -> Password {
        Password::attempt(text).expect("possible")
    }

    #[tokio::test]
    async fn a_hash_names_its_cost_and_salt_and_knows_its_password_alone() {
        let hasher = Hasher::new(HasherLimits::default());
        let hash = hasher.hash(password("plum orbit 7 lantern")).await.expect("hashed");
        assert!(hash.0.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{}", hash.0);
        let again = hasher.hash(password("plum orbit 7 lantern")).await.expect("hashed");
        assert_ne!(hash, again, "each has its own salt");
        let checked = hasher.check(password("plum orbit 7 lantern"), Some(hash.clone())).await;
        assert_eq!(checked.expect("checked"), Checked::Right { dearer: None });
        let wrong = hasher.check(password("plum orbit 8 lantern"), Some(hash)).await;
        assert_eq!(wrong.expect("checked"), Checked::Wrong);
    }

    #[tokio::test]
    async fn a_password_that_was_hashed_at_another_cost_is_hashed_anew() {
        let cheap = hasher(CHEAP).hash(password("plum orbit 7 lantern")).await.expect("hashed");
        let today = hasher(HashCost { passes: 2, ..CHEAP });
        let checked = today.check(password("plum orbit 7 lantern"), Some(cheap)).await.expect("checked");
        let Checked::Right { dearer: Some(dearer) } = checked else { panic!("{checked:?}") };
        assert!(dearer.0.contains("m=64,t=2,p=1"), "{}", dearer.0);
        let checked = today.check(password("plum orbit 7 lantern"), Some(dearer)).await;
        assert_eq!(checked.expect("checked"), Checked::Right { dearer: None });
    }

    #[tokio::test]
    async fn account_enumeration_by_timing_finds_as_much_work_where_there_is_no_account() {
        let hasher = hasher(CHEAP);
        let hash = hasher.hash(password("plum orbit 7 lantern")).await.expect("hashed");
        let before = hasher.hashed();
        hasher.check(password("a wrong password"), Some(hash)).await.expect("checked");
        let of_somebody = hasher.hashed() - before;
        hasher.check(password("a wrong password"), None).await.expect("checked");
        assert_eq!((of_somebody, hasher.hashed() - before), (1, 2));
    }

    #[tokio::test]
    async fn too_many_at_once_are_refused_and_the_others_go_on() {
        let limits =
            HasherLimits { cost: CHEAP, running_max: 1, waiting_max: 1, wait_max: Duration::from_millis(20) };
        let hasher = Hasher::new(limits);
        let place = hasher.places.clone().try_acquire_owned().expect("free");
        let refused = hasher.hash(password("plum orbit 7 lantern")).await;
        assert!(matches!(refused, Err(ServiceError::SignInBusy)), "it waited for too long: {refused:?}");
        let full = Waiting::enter(&hasher.waiting, 1).expect("one may wait");
        let refused = hasher.hash(password("plum orbit 7 lantern")).await;
        assert!(matches!(refused, Err(ServiceError::SignInBusy)), "too many wait: {refused:?}");
        assert_eq!(hasher.refused(), 2);
        drop((place, full));
        assert!(hasher.hash(password("plum orbit 7 lantern")).await.is_ok());
        assert_eq!(hasher.waiting.load(Ordering::Relaxed), 0);
    }
}
