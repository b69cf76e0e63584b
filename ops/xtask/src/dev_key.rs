//! The development key: a throw-away minisign pair that signs what is built on this machine.

use std::process::ExitCode;

use anyhow::{Context, Result};
use plugin_build::key::SigningKey;

use crate::cache::Cache;

/// The publisher id that a development configuration binds to this key.
pub const PUBLISHER: &str = "dev";

/// Print the path of the development public key, making the key pair first if there is none.
///
/// The pair lies in the cache folder (dev-key/dev.pub, dev-key/dev.key) and is made once per machine. It signs what
/// `cargo xtask plugins` builds, under the publisher id `dev`; only a development configuration trusts it.
#[derive(Debug, clap::Args)]
pub struct Options {}

/// `cargo xtask dev-key`.
pub fn run(cache: &Cache, _options: &Options) -> Result<ExitCode> {
    println!("{}", open(cache)?.public_path.display());
    Ok(ExitCode::SUCCESS)
}

/// The key pair of this machine, made now if there is none.
pub fn open(cache: &Cache) -> Result<SigningKey> {
    let dir = cache.path("dev-key");
    SigningKey::open_or_make(&dir.join("dev"), "Atelier development key: never publish with it").with_context(
        || {
            format!(
                "the development key in {} cannot be used: remove that folder and a new one is made",
                dir.display()
            )
        },
    )
}
