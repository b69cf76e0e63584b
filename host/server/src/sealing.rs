//! With what the secrets in the store are sealed.

use anyhow::Context as _;
use atelier_storage::{LocalKeys, SealingKey, Store, Unsealing};

use crate::config::Config;
use crate::key_file::KeyFile;

/// Lets a store's secrets be used, with the configured key or the one in the data folder.
///
/// # Errors
/// The key is missing or is another than the secrets were sealed with.
pub(crate) fn unseal(config: &Config, store: &Store) -> anyhow::Result<()> {
    let keeper = keeper(config, store.sealed_by()?.as_deref()).context("the key that seals secrets")?;
    let unsealing = store.unseal(&keeper).context(
        "give the key in [secrets], or bring sealing.key back into the data folder; if it is lost, `atelier secrets forget` \
         removes what it sealed",
    )?;
    if let Unsealing::Sealed { rows } = unsealing {
        tracing::info!(rows, "secrets in the store were sealed with a new key");
    }
    Ok(())
}

/// A key is made in the data folder only where nothing is sealed with another that is not here.
fn keeper(config: &Config, sealed_by: Option<&str>) -> anyhow::Result<LocalKeys> {
    let data = &config.storage.path;
    let retired = config.sealing.retired.clone();
    let beside = KeyFile::Sealing.read(data)?.map(SealingKey::new);
    if let Some(key) = &config.sealing.key {
        return Ok(LocalKeys::new(key.clone(), retired.into_iter().chain(beside).collect()));
    }
    let is_openable = sealed_by.is_none_or(|name| retired.as_ref().is_some_and(|key| key.name() == name));
    let key = match beside {
        Some(key) => key,
        None if is_openable => SealingKey::new(KeyFile::Sealing.read_or_make(data)?),
        None => anyhow::bail!(
            "the secrets in the store are sealed with key {}, and neither [secrets] nor {} has one: give it in [secrets], or \
             bring sealing.key back; if it is lost, `atelier secrets forget` removes what it sealed",
            sealed_by.unwrap_or_default(),
            data.join(KeyFile::Sealing.name()).display()
        ),
    };
    Ok(LocalKeys::new(key, retired.into_iter().collect()))
}
