//! Setting and changing passwords. Each change ends all sessions of its user.

use std::net::IpAddr;

use atelier_domain::account::User;
use atelier_domain::account::password::{BadPassword, Password};
use atelier_domain::account::session::{Credentials, PasswordHash};
use atelier_domain::id::UserId;

use super::Accounts;
use super::hasher::Checked;
use super::sessions::SignedIn;
use crate::ServiceError;

impl Accounts {
    /// Sets a user's password: for administrators. All their sessions end.
    ///
    /// # Errors
    /// There is no such user, or it is no good password.
    pub async fn set_password(&self, user: UserId, password: &str) -> Result<(), ServiceError> {
        let user = self.user(user).await?;
        let hash = self.hashed(password, &user, "password").await?;
        self.put_password(user.id, hash, None).await.map(|_| ())
    }

    /// Changes a user's own password. All their sessions end, and another begins.
    ///
    /// # Errors
    /// [`ServiceError::SignInFailed`] if the old one is wrong, and as for signing in; or the new one is no good password.
    pub async fn change_password(
        &self,
        user: UserId,
        (old, new): (&str, &str),
        from: IpAddr,
        agent: &str,
    ) -> Result<SignedIn, ServiceError> {
        let user = self.user(user).await?;
        let attempted = self.attempt(&user.name, from)?;
        let old = Password::attempt(old).map_err(|_| ServiceError::SignInFailed)?;
        let credentials = self.credentials_of(user.id).await?;
        let held = credentials.version;
        if self.hasher.check(old, credentials.password).await? == Checked::Wrong {
            return Err(ServiceError::SignInFailed);
        }
        self.forgive(&attempted);
        let hash = self.hashed(new, &user, "new_password").await?;
        let version = self.put_password(user.id, hash, Some(held)).await?;
        self.begin(user, version, agent).await
    }

    /// A password that may be set, hashed.
    ///
    /// # Errors
    /// It may not, or too many are hashed at this moment.
    pub(crate) async fn hashed(
        &self,
        password: &str,
        user: &User,
        param: &str,
    ) -> Result<PasswordHash, ServiceError> {
        self.hasher.hash(good(password, &user.name, param)?).await
    }

    /// Gives the version of what the user signs in with from now on.
    async fn put_password(
        &self,
        user: UserId,
        hash: PasswordHash,
        held: Option<u64>,
    ) -> Result<u64, ServiceError> {
        let (store, now) = (self.sign_ins.clone(), self.clock.now());
        let set = self.pool.run(move || store.set_password(user, &hash, now, held)).await;
        self.sessions_ended();
        set?.ok_or(ServiceError::NotFound { what: "such user" })
    }

    pub(super) async fn credentials_of(&self, user: UserId) -> Result<Credentials, ServiceError> {
        let store = self.sign_ins.clone();
        self.pool.run(move || store.credentials(user)).await
    }

    /// The user of that id.
    ///
    /// # Errors
    /// There is none.
    pub async fn user(&self, id: UserId) -> Result<User, ServiceError> {
        let store = self.store.clone();
        let found = self.pool.run(move || store.user(id)).await?;
        found.ok_or(ServiceError::NotFound { what: "such user" })
    }
}

/// A password that may be set.
pub(super) fn good(password: &str, user: &str, param: &str) -> Result<Password, ServiceError> {
    Password::new(password, user).map_err(|why: BadPassword| ServiceError::Invalid {
        param: param.to_owned(),
        message: why.to_string(),
    })
}
