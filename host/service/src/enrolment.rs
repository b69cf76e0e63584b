//! Sign-up, and passwords that were forgotten: by mail. Who asks learns nothing of who has an account: the request only leaves a mail to
//! be sent, the same whoever it is for, and what is in it is decided when it is sent.

mod mails;
mod outbox;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::token::Token;
use atelier_domain::account::{Role, User};
use atelier_domain::id::{MailId, UserId};
use atelier_domain::mail::{MailKind, MailSender, MailToken, QueuedMail, TokenUse};
use atelier_domain::store::{AccountStore, MailStore};
use atelier_domain::time::Clock;
use tokio::sync::Notify;

pub use mails::{Pages, TOKEN_PLACE};

use crate::accounts::{Accounts, SignedIn};
use crate::limits::{Class, Decision, Limiter, Rate, Subject, network_of};
use crate::{ServiceError, StoragePool};

/// Bounds of sign-up and mail.
#[derive(Clone, Debug)]
pub struct EnrolmentLimits {
    /// Whether anybody may sign up.
    pub is_open: bool,
    pub pages: Pages,
    /// How long the token of a verification lasts, and that of a reset.
    pub verify_lasts: Duration,
    pub reset_lasts: Duration,
    /// Sign-ups from one IP address, all mails asked for from one, and those of one kind to one mailbox.
    pub sign_ups: Rate,
    pub mails: Rate,
    pub mailbox: Rate,
    /// Mails that wait at once.
    pub waiting_max: usize,
}

impl Default for EnrolmentLimits {
    fn default() -> Self {
        let hours = |n: u64| Duration::from_secs(3_600 * n);
        Self {
            is_open: false,
            pages: Pages::default(),
            verify_lasts: hours(24),
            reset_lasts: hours(1),
            sign_ups: Rate { requests: 3, window: hours(1) },
            mails: Rate { requests: 5, window: Duration::from_secs(600) },
            mailbox: Rate { requests: 3, window: hours(1) },
            waiting_max: 10_000,
        }
    }
}

/// What sign-up works with.
#[derive(Debug)]
pub struct EnrolmentPorts {
    pub accounts: Arc<Accounts>,
    pub users: Arc<dyn AccountStore>,
    pub store: Arc<dyn MailStore>,
    pub pool: StoragePool,
    pub clock: Arc<dyn Clock>,
    /// Absent where no mail is sent.
    pub sender: Option<Arc<dyn MailSender>>,
}

/// Sign-up and reset.
#[derive(Debug)]
pub struct Enrolment {
    ports: EnrolmentPorts,
    limits: EnrolmentLimits,
    sign_ups: Limiter,
    mails: Limiter,
    mailboxes: Limiter,
    /// Told of each mail.
    queued: Notify,
}

impl Enrolment {
    /// Over these ports.
    pub fn new(ports: EnrolmentPorts, limits: EnrolmentLimits) -> Self {
        let (sign_ups, mails, mailbox) = (limits.sign_ups, limits.mails, limits.mailbox);
        Self {
            ports,
            limits,
            sign_ups: Limiter::new(move |_| sign_ups),
            mails: Limiter::new(move |_| mails),
            mailboxes: Limiter::new(move |_| mailbox),
            queued: Notify::new(),
        }
    }

    /// Somebody wants a mail to an address, for one of three reasons.
    ///
    /// # Errors
    /// It is not offered here; too many come from one address or go to one mailbox, or wait already. Nothing depends on whether the
    /// address is known.
    pub async fn ask(&self, kind: MailKind, to: EmailAddress, from: IpAddr) -> Result<(), ServiceError> {
        if self.ports.sender.is_none() || kind != MailKind::Reset && !self.limits.is_open {
            return Err(ServiceError::NotOffered);
        }
        let now = self.ports.clock.monotonic_ms();
        let here = Subject::Address(network_of(from));
        if kind == MailKind::SignUp {
            allowed(self.sign_ups.take(here, Class::SignIn, now))?;
        }
        allowed(self.mails.take(here, Class::SignIn, now))?;
        allowed(self.mailboxes.take(Subject::of_mailbox(kind, &to), Class::SignIn, now))?;
        let created = self.ports.clock.now();
        let mail = QueuedMail { id: MailId::new(), to, kind, created, attempts: 0, due: created };
        let (store, max) = (self.ports.store.clone(), self.limits.waiting_max);
        match self.ports.pool.run(move || store.queue_mail(&mail, max)).await? {
            true => self.queued.notify_one(),
            false => return Err(ServiceError::MailBusy),
        }
        Ok(())
    }

    /// Begins an account with the address that a token was mailed to, and a session of it.
    ///
    /// # Errors
    /// [`ServiceError::TokenOver`] if it is not known, was used or is over; or it is no good password.
    pub async fn verify(&self, token: &Token, password: &str, agent: &str) -> Result<SignedIn, ServiceError> {
        let known = self.known(token, TokenUse::Verify).await?;
        if !self.limits.is_open {
            return Err(ServiceError::NotOffered);
        }
        let now = self.ports.clock.now();
        let user = User {
            id: UserId::new(),
            name: known.address.to_string(),
            role: Role::User,
            created: now,
            disabled: false,
            verified: Some(now),
        };
        let hash = self.ports.accounts.hashed(password, &user, "password").await?;
        let (store, row) = (self.ports.store.clone(), user.clone());
        let redeemed =
            self.ports.pool.run(move || store.redeem_sign_up(&known.digest, &row, &hash, now)).await;
        match redeemed {
            Ok(true) => self.ports.accounts.begin(user, 0, agent).await,
            // Somebody who administers this server made the user meanwhile.
            Ok(false) | Err(ServiceError::Exists { .. }) => Err(ServiceError::TokenOver),
            Err(error) => Err(error),
        }
    }

    /// Whose password a token lets its holder set.
    ///
    /// # Errors
    /// [`ServiceError::TokenOver`] as for [`Enrolment::verify`], or if there is no such account.
    pub async fn resets(&self, token: &Token) -> Result<UserId, ServiceError> {
        let known = self.known(token, TokenUse::Reset).await?;
        let user = self.ports.accounts.user_by_name(known.address.as_str()).await;
        user.map(|user| user.id).map_err(none_is_over)
    }

    /// Sets another password for the account of the address that a token was mailed to. All its sessions end.
    ///
    /// # Errors
    /// As [`Enrolment::verify`].
    pub async fn reset(&self, token: &Token, password: &str) -> Result<(), ServiceError> {
        let known = self.known(token, TokenUse::Reset).await?;
        let user = self.ports.accounts.user_by_name(known.address.as_str()).await;
        let user = user.map_err(none_is_over)?;
        let hash = self.ports.accounts.hashed(password, &user, "password").await?;
        let (store, now) = (self.ports.store.clone(), self.ports.clock.now());
        let accounts = self.ports.accounts.clone();
        let redeemed = self.ports.pool.run(move || {
            let redeemed = store.redeem_reset(&known.digest, &hash, now);
            // Here, so that they end where whoever asked has left.
            accounts.sessions_ended();
            redeemed
        });
        redeemed.await?.map(|_| ()).ok_or(ServiceError::TokenOver)
    }

    /// A token that holds still: nothing is hashed for any other.
    async fn known(&self, token: &Token, r#use: TokenUse) -> Result<MailToken, ServiceError> {
        let (store, digest, now) = (self.ports.store.clone(), token.digest(), self.ports.clock.now());
        let found = self.ports.pool.run(move || store.mail_token(&digest)).await?;
        found.filter(|token| token.r#use == r#use && now < token.expires).ok_or(ServiceError::TokenOver)
    }
}

/// A token for an account that is not there is as good as none; that storage is failing is something else.
fn none_is_over(error: ServiceError) -> ServiceError {
    if matches!(error, ServiceError::NotFound { .. }) { ServiceError::TokenOver } else { error }
}

fn allowed(taken: Decision) -> Result<(), ServiceError> {
    if taken.retry_after.is_some() { Err(ServiceError::RateLimited(taken)) } else { Ok(()) }
}
