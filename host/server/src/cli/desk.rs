//! Users and keys for command-line verbs: through the running server if there is one, else in the store itself.

pub(super) mod server;

use anyhow::bail;
use atelier_domain::account::{ApiKey, Role, Scope, User};
use atelier_domain::id::{KeyId, UserId};
use atelier_domain::time::{Clock, SystemClock, Timestamp};
use atelier_service::accounts::Accounts;
use serde::Deserialize;

use super::Configured;
use super::office::Office;
use crate::config::Config;
use server::Server;

const PAGE: usize = 500;
const DAY_MS: u64 = 86_400_000;

/// Where accounts are administered.
pub(super) enum Desk {
    Store(Accounts),
    Server(Server),
}

#[derive(Debug, Deserialize)]
pub(super) struct UserRow {
    pub id: String,
    pub name: String,
    pub role: String,
    pub disabled: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct KeyRow {
    pub id: String,
    pub name: String,
    pub hint: String,
    pub scopes: Vec<String>,
    pub expires: Option<String>,
    pub revoked: Option<String>,
}

impl Desk {
    /// The server's, if it answers at the configured address; else the store's.
    pub(super) async fn open(configured: &Configured) -> anyhow::Result<Self> {
        let config: Config = configured.load()?;
        Ok(match Server::at_work(&config).await? {
            Some(server) => Self::Server(server),
            None => Self::Store(Office::open(&config).await?),
        })
    }

    pub(super) async fn create_user(&self, name: &str, role: Role) -> anyhow::Result<UserRow> {
        match self {
            Self::Store(accounts) => Ok(accounts.create_user(name, role).await?.into()),
            Self::Server(server) => server.create_user(name, role).await,
        }
    }

    pub(super) async fn users(&self) -> anyhow::Result<Vec<UserRow>> {
        let Self::Store(accounts) = self else { return self.server()?.users().await };
        let (mut all, mut after): (Vec<UserRow>, Option<UserId>) = (Vec::new(), None);
        loop {
            let page = accounts.users(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(last.id);
            all.extend(page.into_iter().map(UserRow::from));
        }
    }

    pub(super) async fn set_disabled(&self, name: &str, disabled: bool) -> anyhow::Result<()> {
        match self {
            Self::Store(accounts) => {
                let user = accounts.user_by_name(name).await?;
                accounts.set_disabled(user.id, disabled).await?;
                Ok(())
            }
            Self::Server(server) => server.set_disabled(name, disabled).await,
        }
    }

    /// The key's id and secret.
    pub(super) async fn create_key(
        &self,
        user: &str,
        name: &str,
        scopes: Vec<Scope>,
        days: Option<u64>,
    ) -> anyhow::Result<(String, String)> {
        match self {
            Self::Store(accounts) => {
                let owner = accounts.user_by_name(user).await?;
                let until = |days: u64| Timestamp(now().0.saturating_add(days.saturating_mul(DAY_MS)));
                let made = accounts.create_key(owner.id, name, scopes, days.map(until)).await?;
                Ok((made.key.id.to_string(), made.secret.reveal().to_owned()))
            }
            Self::Server(server) => server.create_key(user, name, &scopes, days).await,
        }
    }

    pub(super) async fn keys(&self, user: &str) -> anyhow::Result<Vec<KeyRow>> {
        let Self::Store(accounts) = self else { return self.server()?.keys(user).await };
        let owner = accounts.user_by_name(user).await?;
        let (mut all, mut after): (Vec<KeyRow>, Option<KeyId>) = (Vec::new(), None);
        loop {
            let page = accounts.keys(owner.id, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(all) };
            after = Some(last.id);
            all.extend(page.into_iter().map(KeyRow::from));
        }
    }

    pub(super) async fn revoke_key(&self, user: &str, id: KeyId) -> anyhow::Result<()> {
        match self {
            Self::Store(accounts) => {
                let owner = accounts.user_by_name(user).await?;
                Ok(accounts.revoke_key(owner.id, id).await?)
            }
            Self::Server(server) => server.revoke_key(user, id).await,
        }
    }

    fn server(&self) -> anyhow::Result<&Server> {
        match self {
            Self::Server(server) => Ok(server),
            Self::Store(_) => bail!("there is no server at work"),
        }
    }
}

fn now() -> Timestamp {
    SystemClock::default().now()
}

impl From<User> for UserRow {
    fn from(user: User) -> Self {
        let role = if user.role == Role::Administrator { "administrator" } else { "user" };
        Self { id: user.id.to_string(), name: user.name, role: role.to_owned(), disabled: user.disabled }
    }
}

impl From<ApiKey> for KeyRow {
    fn from(key: ApiKey) -> Self {
        Self {
            id: key.id.to_string(),
            name: key.name,
            hint: key.hint,
            scopes: key.scopes.iter().map(|scope| scope.as_str().to_owned()).collect(),
            expires: key.expires.map(|moment| moment.rfc3339()),
            revoked: key.revoked.map(|moment| moment.rfc3339()),
        }
    }
}

impl KeyRow {
    /// `active`, `expired` or `revoked`.
    pub(super) fn state(&self) -> &'static str {
        // RFC 3339 in UTC sorts like time.
        let is_expired = self.expires.as_ref().is_some_and(|expires| *expires <= now().rfc3339());
        match (&self.revoked, is_expired) {
            (Some(_), _) => "revoked",
            (None, true) => "expired",
            (None, false) => "active",
        }
    }
}
