use std::io::Cursor;

use minisign::{KeyPair, PublicKey, SignatureBox};

use crate::PackageError;

/// A detached minisign signature (Ed25519 over BLAKE2b) of a plugin file, as the text of its `.minisig`.
///
/// The trusted comment, which the signature covers too, names `file_name` and `publisher`, and no time: signing is a
/// statement about the file, and the same file may be signed again.
///
/// # Errors
/// The random number generator fails, or the pair's halves do not belong together.
pub fn sign(pair: &KeyPair, publisher: &str, file_name: &str, file: &[u8]) -> Result<String, PackageError> {
    let trusted = format!("file:{file_name}\tpublisher:{publisher}");
    let untrusted = format!("signature of {file_name} by {publisher}");
    let signature =
        minisign::sign(Some(&pair.pk), &pair.sk, Cursor::new(file), Some(&trusted), Some(&untrusted))?;
    Ok(signature.into_string())
}

/// Check the text of a `.minisig` against the file and the public key.
///
/// # Errors
/// The text is no signature, was made by another key, or covers other bytes.
pub fn verify(key: &PublicKey, signature: &str, file: &[u8]) -> Result<(), PackageError> {
    let signature = SignatureBox::from_string(signature)?;
    let (quiet, output, allow_legacy) = (true, false, false);
    minisign::verify(key, &signature, Cursor::new(file), quiet, output, allow_legacy)?;
    Ok(())
}
