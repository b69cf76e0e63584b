//! The accounts behind the command line: the store itself. While the server runs it owns the store, and the verbs say so.

use std::sync::Arc;

use anyhow::{Context, bail};
use atelier_domain::store::StoreError;
use atelier_domain::time::SystemClock;
use atelier_runtime::NoObserver;
use atelier_service::accounts::Accounts;
use atelier_service::ledger::Ledger;
use atelier_service::plugins::Plugins;
use atelier_service::{StoragePool, StoragePoolLimits};
use atelier_storage::Store;

use crate::app::PluginOffice;
use crate::config::Config;
use crate::sealing;

/// Opens a configuration's store, and what is built on it.
pub(super) struct Office;

impl Office {
    pub(super) async fn open(config: &Config) -> anyhow::Result<(Accounts, Ledger)> {
        let store = Self::store(config).await?;
        let pool = StoragePool::new(StoragePoolLimits::default());
        let clock = Arc::new(SystemClock::default());
        let ledger = Ledger::new(store.clone(), pool.clone(), clock.clone(), config.money.clone());
        Ok((Accounts::new(store, pool, clock, config.accounts.limits()), ledger))
    }

    pub(super) async fn plugins(config: &Config) -> anyhow::Result<Arc<Plugins>> {
        let store = Self::store(config).await?;
        let clock = Arc::new(SystemClock::default());
        Ok(PluginOffice::open(config, store, clock, Arc::new(NoObserver)).await?.plugins)
    }

    async fn store(config: &Config) -> anyhow::Result<Arc<Store>> {
        let folder = config.storage.database();
        let shown = folder.display().to_string();
        let opened =
            tokio::task::spawn_blocking(move || Store::open(folder)).await.context("opening the store")?;
        let store = match opened {
            Ok(store) => {
                // Most verbs need none of its secrets; those that do say so.
                if let Err(error) = sealing::unseal(config, &store) {
                    eprintln!("atelier: secrets stay sealed: {error:#}");
                }
                store
            }
            Err(StoreError::Unavailable(reason)) => bail!(
                "the store in {shown} cannot be opened: {reason}. If the server runs, set ATELIER_KEY to an \
                 administrator's key so that this command asks the server, or stop it first"
            ),
            Err(error) => return Err(error).with_context(|| format!("the store in {shown}")),
        };
        Ok(Arc::new(store))
    }
}
