//! Signs a plugin's file with its publisher's key.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use atelier_runtime::examine;
use plugin_build::cache::write_whole;
use plugin_build::key::SigningKey;

/// A signature that was made.
#[derive(Debug)]
pub struct Signed {
    /// `FILE.minisig`
    pub signature: PathBuf,
    /// What operators write into `[[plugins.trusted_keys]]`.
    pub publisher: String,
    pub public_key: String,
}

/// Signs `file` into `FILE.minisig`. The key pair is `KEY.key` and `KEY.pub`, made now if neither is there.
///
/// # Errors
/// The file is no plugin, or has mistakes that would keep it from being installed; the key cannot be used.
pub fn sign(file: &Path, key: &Path) -> anyhow::Result<Signed> {
    let shown = file.display();
    let bytes = fs::read(file).with_context(|| format!("cannot read {shown}"))?;
    let examination = examine(&bytes);
    if let Some(mistake) = examination.mistakes.first() {
        bail!("{shown} is not worth a signature yet: {mistake} (`atelier plugin check` tells all)");
    }
    let package = examination.package.with_context(|| format!("{shown} has no manifest"))?;
    let publisher = package.manifest.publisher().to_owned();
    let name = file.file_name().and_then(|name| name.to_str()).context("the file's name is not UTF-8")?;
    let comment = format!("Atelier publisher key of {publisher}: keep it to yourself");
    let key = SigningKey::open_or_make(key, &comment)?;
    let signature = plugin_package::sign(&key.pair, &publisher, name, &bytes)?;
    plugin_package::verify(&key.pair.pk, &signature, &bytes).context("the new signature does not verify")?;
    let path = beside(file);
    write_whole(&path, signature.as_bytes())?;
    Ok(Signed { signature: path, publisher, public_key: key.pair.pk.to_base64() })
}

/// Where a publisher's key is kept unless said otherwise: `atelier/publisher` in the user's configuration folder.
///
/// # Errors
/// There is no such folder.
pub fn default_key() -> anyhow::Result<PathBuf> {
    let given =
        |name: &str| std::env::var_os(name).filter(|value: &OsString| !value.is_empty()).map(PathBuf::from);
    let folder = given("XDG_CONFIG_HOME").or_else(|| given("HOME").map(|home| home.join(".config")));
    let folder = folder.context("there is no configuration folder: name the key with --key")?;
    ensure!(folder.is_absolute(), "{} is not absolute: name the key with --key", folder.display());
    Ok(folder.join("atelier/publisher"))
}

fn beside(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}
