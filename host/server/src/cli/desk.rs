//! Users and keys for command-line verbs: through the running server if there is one, else in the store itself.

pub(super) mod server;

use std::path::Path;

use anyhow::bail;
use atelier_domain::account::{ApiKey, Role, Scope, User};
use atelier_domain::id::{KeyId, UserId};
use atelier_domain::money::{Balance, BudgetLimits, Counter, MicroCredits, Spending};
use atelier_domain::time::{Clock, SystemClock, Timestamp};
use atelier_service::accounts::Accounts;
use atelier_service::ledger::{Authority, Ledger};
use serde::Deserialize;

use super::Configured;
use super::office::Office;
use super::whole_file::WholeFile;
use crate::config::Config;
use server::Server;

const PAGE: usize = 500;
const DAY_MS: u64 = 86_400_000;

/// Where accounts are administered.
pub(super) enum Desk {
    Store(Box<(Accounts, Ledger)>),
    Server(Box<Server>),
}

#[derive(Debug, Deserialize)]
pub(super) struct UserRow {
    pub id: String,
    pub name: String,
    pub role: String,
    pub disabled: bool,
}

/// When what a deleted user stored is removed.
pub(super) enum Removal {
    /// From now on, by the running server.
    Begun,
    /// By the server, once it runs.
    AtNextStart,
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

#[derive(Debug, Deserialize)]
pub(super) struct BalanceRow {
    pub available: MicroCredits,
    pub held: MicroCredits,
    pub allowance: MicroCredits,
}

#[derive(Debug, Deserialize)]
pub(super) struct BudgetRow {
    pub day: PeriodRow,
    pub month: PeriodRow,
}

#[derive(Debug, Deserialize)]
pub(super) struct PeriodRow {
    pub limit: Option<MicroCredits>,
    pub spent: MicroCredits,
    pub held: MicroCredits,
}

impl Desk {
    /// The server's, if it answers at the configured address; else the store's.
    pub(super) async fn open(configured: &Configured) -> anyhow::Result<Self> {
        let config: Config = configured.load()?;
        Ok(match Server::at_work(&config).await? {
            Some(server) => Self::Server(Box::new(server)),
            None => Self::Store(Box::new(Office::open(&config).await?)),
        })
    }

    pub(super) async fn create_user(&self, name: &str, role: Role) -> anyhow::Result<UserRow> {
        match self {
            Self::Store(store) => Ok(store.0.create_user(name, role).await?.into()),
            Self::Server(server) => server.create_user(name, role).await,
        }
    }

    pub(super) async fn users(&self) -> anyhow::Result<Vec<UserRow>> {
        let Self::Store(store) = self else { return self.server()?.users().await };
        let accounts = &store.0;
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
            Self::Store(store) => {
                let accounts = &store.0;
                let user = accounts.user_by_name(name).await?;
                accounts.set_disabled(user.id, disabled).await?;
                Ok(())
            }
            Self::Server(server) => server.set_disabled(name, disabled).await,
        }
    }

    pub(super) async fn delete_user(&self, name: &str) -> anyhow::Result<Removal> {
        match self {
            Self::Store(store) => {
                let accounts = &store.0;
                let user = accounts.user_by_name(name).await?;
                accounts.delete_user(user.id).await?;
                Ok(Removal::AtNextStart)
            }
            Self::Server(server) => {
                server.delete_user(name).await?;
                Ok(Removal::Begun)
            }
        }
    }

    /// Writes what a user has to `path`, which must not exist; gives how many bytes it is.
    pub(super) async fn export_user(&self, name: &str, path: &Path) -> anyhow::Result<u64> {
        let Self::Server(server) = self else {
            bail!(
                "an account is exported by the server: start it, and set ATELIER_KEY to an administrator's key"
            )
        };
        let (whole, file) = WholeFile::begin(path)?;
        let bytes = server.export_user(name, &file).await?;
        file.sync_all()?;
        whole.keep()?;
        Ok(bytes)
    }

    pub(super) async fn set_password(&self, name: &str, password: &str) -> anyhow::Result<()> {
        match self {
            Self::Store(store) => {
                let accounts = &store.0;
                let user = accounts.user_by_name(name).await?;
                Ok(accounts.set_password(user.id, password).await?)
            }
            Self::Server(server) => server.set_password(name, password).await,
        }
    }

    pub(super) async fn sign_out(&self, name: &str) -> anyhow::Result<()> {
        match self {
            Self::Store(store) => {
                let accounts = &store.0;
                let user = accounts.user_by_name(name).await?;
                Ok(accounts.sign_out_everywhere(user.id).await?)
            }
            Self::Server(server) => server.sign_out(name).await,
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
            Self::Store(store) => {
                let accounts = &store.0;
                let owner = accounts.user_by_name(user).await?;
                let until = |days: u64| Timestamp(now().0.saturating_add(days.saturating_mul(DAY_MS)));
                let made = accounts.create_key(owner.id, name, scopes, days.map(until)).await?;
                Ok((made.key.id.to_string(), made.secret.reveal().to_owned()))
            }
            Self::Server(server) => server.create_key(user, name, &scopes, days).await,
        }
    }

    pub(super) async fn keys(&self, user: &str) -> anyhow::Result<Vec<KeyRow>> {
        let Self::Store(store) = self else { return self.server()?.keys(user).await };
        let accounts = &store.0;
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
            Self::Store(store) => {
                let accounts = &store.0;
                let owner = accounts.user_by_name(user).await?;
                Ok(accounts.revoke_key(owner.id, id).await?)
            }
            Self::Server(server) => server.revoke_key(user, id).await,
        }
    }

    pub(super) async fn grant(
        &self,
        user: &str,
        amount: MicroCredits,
        reason: &str,
    ) -> anyhow::Result<BalanceRow> {
        match self {
            Self::Store(store) => {
                let (accounts, ledger) = &**store;
                let owner = accounts.user_by_name(user).await?;
                Ok(ledger.grant(Authority::Operator, owner.id, amount, reason).await?.into())
            }
            Self::Server(server) => server.grant(user, amount, reason).await,
        }
    }

    pub(super) async fn balance(&self, user: &str) -> anyhow::Result<BalanceRow> {
        match self {
            Self::Store(store) => {
                let (accounts, ledger) = &**store;
                let owner = accounts.user_by_name(user).await?;
                Ok(ledger.balance(owner.id).await?.into())
            }
            Self::Server(server) => server.balance(user).await,
        }
    }

    pub(super) async fn set_budget(
        &self,
        user: &str,
        key: Option<KeyId>,
        limits: BudgetLimits,
    ) -> anyhow::Result<BudgetRow> {
        match self {
            Self::Store(store) => {
                let (accounts, ledger) = &**store;
                let owner = accounts.user_by_name(user).await?;
                Ok(ledger.set_budget(Authority::Operator, owner.id, key, limits).await?.into())
            }
            Self::Server(server) => server.set_budget(user, key, limits).await,
        }
    }

    pub(super) async fn budget(&self, user: &str, key: Option<KeyId>) -> anyhow::Result<BudgetRow> {
        match self {
            Self::Store(store) => {
                let (accounts, ledger) = &**store;
                let owner = accounts.user_by_name(user).await?;
                Ok(ledger.budget(owner.id, key).await?.into())
            }
            Self::Server(server) => server.budget(user, key).await,
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

impl From<Balance> for BalanceRow {
    fn from(balance: Balance) -> Self {
        Self { available: balance.available, held: balance.held, allowance: balance.allowance }
    }
}

impl From<Spending> for BudgetRow {
    fn from(spending: Spending) -> Self {
        let row = |limit, counter: Counter| PeriodRow { limit, spent: counter.spent, held: counter.held };
        Self {
            day: row(spending.limits.day, spending.day),
            month: row(spending.limits.month, spending.month),
        }
    }
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
