use std::ops::Bound;

use atelier_domain::id::UserId;
use atelier_domain::idempotency::{Claim, ClaimKey, ClaimState, ClaimStore};
use atelier_domain::store::{StoreError, SweepPage, SweepPlace, Swept};
use atelier_domain::time::Timestamp;

use super::Store;
use super::deletions::{is_deleted, refuse_deleted};
use crate::codec::{damaged, decode, encode};
use crate::engine::{Txn, TxnError};
use crate::keys;
use crate::schema::Table;

impl ClaimStore for Store {
    fn claim(&self, key: &ClaimKey) -> Result<Option<Claim>, StoreError> {
        let key = keys::claim(key);
        self.engine().get(Table::Claims, &key)?.map(|row| decode(Table::Claims, &key, &row)).transpose()
    }

    fn claim_body(&self, key: &ClaimKey) -> Result<Option<Vec<u8>>, StoreError> {
        self.engine().get(Table::ClaimBodies, &keys::claim(key))
    }

    fn put_claim(
        &self,
        key: &ClaimKey,
        claim: &Claim,
        body: Option<&[u8]>,
        owner_bytes_max: u64,
    ) -> Result<(), StoreError> {
        self.engine().write(|txn| {
            if is_deleted(txn, key.owner)? {
                // Nobody can ask for the answer any more.
                return Ok(());
            }
            remove(txn, key)?;
            let before = owner_bytes(txn, key.owner)?;
            let kept = body.filter(|body| before.saturating_add(body.len() as u64) <= owner_bytes_max);
            let mut claim = claim.clone();
            if let ClaimState::Answered(answer) = &mut claim.state {
                answer.has_body = kept.is_some();
            }
            put(txn, key, &claim)?;
            if let Some(body) = kept {
                txn.put(Table::ClaimBodies, &keys::claim(key), body)?;
                set_owner_bytes(txn, key.owner, before + body.len() as u64)?;
            }
            Ok(())
        })
    }

    fn remove_claim(&self, key: &ClaimKey) -> Result<(), StoreError> {
        self.engine().write_soon(|txn| remove(txn, key).map(drop))
    }

    fn sweep_claims(&self, now: Timestamp, page: &SweepPage) -> Result<Swept, StoreError> {
        let first = page.after.clone().map_or(Bound::Unbounded, |SweepPlace(key)| Bound::Excluded(key));
        let last = Bound::Included([&now.0.to_be_bytes()[..], &[0xff; 48]].concat());
        let expired = self.engine().keys(Table::ClaimsByExpiry, (first, last), page.limit)?;
        let mut swept = Swept::default();
        for entry in &expired {
            match self.remove_expired(entry) {
                Ok(()) => swept.removed += 1,
                Err(StoreError::Damaged(why)) => swept.unreadable.push(why),
                Err(error) => return Err(error),
            }
        }
        if expired.len() == page.limit {
            swept.next = expired.last().cloned().map(SweepPlace);
        }
        Ok(swept)
    }
}

impl Store {
    /// Removes the claim of an entry by expiry.
    fn remove_expired(&self, entry: &[u8]) -> Result<(), StoreError> {
        let (at, key) = keys::parse_claim_expiry(entry)?;
        self.engine().write_soon(|txn| {
            // It may have been claimed anew since it was listed.
            match read(txn, &key)? {
                Some(claim) if claim.expires == at => remove(txn, &key).map(drop),
                _ => txn.remove(Table::ClaimsByExpiry, entry).map(drop),
            }
        })
    }
}

/// Takes a claim for a job that is created at `now`: it is free, has expired, or was begun by the same request.
pub(super) fn claim_for_job(
    txn: &Txn<'_>,
    key: &ClaimKey,
    claim: &Claim,
    now: Timestamp,
) -> Result<(), TxnError> {
    refuse_deleted(txn, key.owner)?;
    let is_anothers = |found: &Claim| {
        let is_its_own = found.state == ClaimState::Begun && found.payload == claim.payload;
        found.expires > now && !is_its_own
    };
    if remove(txn, key)?.as_ref().is_some_and(is_anothers) {
        return Err(StoreError::Exists { what: "a request with this idempotency key".to_owned() }.into());
    }
    put(txn, key, claim)
}

fn read(txn: &Txn<'_>, key: &ClaimKey) -> Result<Option<Claim>, TxnError> {
    let row_key = keys::claim(key);
    let row = txn.get(Table::Claims, &row_key)?;
    Ok(row.map(|row| decode(Table::Claims, &row_key, &row)).transpose()?)
}

fn put(txn: &Txn<'_>, key: &ClaimKey, claim: &Claim) -> Result<(), TxnError> {
    txn.put(Table::Claims, &keys::claim(key), &encode(Table::Claims, claim)?)?;
    txn.put_key(Table::ClaimsByExpiry, &keys::claim_expiry(claim.expires, key))
}

/// Removes a claim with all that belongs to it, and gives what it was.
fn remove(txn: &Txn<'_>, key: &ClaimKey) -> Result<Option<Claim>, TxnError> {
    let Some(claim) = read(txn, key)? else { return Ok(None) };
    let row_key = keys::claim(key);
    if let Some(body) = txn.get(Table::ClaimBodies, &row_key)? {
        txn.remove(Table::ClaimBodies, &row_key)?;
        let before = owner_bytes(txn, key.owner)?;
        set_owner_bytes(txn, key.owner, before.saturating_sub(body.len() as u64))?;
    }
    txn.remove(Table::ClaimsByExpiry, &keys::claim_expiry(claim.expires, key))?;
    txn.remove(Table::Claims, &row_key)?;
    Ok(Some(claim))
}

/// Removes the claim of a key among all claims; `false` if there is none.
pub(super) fn erase(txn: &Txn<'_>, key: &[u8]) -> Result<bool, TxnError> {
    Ok(remove(txn, &keys::parse_claim(key)?)?.is_some())
}

fn owner_bytes(txn: &Txn<'_>, owner: UserId) -> Result<u64, TxnError> {
    let Some(row) = txn.get(Table::ClaimBytes, owner.as_bytes())? else { return Ok(0) };
    let bytes =
        row.as_array().ok_or_else(|| damaged(Table::ClaimBytes, owner.as_bytes(), "it is no number"))?;
    Ok(u64::from_be_bytes(*bytes))
}

fn set_owner_bytes(txn: &Txn<'_>, owner: UserId, bytes: u64) -> Result<(), TxnError> {
    match bytes {
        0 => txn.remove(Table::ClaimBytes, owner.as_bytes()).map(drop),
        _ => txn.put(Table::ClaimBytes, owner.as_bytes(), &bytes.to_be_bytes()),
    }
}
