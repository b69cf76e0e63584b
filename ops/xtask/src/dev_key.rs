//! The development key: a throw-away minisign pair that signs what is built on this machine.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result};
use minisign::{KeyPair, PublicKeyBox, SecretKeyBox};

use crate::{
    cache::{Cache, Lock, write_private, write_whole},
    progress,
};

/// The publisher id that a development configuration binds to this key.
pub const PUBLISHER: &str = "dev";

/// Print the path of the development public key, making the key pair first if there is none.
///
/// The pair lies in the cache folder (dev-key/dev.pub, dev-key/dev.key) and is made once per machine. It signs what
/// `cargo xtask plugins` builds, under the publisher id `dev`; only a development configuration trusts it.
#[derive(Debug, clap::Args)]
pub struct Options {}

/// A usable development key.
#[derive(Debug)]
pub struct DevKey {
    /// Both halves.
    pub pair: KeyPair,
    /// The public half's file, in minisign's format.
    pub public_path: PathBuf,
}

/// `cargo xtask dev-key`.
pub fn run(cache: &Cache, _options: &Options) -> Result<ExitCode> {
    println!("{}", open(cache)?.public_path.display());
    Ok(ExitCode::SUCCESS)
}

/// The key pair of this machine, made now if there is none.
pub fn open(cache: &Cache) -> Result<DevKey> {
    let dir = cache.path("dev-key");
    let _lock = Lock::acquire(&cache.path("dev-key.lock"))?;
    let (secret_path, public_path) = (dir.join("dev.key"), dir.join("dev.pub"));
    if !public_path.exists() {
        make(&secret_path, &public_path)?;
        progress::say(format_args!("dev key: made {}", public_path.display()));
    }
    let read = || -> Result<KeyPair> {
        let sk =
            SecretKeyBox::from_string(&fs::read_to_string(&secret_path)?)?.into_unencrypted_secret_key()?;
        let pk = PublicKeyBox::from_string(&fs::read_to_string(&public_path)?)?.into_public_key()?;
        Ok(KeyPair { pk, sk })
    };
    let pair = read().with_context(|| {
        format!(
            "the development key in {} is damaged: remove that folder and a new one is made",
            dir.display()
        )
    })?;
    Ok(DevKey { pair, public_path })
}

/// The public half is written last: where it is, the pair is whole.
fn make(secret_path: &Path, public_path: &Path) -> Result<()> {
    let pair = KeyPair::generate_unencrypted_keypair()?;
    let secret = pair.sk.to_box(Some("Atelier development key: never publish with it"))?.into_string();
    write_private(secret_path, secret.as_bytes())?;
    write_whole(public_path, pair.pk.to_box()?.into_string().as_bytes())
}
