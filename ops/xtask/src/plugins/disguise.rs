//! Built plugins under another id or version, for hosts that need several of a kind.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use crate::{cache::Cache, dev_key};

/// The component with another text of the same length in its manifest.
pub fn altered(component: &[u8], old: &str, new: &str) -> Result<Vec<u8>> {
    ensure!(old.len() == new.len(), "{new} is not as long as {old}");
    let place = component.windows(old.len()).position(|bytes| bytes == old.as_bytes());
    let place = place.with_context(|| format!("the plugin's manifest has no {old}"))?;
    let mut altered = component.to_vec();
    altered[place..place + old.len()].copy_from_slice(new.as_bytes());
    Ok(altered)
}

/// Writes a component with its signature by the development key beside it; returns its file.
pub fn write_signed(cache: &Cache, dir: &Path, name: &str, component: &[u8]) -> Result<PathBuf> {
    let signature = plugin_package::sign(&dev_key::open(cache)?.pair, dev_key::PUBLISHER, name, component)?;
    let file = dir.join(name);
    fs::write(&file, component).with_context(|| format!("cannot write {}", file.display()))?;
    fs::write(dir.join(format!("{name}.minisig")), signature)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_replaced_by_one_as_long_or_not_at_all() {
        assert_eq!(altered(b"xx a/b yy", "a/b", "c/d").expect("there"), b"xx c/d yy");
        assert!(altered(b"xx a/b yy", "a/b", "c/de").is_err());
        assert!(altered(b"xx", "a/b", "c/d").is_err());
    }
}
