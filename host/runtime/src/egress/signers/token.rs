//! Tokens kept for as long as they are good. Whoever needs one while none is there fetches it; the others wait for that one fetch.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use atelier_domain::time::Clock;
use http::HeaderValue;
use tokio::sync::{Mutex, MutexGuard};

use super::endpoint::Endpoint;
use super::jwt::Issuer;
use super::{SignError, spellings_of};
use crate::egress::client::Egress;
use crate::egress::grants::Grants;
use crate::egress::scrub::Patterns;

/// For one question to a token endpoint.
const FETCH_TIME_MAX: Duration = Duration::from_secs(15);
/// A token is replaced this long before its end, or after four fifths of a short life.
const MARGIN_MS_MAX: u64 = 60_000;
/// For how long a failure answers for the next ones as well.
const REFUSED_PAUSE_MS: u64 = 5_000;
const UNAVAILABLE_PAUSE_MS: u64 = 1_000;
/// A token that is refused when it is younger than this is not replaced: the next would be refused as well.
const REPLACED_AGE_MS_MIN: u64 = 10_000;

/// Where tokens come from.
#[derive(Debug)]
pub enum Source {
    /// This host.
    Issuer(Issuer),
    /// A token endpoint.
    Endpoint(Endpoint),
}

/// A token, finished as a header's value.
#[derive(Debug)]
pub struct Token {
    pub header: HeaderValue,
    issued_ms: u64,
    renew_ms: u64,
    ends_ms: u64,
}

/// The failure that answers until `until_ms`.
#[derive(Debug)]
struct Failed {
    error: SignError,
    until_ms: u64,
}

/// The tokens of one secret of one instance.
pub struct Tokens {
    source: Source,
    clock: Arc<dyn Clock>,
    patterns: Arc<Patterns>,
    current: RwLock<Option<Arc<Token>>>,
    /// Held by whoever fetches.
    turn: Mutex<Option<Failed>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("source", &self.source).finish_non_exhaustive()
    }
}

impl Tokens {
    /// None yet. What is fetched, `patterns` learn.
    pub fn new(source: Source, clock: Arc<dyn Clock>, patterns: Arc<Patterns>) -> Self {
        Self { source, clock, patterns, current: RwLock::default(), turn: Mutex::default() }
    }

    /// A good token.
    ///
    /// # Errors
    /// There is none, and none is to be had now.
    pub async fn get(&self, egress: &Egress, grants: &Grants) -> Result<Arc<Token>, SignError> {
        let now = self.clock.monotonic_ms();
        match self.current() {
            Some(token) if now < token.renew_ms => return Ok(token),
            // One replaces it; meanwhile it serves the others, and stays if there is no new one.
            Some(token) if now < token.ends_ms => {
                let Ok(turn) = self.turn.try_lock() else { return Ok(token) };
                if turn.as_ref().is_some_and(|failed| now < failed.until_ms) {
                    return Ok(token);
                }
                return Ok(self.fetch(turn, egress, grants).await.unwrap_or(token));
            }
            Some(_) | None => {}
        }
        let turn = self.turn.lock().await;
        let now = self.clock.monotonic_ms();
        if let Some(token) = self.current().filter(|token| now < token.ends_ms) {
            return Ok(token);
        }
        match turn.as_ref() {
            Some(failed) if now < failed.until_ms => Err(failed.error.clone()),
            Some(_) | None => self.fetch(turn, egress, grants).await,
        }
    }

    /// A token after `used` was refused: another one if that could help.
    pub async fn replace(&self, used: &Arc<Token>, egress: &Egress, grants: &Grants) -> Option<Arc<Token>> {
        if matches!(self.source, Source::Issuer(_)) {
            return None;
        }
        {
            let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
            if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, used)) {
                if self.clock.monotonic_ms().saturating_sub(used.issued_ms) < REPLACED_AGE_MS_MIN {
                    return None;
                }
                *current = None;
            }
        }
        self.get(egress, grants).await.ok()
    }

    fn current(&self) -> Option<Arc<Token>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn fetch(
        &self,
        mut turn: MutexGuard<'_, Option<Failed>>,
        egress: &Egress,
        grants: &Grants,
    ) -> Result<Arc<Token>, SignError> {
        let asked_ms = self.clock.monotonic_ms();
        let time_max = FETCH_TIME_MAX.min(egress.timeouts().first_byte);
        let got = match &self.source {
            Source::Issuer(issuer) => issuer.issue(self.clock.now()).map_err(SignError::Unavailable),
            Source::Endpoint(endpoint) => endpoint.ask(egress, grants, self.clock.now(), time_max).await,
        };
        match got.and_then(|(token, lifetime_s)| self.keep(&token, lifetime_s, asked_ms)) {
            Ok(token) => {
                *turn = None;
                Ok(token)
            }
            Err(error) => {
                let pause_ms = match error {
                    SignError::Unavailable(_) => UNAVAILABLE_PAUSE_MS,
                    SignError::Refused(_) | SignError::Denied(_) => REFUSED_PAUSE_MS,
                };
                *turn = Some(Failed { error: error.clone(), until_ms: self.clock.monotonic_ms() + pause_ms });
                Err(error)
            }
        }
    }

    /// The token is learned before anybody can send it.
    fn keep(&self, token: &str, lifetime_s: u64, issued_ms: u64) -> Result<Arc<Token>, SignError> {
        let mut header = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| SignError::Unavailable("its token cannot be sent in a header".to_owned()))?;
        header.set_sensitive(true);
        self.patterns.learn(spellings_of(token));
        let lifetime_ms = lifetime_s.saturating_mul(1000);
        let ends_ms = issued_ms + lifetime_ms;
        let renew_ms = ends_ms - MARGIN_MS_MAX.min(lifetime_ms / 5);
        let token = Arc::new(Token { header, issued_ms, renew_ms, ends_ms });
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&token));
        Ok(token)
    }
}
