//! On whose behalf a use case runs.

use std::sync::Arc;

use atelier_domain::account::Principal;
use atelier_domain::id::UserId;
use atelier_domain::plugin::SecretValue;
use atelier_domain::trace::Trace;

use crate::ServiceError;
use crate::idempotency::KeyedRequest;

/// An authenticated caller with the request they make.
#[derive(Clone, Debug)]
pub struct Caller {
    pub principal: Arc<Principal>,
    /// Opaque name of the tenant: all that providers learn of who is calling.
    pub scope: Arc<str>,
    /// Id of the caller's request.
    pub request_id: Arc<str>,
    /// How often the request has already passed through a host like this one.
    pub depth: u32,
    /// A key of their own for the provider, sent with this request alone.
    pub own_key: Option<Arc<SecretValue>>,
    /// Set for a request that came with an idempotency key.
    pub keyed: Option<Arc<KeyedRequest>>,
    /// The request's span, where it is traced.
    pub trace: Option<Trace>,
}

impl Caller {
    /// Refuses a key of their own where none is used.
    ///
    /// # Errors
    /// [`ServiceError::OwnKeyNotTaken`].
    pub fn without_own_key(&self) -> Result<(), ServiceError> {
        if self.own_key.is_none() { Ok(()) } else { Err(ServiceError::OwnKeyNotTaken) }
    }

    /// Who owns what this caller makes.
    pub fn user(&self) -> UserId {
        self.principal.user
    }
}

/// The opaque scope of a user: a one-way digest, so that no provider sees an account's id.
pub fn scope_of(user: UserId) -> Arc<str> {
    let digest = blake3::derive_key("atelier 2026-11 tenant scope v1", user.as_bytes());
    blake3::Hash::from_bytes(digest).to_hex()[..32].into()
}
