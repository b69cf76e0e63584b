use std::ops::Bound;

use atelier_domain::account::User;
use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::session::{Credentials, PasswordHash};
use atelier_domain::account::token::TokenDigest;
use atelier_domain::id::{MailId, UserId};
use atelier_domain::mail::{MailToken, QueuedMail, TokenUse};
use atelier_domain::store::{MailStore, StoreError};
use atelier_domain::time::Timestamp;

use super::Store;
use super::rows::{read, write};
use crate::codec::damaged;
use crate::engine::{Txn, TxnError};
use crate::keys::files::{ending, id_of_ending};
use crate::keys::{mail_token_ending, mail_token_of, user_name};
use crate::schema::Table;

impl MailStore for Store {
    fn queue_mail(&self, mail: &QueuedMail, max: usize) -> Result<bool, StoreError> {
        if self.engine().keys(Table::Mails, (Bound::Unbounded, Bound::Unbounded), max)?.len() >= max {
            return Ok(false);
        }
        self.engine().write(|txn| {
            write(txn, Table::Mails, mail.id.as_bytes(), mail)?;
            txn.put_key(Table::MailsDue, &ending(mail.due, mail.id.as_bytes()))
        })?;
        Ok(true)
    }

    fn due_mail(&self, now: Timestamp, limit: usize) -> Result<Vec<QueuedMail>, StoreError> {
        let range = (Bound::Unbounded, Bound::Included(ending(now, &[0xff; 16]).to_vec()));
        let mut due = Vec::new();
        for key in self.engine().keys(Table::MailsDue, range, limit)? {
            // One that was removed since its key was read is left out.
            due.extend(self.row::<QueuedMail>(Table::Mails, &id_of_ending(Table::MailsDue, &key)?)?);
        }
        Ok(due)
    }

    fn delay_mail(&self, id: MailId, due: Timestamp) -> Result<(), StoreError> {
        self.engine().write(|txn| {
            let Some(mut mail) = read::<QueuedMail>(txn, Table::Mails, id.as_bytes())? else { return Ok(()) };
            txn.remove(Table::MailsDue, &ending(mail.due, id.as_bytes()))?;
            mail.due = due;
            mail.attempts += 1;
            write(txn, Table::Mails, id.as_bytes(), &mail)?;
            txn.put_key(Table::MailsDue, &ending(due, id.as_bytes()))
        })
    }

    fn remove_mail(&self, id: MailId) -> Result<(), StoreError> {
        self.engine().write(|txn| forget(txn, id))
    }

    fn put_mail_token(&self, token: &MailToken) -> Result<(), StoreError> {
        let of = mail_token_of(&token.address, token.r#use);
        self.engine().write(|txn| {
            if let Some(earlier) = txn.get(Table::MailTokensByAddress, &of)? {
                remove(txn, &earlier)?;
            }
            write(txn, Table::MailTokens, &token.digest.0, token)?;
            txn.put(Table::MailTokensByAddress, &of, &token.digest.0)?;
            txn.put_key(Table::MailTokensExpiring, &mail_token_ending(token.expires, &token.digest))
        })
    }

    fn mail_token(&self, digest: &TokenDigest) -> Result<Option<MailToken>, StoreError> {
        self.row(Table::MailTokens, &digest.0)
    }

    fn mail_token_of(
        &self,
        address: &EmailAddress,
        r#use: TokenUse,
    ) -> Result<Option<MailToken>, StoreError> {
        let digest = self.engine().get(Table::MailTokensByAddress, &mail_token_of(address, r#use))?;
        // One that was used since its key was read is none.
        digest.map_or(Ok(None), |digest| self.row(Table::MailTokens, &digest))
    }

    fn redeem_sign_up(
        &self,
        digest: &TokenDigest,
        user: &User,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let name = user_name(&user.name)?;
        self.engine().write(|txn| {
            let Some(token) = take(txn, digest, TokenUse::Verify, now)? else { return Ok(false) };
            if token.address.as_str() != user.name {
                return Ok(false);
            }
            if txn.contains(Table::UserNames, name)? {
                return Err(StoreError::Exists { what: format!("user {:?}", user.name) }.into());
            }
            txn.put(Table::UserNames, name, user.id.as_bytes())?;
            write(txn, Table::Users, user.id.as_bytes(), user)?;
            let credentials =
                Credentials { password: Some(password.clone()), changed: Some(now), version: 0 };
            write(txn, Table::Credentials, user.id.as_bytes(), &credentials)?;
            Ok(true)
        })
    }

    fn redeem_reset(
        &self,
        digest: &TokenDigest,
        password: &PasswordHash,
        now: Timestamp,
    ) -> Result<Option<UserId>, StoreError> {
        self.engine().write(|txn| {
            let Some(token) = take(txn, digest, TokenUse::Reset, now)? else { return Ok(None) };
            let name = user_name(token.address.as_str())?;
            let Some(id) = txn.get(Table::UserNames, name)? else { return Ok(None) };
            let user: Option<User> = read(txn, Table::Users, &id)?;
            let mut user = user.ok_or_else(|| damaged(Table::UserNames, name, "its user is gone"))?;
            if user.disabled {
                return Ok(None);
            }
            if user.verified.is_none() {
                user.verified = Some(now);
                write(txn, Table::Users, &id, &user)?;
            }
            let credentials: Option<Credentials> = read(txn, Table::Credentials, &id)?;
            let version = credentials.unwrap_or_default().version + 1;
            let credentials = Credentials { password: Some(password.clone()), changed: Some(now), version };
            write(txn, Table::Credentials, &id, &credentials)?;
            Ok(Some(user.id))
        })
    }

    fn sweep_mail_tokens(&self, now: Timestamp, limit: usize) -> Result<usize, StoreError> {
        let last = mail_token_ending(now, &TokenDigest([0xff; 32])).to_vec();
        let over = self.engine().keys(
            Table::MailTokensExpiring,
            (Bound::Unbounded, Bound::Included(last)),
            limit,
        )?;
        for key in &over {
            let digest = &key[key.len().saturating_sub(32)..];
            self.engine().write_soon(|txn| remove(txn, digest))?;
        }
        Ok(over.len())
    }
}

/// Removes a mail, if it is there.
pub(super) fn forget(txn: &Txn<'_>, id: MailId) -> Result<(), TxnError> {
    let Some(mail) = read::<QueuedMail>(txn, Table::Mails, id.as_bytes())? else { return Ok(()) };
    txn.remove(Table::MailsDue, &ending(mail.due, id.as_bytes()))?;
    txn.remove(Table::Mails, id.as_bytes()).map(|_| ())
}

/// Removes the token of an address, if there is one.
pub(super) fn forget_token(txn: &Txn<'_>, address: &EmailAddress, purpose: TokenUse) -> Result<(), TxnError> {
    match txn.get(Table::MailTokensByAddress, &mail_token_of(address, purpose))? {
        Some(digest) => remove(txn, &digest),
        None => Ok(()),
    }
}

/// A token that is removed with its use, if it is for this and not over.
fn take(
    txn: &Txn<'_>,
    digest: &TokenDigest,
    r#use: TokenUse,
    now: Timestamp,
) -> Result<Option<MailToken>, TxnError> {
    let found: Option<MailToken> = read(txn, Table::MailTokens, &digest.0)?;
    let Some(token) = found.filter(|token| token.r#use == r#use && now < token.expires) else {
        return Ok(None);
    };
    remove(txn, &digest.0)?;
    Ok(Some(token))
}

fn remove(txn: &Txn<'_>, digest: &[u8]) -> Result<(), TxnError> {
    let token: Option<MailToken> = read(txn, Table::MailTokens, digest)?;
    let Some(token) = token else { return Ok(()) };
    txn.remove(Table::MailTokensByAddress, &mail_token_of(&token.address, token.r#use))?;
    txn.remove(Table::MailTokensExpiring, &mail_token_ending(token.expires, &token.digest))?;
    txn.remove(Table::MailTokens, digest).map(|_| ())
}
