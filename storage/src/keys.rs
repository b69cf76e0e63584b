//! Keys: fixed-width big-endian parts, so that bytes sort as the values do.

pub(crate) mod batches;
pub(crate) mod conversations;
mod events;
pub(crate) mod files;

use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::token::TokenDigest;
use atelier_domain::id::{JobId, KeyId, SessionId, TemplateId, UserId};
use atelier_domain::idempotency::ClaimKey;
use atelier_domain::mail::TokenUse;
use atelier_domain::money::{Account, Dimension, Subject, TotalsKey};
use atelier_domain::store::StoreError;
use atelier_domain::time::Timestamp;

use crate::codec::damaged;
use crate::schema::Table;

pub(crate) use events::{callback_mark, delivery, due, due_of, event, period_of};

/// The most bytes of a user's name.
pub const USER_NAME_BYTES_MAX: usize = 256;
/// The most bytes of a template's name.
pub const TEMPLATE_NAME_BYTES_MAX: usize = 1024;
/// The most bytes of a plugin's id.
pub const PLUGIN_ID_BYTES_MAX: usize = 256;

const ID: usize = 16;
const DIGEST: usize = 32;

/// Owner, then key: the keys of one owner lie together, oldest first.
pub(crate) fn owned_key(owner: UserId, id: KeyId) -> [u8; 2 * ID] {
    join(owner.as_bytes(), id.as_bytes())
}

/// Owner, then session: the sessions of one owner lie together, oldest first.
pub(crate) fn owned_session(owner: UserId, id: SessionId) -> [u8; 2 * ID] {
    join(owner.as_bytes(), id.as_bytes())
}

/// What a mailed token is for, then its address.
pub(crate) fn mail_token_of(address: &EmailAddress, purpose: TokenUse) -> Vec<u8> {
    let purpose = match purpose {
        TokenUse::Verify => 0,
        TokenUse::Reset => 1,
    };
    [&[purpose], address.as_str().as_bytes()].concat()
}

/// End, then digest: the first to be over lies first.
pub(crate) fn mail_token_ending(at: Timestamp, digest: &TokenDigest) -> [u8; 8 + DIGEST] {
    join(&at.0.to_be_bytes(), &digest.0)
}

/// Owner, then job, inverted: one owner's jobs lie together, newest first.
pub(crate) fn owned_job(owner: UserId, id: JobId) -> [u8; 2 * ID] {
    join(owner.as_bytes(), &id.as_bytes().map(|byte| !byte))
}

/// The job of a key made by [`owned_job`].
pub(crate) fn job_of_owned(key: &[u8]) -> Result<JobId, StoreError> {
    let (_, id) = split::<ID, ID>(Table::JobsByOwner, key)?;
    Ok(JobId::from_bytes(id.map(|byte| !byte)))
}

/// Owner, then digest.
pub(crate) fn claim(key: &ClaimKey) -> [u8; ID + DIGEST] {
    join(key.owner.as_bytes(), &key.digest)
}

/// The claim of a key made by [`claim`].
pub(crate) fn parse_claim(key: &[u8]) -> Result<ClaimKey, StoreError> {
    let (owner, digest) = split::<ID, DIGEST>(Table::Claims, key)?;
    Ok(ClaimKey { owner: UserId::from_bytes(owner), digest })
}

/// Expiry, then claim: the first to expire lies first.
pub(crate) fn claim_expiry(at: Timestamp, key: &ClaimKey) -> [u8; 8 + ID + DIGEST] {
    join(&at.0.to_be_bytes(), &claim(key))
}

/// Expiry and claim of a key made by [`claim_expiry`].
pub(crate) fn parse_claim_expiry(key: &[u8]) -> Result<(Timestamp, ClaimKey), StoreError> {
    let (at, claim) = split::<8, { ID + DIGEST }>(Table::ClaimsByExpiry, key)?;
    Ok((Timestamp(u64::from_be_bytes(at)), parse_claim(&claim)?))
}

/// An error's code with its length before it, then job, inverted: jobs with one code lie together, newest first. A longer code
/// than fits is cut: codes are words of ours.
pub(crate) fn failed_job(code: &str, id: JobId) -> Vec<u8> {
    [failed_jobs(code).as_slice(), &id.as_bytes().map(|byte| !byte)].concat()
}

/// What the keys of all jobs with a code begin with.
pub(crate) fn failed_jobs(code: &str) -> Vec<u8> {
    let code = &code.as_bytes()[..code.len().min(u8::MAX.into())];
    [&[code.len() as u8], code].concat()
}

/// The job of a key made by [`failed_job`].
pub(crate) fn job_of_failed(key: &[u8]) -> Result<JobId, StoreError> {
    let id = key.split_last_chunk::<ID>().map(|(_, id)| id.map(|byte| !byte));
    id.map(JobId::from_bytes).ok_or_else(|| damaged(Table::JobsFailed, key, "its key is too short"))
}

/// Owner, then a record's id, inverted: one owner's records lie together, newest first.
pub(crate) fn newest_first(owner: UserId, id: &[u8; ID]) -> [u8; 2 * ID] {
    join(owner.as_bytes(), &id.map(|byte| !byte))
}

/// An account of the ledger.
pub(crate) fn account(account: Account) -> Vec<u8> {
    let (kind, user) = match account {
        Account::Issued => (0, None),
        Account::Revenue => (1, None),
        Account::Available(user) => (2, Some(user)),
        Account::Held(user) => (3, Some(user)),
        Account::Allowance(user) => (4, Some(user)),
    };
    let mut key = vec![kind];
    key.extend(user.iter().flat_map(|user| user.as_bytes()));
    key
}

/// The account of a key made by [`account`].
pub(crate) fn parse_account(key: &[u8]) -> Result<Account, StoreError> {
    let user = |id: &[u8]| id.as_array().map(|id| UserId::from_bytes(*id));
    match key.split_first() {
        Some((0, [])) => Some(Account::Issued),
        Some((1, [])) => Some(Account::Revenue),
        Some((2, id)) => user(id).map(Account::Available),
        Some((3, id)) => user(id).map(Account::Held),
        Some((4, id)) => user(id).map(Account::Allowance),
        _ => None,
    }
    .ok_or_else(|| damaged(Table::Balances, key, "its key is no account"))
}

/// Whose budget.
pub(crate) fn subject(subject: Subject) -> [u8; 1 + ID] {
    match subject {
        Subject::User(user) => join(&[0], user.as_bytes()),
        Subject::Key(key) => join(&[1], key.as_bytes()),
    }
}

/// User or all, then dimension: sums of one kind lie together.
pub(crate) fn totals_of(user: Option<UserId>, by: Dimension) -> [u8; 2 + ID] {
    let by = match by {
        Dimension::Day => 0,
        Dimension::Model => 1,
        Dimension::Provider => 2,
        Dimension::Key => 3,
        Dimension::User => 4,
    };
    match user {
        None => join(&[0; 1 + ID], &[by]),
        Some(user) => {
            let mut key = [1; 2 + ID];
            key[1..=ID].copy_from_slice(user.as_bytes());
            key[1 + ID] = by;
            key
        }
    }
}

/// Day, then value, behind [`totals_of`].
pub(crate) fn totals(of: &[u8], key: &TotalsKey) -> Vec<u8> {
    [of, &key.day.to_be_bytes(), key.value.as_bytes()].concat()
}

/// What [`totals`] was made of.
pub(crate) fn parse_totals(key: &[u8]) -> Result<TotalsKey, StoreError> {
    let parse = || {
        let (day, value) = key.get(2 + ID..)?.split_first_chunk::<4>()?;
        let value = String::from_utf8(value.to_vec()).ok()?;
        Some(TotalsKey { day: u32::from_be_bytes(*day), value })
    };
    parse().ok_or_else(|| damaged(Table::UsageTotals, key, "its key is no day and value"))
}

/// A template, inverted: the newest lies first.
pub(crate) fn template_listed(id: TemplateId) -> [u8; ID] {
    id.as_bytes().map(|byte| !byte)
}

/// The template of a key made by [`template_listed`].
pub(crate) fn parse_template_listed(key: &[u8]) -> Result<TemplateId, StoreError> {
    let id = key.as_array().map(|id: &[u8; ID]| TemplateId::from_bytes(id.map(|byte| !byte)));
    id.ok_or_else(|| damaged(Table::TemplatesListed, key, "its key is no id"))
}

/// Template, then version.
pub(crate) fn template_version(id: TemplateId, version: u32) -> [u8; ID + 4] {
    join(id.as_bytes(), &version.to_be_bytes())
}

/// A template's name as a key.
///
/// # Errors
/// [`StoreError::Unavailable`] when it is longer than [`TEMPLATE_NAME_BYTES_MAX`].
pub(crate) fn template_name(name: &str) -> Result<&[u8], StoreError> {
    bounded("template name", name, TEMPLATE_NAME_BYTES_MAX)
}

/// A user's name as a key.
///
/// # Errors
/// [`StoreError::Unavailable`] when it is longer than [`USER_NAME_BYTES_MAX`].
pub(crate) fn user_name(name: &str) -> Result<&[u8], StoreError> {
    bounded("user name", name, USER_NAME_BYTES_MAX)
}

/// A plugin's id as a key.
///
/// # Errors
/// [`StoreError::Unavailable`] when it is longer than [`PLUGIN_ID_BYTES_MAX`].
pub(crate) fn plugin_id(id: &str) -> Result<&[u8], StoreError> {
    bounded("plugin id", id, PLUGIN_ID_BYTES_MAX)
}

fn bounded<'a>(what: &str, text: &'a str, max: usize) -> Result<&'a [u8], StoreError> {
    if text.len() > max {
        let size = text.len();
        return Err(StoreError::Unavailable(format!(
            "a {what} may have {max} bytes at most; this has {size}"
        )));
    }
    Ok(text.as_bytes())
}

fn join<const N: usize>(head: &[u8], tail: &[u8]) -> [u8; N] {
    let mut key = [0; N];
    key[..head.len()].copy_from_slice(head);
    key[head.len()..].copy_from_slice(tail);
    key
}

fn split<const A: usize, const B: usize>(table: Table, key: &[u8]) -> Result<([u8; A], [u8; B]), StoreError> {
    let parts = key.split_first_chunk::<A>().and_then(|(head, tail)| Some((*head, *tail.as_array::<B>()?)));
    parts.ok_or_else(|| damaged(table, key, &format!("its key has {} bytes instead of {}", key.len(), A + B)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn owners_jobs_lie_together_newest_first(a: ([u8; 16], [u8; 16]), b: ([u8; 16], [u8; 16])) {
            let key = |(owner, id)| owned_job(UserId::from_bytes(owner), JobId::from_bytes(id));
            prop_assert_eq!(key(a).cmp(&key(b)), a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        }

        #[test]
        fn owners_keys_lie_together_oldest_first(a: ([u8; 16], [u8; 16]), b: ([u8; 16], [u8; 16])) {
            let key = |(owner, id)| owned_key(UserId::from_bytes(owner), KeyId::from_bytes(id));
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
        }

        #[test]
        fn keys_give_back_what_they_were_made_of(owner: [u8; 16], id: [u8; 16]) {
            let id = JobId::from_bytes(id);
            prop_assert_eq!(job_of_owned(&owned_job(UserId::from_bytes(owner), id)).expect("well-formed"), id);
        }

        #[test]
        fn claims_sort_by_expiry_and_give_back_what_they_were_made_of(a: (u64, [u8; 32]), b: (u64, [u8; 32]), owner: [u8; 16]) {
            let owner = UserId::from_bytes(owner);
            let key = |(at, digest)| claim_expiry(Timestamp(at), &ClaimKey { owner, digest });
            prop_assert_eq!(key(a).cmp(&key(b)), a.cmp(&b));
            let read = parse_claim_expiry(&key(a)).expect("well-formed");
            prop_assert_eq!(read, (Timestamp(a.0), ClaimKey { owner, digest: a.1 }));
        }

        #[test]
        fn failed_jobs_lie_together_by_code(code in ".{0,80}", other in ".{0,80}", id: [u8; 16]) {
            let key = failed_job(&code, JobId::from_bytes(id));
            prop_assert_eq!(key.starts_with(&failed_jobs(&other)), code == other);
            prop_assert_eq!(job_of_failed(&key).expect("well-formed"), JobId::from_bytes(id));
        }

        #[test]
        fn accounts_and_sums_give_back_what_they_were_made_of(user: [u8; 16], day: u32, value: String) {
            let user = UserId::from_bytes(user);
            for made in [Account::Issued, Account::Revenue, Account::Available(user), Account::Held(user), Account::Allowance(user)] {
                prop_assert_eq!(parse_account(&account(made)).expect("well-formed"), made);
            }
            let made = TotalsKey { day, value };
            for by in Dimension::ALL {
                prop_assert_eq!(parse_totals(&totals(&totals_of(Some(user), by), &made)).expect("well-formed"), made.clone());
                prop_assert_eq!(parse_totals(&totals(&totals_of(None, by), &made)).expect("well-formed"), made.clone());
            }
        }

        #[test]
        fn sums_sort_by_day_then_value(a: (u32, String), b: (u32, String)) {
            let of = totals_of(None, Dimension::Model);
            let key = |(day, value): (u32, String)| totals(&of, &TotalsKey { day, value });
            prop_assert_eq!(key(a.clone()).cmp(&key(b.clone())), a.cmp(&b));
        }

        #[test]
        fn a_key_of_another_length_is_damage(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert_eq!(job_of_owned(&bytes).is_ok(), bytes.len() == 32);
            prop_assert!(parse_account(&bytes).is_err() || [1, 17].contains(&bytes.len()));
            prop_assert!(parse_totals(&bytes).is_err() || bytes.len() >= 22);
        }
    }

    #[test]
    fn names_and_ids_are_bounded() {
        assert!(user_name(&"n".repeat(USER_NAME_BYTES_MAX)).is_ok());
        assert!(user_name(&"n".repeat(USER_NAME_BYTES_MAX + 1)).is_err());
        assert!(plugin_id(&"n".repeat(PLUGIN_ID_BYTES_MAX + 1)).is_err());
    }
}
