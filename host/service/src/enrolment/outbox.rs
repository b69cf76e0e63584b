//! Sending what waits: what is in a mail is made when it is sent, a failed attempt is made again later, and a restart loses none.

use std::time::Duration;

use atelier_domain::account::email::EmailAddress;
use atelier_domain::account::token::Token;
use atelier_domain::id::MailId;
use atelier_domain::mail::{Mail, MailKind, MailSender, MailToken, QueuedMail, TokenUse};
use atelier_domain::store::StoreError;
use tokio::sync::watch;

use super::{Enrolment, mails};
use crate::ServiceError;
use crate::accounts::fresh;

/// Mails looked at in one go, and tokens swept in one.
const PAGE: usize = 16;
const SWEPT_MAX: usize = 256;
/// How often it is looked whether a mail is due that nobody has told of.
const BETWEEN_LOOKS: Duration = Duration::from_secs(15);
/// The wait after a first failure; twice as long after each further one.
const WAIT: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(3_600);
/// An attempt that takes longer is a failed one.
const ATTEMPT_MAX: Duration = Duration::from_secs(60);
/// A mail that has waited for so long helps nobody any more.
const KEPT_FOR: Duration = Duration::from_secs(24 * 3_600);

impl Enrolment {
    /// Sends mail, until told to stop. What is on its way then is sent again at the next start.
    pub async fn run(&self, mut stopped: watch::Receiver<bool>) {
        let Some(sender) = self.ports.sender.clone() else { return };
        loop {
            let round = async {
                let sent = self.send_due(&*sender).await;
                self.sweep().await;
                match sent {
                    Ok(PAGE..) => {}
                    Ok(_) => self.wait().await,
                    Err(error) => {
                        tracing::error!(%error, "the mail that waits could not be read");
                        self.wait().await;
                    }
                }
            };
            tokio::select! {
                () = round => {}
                _ = stopped.wait_for(|stop| *stop) => return,
            }
        }
    }

    async fn wait(&self) {
        // Whether it was told of a mail or has waited for long enough: it looks.
        let _either = tokio::time::timeout(BETWEEN_LOOKS, self.queued.notified()).await;
    }

    /// Sends what is due; gives how many were seen to.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn send_due(&self, sender: &dyn MailSender) -> Result<usize, ServiceError> {
        let (store, now) = (self.ports.store.clone(), self.ports.clock.now());
        let due = self.ports.pool.run(move || store.due_mail(now, PAGE)).await?;
        let mut done = 0;
        for mail in due {
            let id = mail.id;
            match self.send(sender, mail).await {
                Ok(()) => done += 1,
                // The others are none the worse.
                Err(error) => {
                    tracing::error!(mail = %id, %error, "a mail could not be read or noted; it is tried again");
                }
            }
        }
        Ok(done)
    }

    async fn send(&self, sender: &dyn MailSender, queued: QueuedMail) -> Result<(), ServiceError> {
        let (id, kind, attempts) = (queued.id, queued.kind, queued.attempts);
        let now = self.ports.clock.now();
        if now >= queued.created.plus(KEPT_FOR) {
            tracing::warn!(mail = %id, ?kind, attempts, "a mail was given up after a day");
            return self.forget(id).await;
        }
        // Noted before it leaves: what cannot be written is not sent again and again.
        let due = now.plus(WAIT.saturating_mul(1 << attempts.min(16)).min(WAIT_MAX));
        let store = self.ports.store.clone();
        self.ports.pool.run(move || store.delay_mail(id, due)).await?;
        let Some(mail) = self.compose(queued).await? else { return self.forget(id).await };
        match tokio::time::timeout(ATTEMPT_MAX, sender.send(&mail)).await {
            Ok(Ok(())) => tracing::info!(mail = %id, ?kind, "a mail was sent"),
            Ok(Err(failure)) if failure.is_permanent => {
                tracing::warn!(mail = %id, ?kind, %failure, "a mail was refused for good");
            }
            Ok(Err(failure)) => {
                tracing::warn!(mail = %id, ?kind, attempts, %failure, "a mail could not be sent; it is tried again");
                return Ok(());
            }
            Err(_) => {
                tracing::warn!(mail = %id, ?kind, attempts, "the mail server took too long; it is tried again");
                return Ok(());
            }
        }
        self.forget(id).await
    }

    async fn forget(&self, id: MailId) -> Result<(), ServiceError> {
        let store = self.ports.store.clone();
        self.ports.pool.run(move || store.remove_mail(id)).await
    }

    /// What a mail says now; `None` where there is nothing to say to its address.
    async fn compose(&self, queued: QueuedMail) -> Result<Option<Mail>, ServiceError> {
        let (store, accounts) = (self.ports.store.clone(), self.ports.users.clone());
        let (address, now) = (queued.to.clone(), self.ports.clock.now());
        let (purpose, lasts) = match queued.kind {
            MailKind::Reset => (TokenUse::Reset, self.limits.reset_lasts),
            MailKind::SignUp | MailKind::Resend => (TokenUse::Verify, self.limits.verify_lasts),
        };
        let found = self.ports.pool.run(move || {
            let user = accounts.user_by_name(address.as_str())?;
            Ok::<_, StoreError>((user, store.mail_token_of(&address, purpose)?))
        });
        let (user, token) = found.await?;
        let (limits, id, to) = (&self.limits, queued.id, queued.to);
        // A later mail has been sent while this one waited: what is in it stays good.
        if token.as_ref().is_some_and(|token| token.mail != id && token.expires > queued.created.plus(lasts))
        {
            return Ok(None);
        }
        let is_waiting = token.is_some_and(|token| now < token.expires);
        Ok(match (queued.kind, user) {
            (MailKind::Reset, Some(user)) if !user.disabled => {
                let token = self.token(id, &to, TokenUse::Reset, limits.reset_lasts).await?;
                Some(mails::reset(id, to, &limits.pages, &token, limits.reset_lasts))
            }
            (MailKind::SignUp, Some(user)) if !user.disabled => Some(mails::known(id, to)),
            (MailKind::SignUp, None) if limits.is_open => Some(self.verification(id, to).await?),
            (MailKind::Resend, None) if limits.is_open && is_waiting => {
                Some(self.verification(id, to).await?)
            }
            (MailKind::Reset | MailKind::SignUp | MailKind::Resend, _) => None,
        })
    }

    async fn verification(&self, id: MailId, to: EmailAddress) -> Result<Mail, ServiceError> {
        let lasts = self.limits.verify_lasts;
        let token = self.token(id, &to, TokenUse::Verify, lasts).await?;
        Ok(mails::verify(id, to, &self.limits.pages, &token, lasts))
    }

    /// A token for an address, which takes the place of an earlier one.
    async fn token(
        &self,
        mail: MailId,
        address: &EmailAddress,
        r#use: TokenUse,
        lasts: Duration,
    ) -> Result<Token, ServiceError> {
        let token = fresh()?;
        let expires = self.ports.clock.now().plus(lasts);
        let row = MailToken { digest: token.digest(), r#use, address: address.clone(), mail, expires };
        let store = self.ports.store.clone();
        self.ports.pool.run(move || store.put_mail_token(&row)).await?;
        Ok(token)
    }

    async fn sweep(&self) {
        let (store, now) = (self.ports.store.clone(), self.ports.clock.now());
        if let Err(error) = self.ports.pool.run(move || store.sweep_mail_tokens(now, SWEPT_MAX)).await {
            tracing::error!(%error, "mailed tokens that are over could not be removed");
        }
    }
}
