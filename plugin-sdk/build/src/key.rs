//! Minisign key pairs on disk: made once, read for each signature.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail, ensure};
use minisign::{KeyPair, PublicKeyBox, SecretKeyBox};

use crate::{
    cache::{Lock, write_private, write_whole},
    progress,
};

/// Where the password of an encrypted secret key is looked for.
pub const PASSWORD_VARIABLE: &str = "ATELIER_SIGNING_PASSWORD";

/// A usable key pair.
#[derive(Debug)]
pub struct SigningKey {
    /// Both halves.
    pub pair: KeyPair,
    /// The public half's file, in minisign's format.
    pub public_path: PathBuf,
}

impl SigningKey {
    /// The pair in `NAME.key` and `NAME.pub` at `stem`, made now if neither is there. `comment` goes into the secret half's file.
    ///
    /// A pair that is made here is not encrypted; its file is readable by its owner alone.
    ///
    /// # Errors
    /// The files cannot be written, or one of them is missing or damaged.
    pub fn open_or_make(stem: &Path, comment: &str) -> Result<Self> {
        let (secret_path, public_path) = (with_extension(stem, "key"), with_extension(stem, "pub"));
        let _lock = Lock::acquire(&with_extension(stem, "lock"))?;
        if !public_path.exists() {
            ensure!(
                !secret_path.exists(),
                "{} is there but {} is not: put the public half back, or move the secret one away",
                secret_path.display(),
                public_path.display()
            );
            make(&secret_path, &public_path, comment)?;
            progress::say(format_args!("key: made {} and {}", secret_path.display(), public_path.display()));
        }
        Self::open(&secret_path, public_path)
    }

    /// The pair in two files; the password of an encrypted secret half is in the environment ([`PASSWORD_VARIABLE`]).
    ///
    /// # Errors
    /// A file is missing or damaged, or the password is missing or wrong, or the halves do not belong together.
    pub fn open(secret_path: &Path, public_path: PathBuf) -> Result<Self> {
        let read = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("cannot read the key {}", path.display()))
        };
        let damaged = |path: &Path| format!("{} is not a minisign key", path.display());
        let secret = SecretKeyBox::from_string(&read(secret_path)?)?;
        let sk = match std::env::var(PASSWORD_VARIABLE) {
            Ok(password) => secret.into_secret_key(Some(password)),
            Err(_) => secret.into_unencrypted_secret_key(),
        };
        let sk = match sk {
            Ok(sk) => sk,
            Err(error) => bail!(
                "{}: {error} (the password of an encrypted key is read from {PASSWORD_VARIABLE})",
                damaged(secret_path)
            ),
        };
        let pk = PublicKeyBox::from_string(&read(&public_path)?)
            .and_then(PublicKeyBox::into_public_key)
            .with_context(|| damaged(&public_path))?;
        ensure!(
            pk.keynum() == sk.keynum(),
            "{} and {} do not belong together",
            secret_path.display(),
            public_path.display()
        );
        Ok(Self { pair: KeyPair { pk, sk }, public_path })
    }
}

/// Not [`Path::with_extension`]: a name may have dots of its own.
fn with_extension(stem: &Path, extension: &str) -> PathBuf {
    let mut name = stem.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

/// The public half is written last: where it is, the pair is whole.
fn make(secret_path: &Path, public_path: &Path, comment: &str) -> Result<()> {
    let pair = KeyPair::generate_unencrypted_keypair()?;
    let secret = pair.sk.to_box(Some(comment))?.into_string();
    write_private(secret_path, secret.as_bytes())?;
    write_whole(public_path, pair.pk.to_box()?.into_string().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_once_and_halves_of_two_pairs_are_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = SigningKey::open_or_make(&dir.path().join("acme.io"), "test").expect("made");
        let again = SigningKey::open_or_make(&dir.path().join("acme.io"), "test").expect("read");
        assert_eq!(first.pair.pk.to_base64(), again.pair.pk.to_base64());
        assert!(first.public_path.ends_with("acme.io.pub"));
        let other = SigningKey::open_or_make(&dir.path().join("other"), "test").expect("made");
        let mixed = SigningKey::open(&dir.path().join("acme.io.key"), other.public_path);
        assert!(mixed.expect_err("two pairs").to_string().contains("belong together"));
    }
}
