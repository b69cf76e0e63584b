//! The deletion of a user: everything that lets them in dies with one transaction.

use std::net::IpAddr;

use atelier_domain::account::password::Password;
use atelier_domain::account::{Role, User};
use atelier_domain::deletion::Deletion;
use atelier_domain::id::UserId;

use super::Accounts;
use super::hasher::Checked;
use crate::ServiceError;

/// Users looked at in one go.
const PAGE: usize = 500;

impl Accounts {
    /// Deletes a user: for administrators. Again, it is the same deletion.
    ///
    /// # Errors
    /// [`ServiceError::LastAdministrator`]; there is no such user.
    pub async fn delete_user(&self, id: UserId) -> Result<Deletion, ServiceError> {
        // One after the other, so that of two administrators who delete each other one stays.
        let _turn = self.deleting.lock().await;
        let user = self.user(id).await?;
        if !user.is_deleted() && self.is_administrator(&user) && !self.has_another_administrator(id).await? {
            return Err(ServiceError::LastAdministrator);
        }
        let (store, now) = (self.deletions.clone(), self.clock.now());
        let deleted = self.pool.run(move || store.delete_user(id, now)).await;
        // Also where it failed: what was asked for may have been done.
        self.access_taken();
        deleted?.ok_or(ServiceError::NotFound { what: "such user" })
    }

    /// Deletes a user who says so with their password.
    ///
    /// # Errors
    /// As for signing in and [`Accounts::delete_user`]. Who has no password is deleted by an administrator alone.
    pub async fn delete_own(
        &self,
        id: UserId,
        password: &str,
        from: IpAddr,
    ) -> Result<Deletion, ServiceError> {
        let user = self.user(id).await?;
        // What can be no password is no attempt.
        let password = Password::attempt(password).map_err(|_| ServiceError::SignInFailed)?;
        let attempted = self.attempt(&user.name, from)?;
        let credentials = self.credentials_of(id).await?;
        if self.hasher.check(password, credentials.password).await? == Checked::Wrong {
            return Err(ServiceError::SignInFailed);
        }
        self.forgive(&attempted);
        self.delete_user(id).await
    }

    /// A user's deletion, if they were deleted.
    ///
    /// # Errors
    /// Storage is failing or busy.
    pub async fn deletion_of(&self, user: &User) -> Result<Option<Deletion>, ServiceError> {
        if !user.is_deleted() {
            return Ok(None);
        }
        let (store, id) = (self.deletions.clone(), user.id);
        self.pool.run(move || store.deletion(id)).await
    }

    fn is_administrator(&self, user: &User) -> bool {
        !user.disabled && self.role_of(user) == Role::Administrator
    }

    async fn has_another_administrator(&self, than: UserId) -> Result<bool, ServiceError> {
        let mut after = None;
        loop {
            let page = self.users(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(false) };
            after = Some(last.id);
            if page.iter().any(|user| user.id != than && self.is_administrator(user)) {
                return Ok(true);
            }
        }
    }
}
