//! What the host remembers of requests that came with an idempotency key, so that a repetition has one effect and one
//! answer (IETF draft "The Idempotency-Key HTTP Header Field").

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::{JobId, UserId};
use crate::store::{StoreError, SweepPage, Swept};
use crate::time::Timestamp;

/// Under what a claim is kept: one caller's key on one route. The key itself is not kept, only a digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimKey {
    pub owner: UserId,
    pub digest: [u8; 32],
}

impl ClaimKey {
    /// The caller's key on a route, which is its method and path as the route table writes them.
    pub fn new(owner: UserId, route: &str, key: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("atelier 2026-11 idempotency claim v1");
        for part in [route, key] {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part.as_bytes());
        }
        Self { owner, digest: *hasher.finalize().as_bytes() }
    }
}

impl fmt::Debug for ClaimKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = blake3::Hash::from_bytes(self.digest).to_hex();
        write!(f, "{}/{}", self.owner, &digest[..16])
    }
}

/// A request's claim on its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Digest of the request's method, path and body: another payload under the same key is a mistake.
    pub payload: String,
    /// When the key is free again.
    pub expires: Timestamp,
    pub state: ClaimState,
}

/// What became of a request, as far as is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClaimState {
    /// What it creates or costs may have happened. Found by a process that does not run it, its outcome is unknown.
    Begun,
    /// It became this job, which is its answer.
    Job(JobId),
    Answered(KeptAnswer),
}

/// An answer as it is given again. Its body is kept beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptAnswer {
    /// The HTTP status.
    pub status: u16,
    pub headers: Vec<(String, String)>,
    /// Whether the body was kept: it may have been too large, secret, or broken off.
    pub has_body: bool,
}

/// Claims. Their methods block: call them off the async threads.
pub trait ClaimStore: Send + Sync + fmt::Debug {
    /// The claim on a key, expired or not.
    fn claim(&self, key: &ClaimKey) -> Result<Option<Claim>, StoreError>;
    /// The body of an answer that was kept.
    fn claim_body(&self, key: &ClaimKey) -> Result<Option<Vec<u8>>, StoreError>;
    /// Adds or replaces a claim, durably, and the body of its answer. The owner's bodies may have `owner_bytes_max` together:
    /// beyond that the answer is kept without its body.
    fn put_claim(
        &self,
        key: &ClaimKey,
        claim: &Claim,
        body: Option<&[u8]>,
        owner_bytes_max: u64,
    ) -> Result<(), StoreError>;
    /// Frees a key. Recorded, not durable; nothing happens if it is free.
    fn remove_claim(&self, key: &ClaimKey) -> Result<(), StoreError>;
    /// Removes claims that expired before or at `now`, oldest first. Takes time by what it removes.
    fn sweep_claims(&self, now: Timestamp, page: &SweepPage) -> Result<Swept, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_another_for_another_caller_and_on_another_route() {
        let (alice, bob) = (UserId::new(), UserId::new());
        let key = ClaimKey::new(alice, "POST /v1/a", "k");
        assert_eq!(key, ClaimKey::new(alice, "POST /v1/a", "k"));
        assert_ne!(key, ClaimKey::new(bob, "POST /v1/a", "k"));
        assert_ne!(key, ClaimKey::new(alice, "POST /v1/b", "k"));
        assert_ne!(
            ClaimKey::new(alice, "POST /v1/a", "bc"),
            ClaimKey::new(alice, "POST /v1/ab", "c"),
            "the parts are told apart"
        );
    }
}
