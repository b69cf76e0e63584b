//! Where secrets are read from: the environment, a file, or the configuration itself.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use atelier_domain::plugin::SecretValue;
use figment::value::Value;

/// Bytes of a secret.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

pub(super) enum SecretSource {
    Env(String),
    File(String),
    Value(SecretValue),
}

impl SecretSource {
    /// Of a member's value.
    ///
    /// # Errors
    /// What it must be.
    pub(super) fn of(value: &Value) -> Result<Self, String> {
        const FORM: &str = "must be { env = \"NAME\" }, { file = \"PATH\" } or { value = \"…\" }";
        let table = value.as_dict().filter(|table| table.len() == 1).ok_or(FORM)?;
        let (kind, value) = table.iter().next().ok_or(FORM)?;
        let text = value.as_str().ok_or(FORM)?.to_owned();
        match kind.as_str() {
            "env" => Ok(Self::Env(text)),
            "file" => Ok(Self::File(text)),
            "value" => Ok(Self::Value(SecretValue::new(text))),
            _ => Err(FORM.to_owned()),
        }
    }

    /// The secret; files are looked for from `folder`.
    ///
    /// # Errors
    /// What to do.
    pub(super) fn read(self, folder: &Path) -> Result<SecretValue, String> {
        match self {
            Self::Value(value) => Ok(value),
            Self::Env(name) => match std::env::var(&name) {
                Ok(value) if !value.is_empty() => Ok(SecretValue::new(value)),
                _ => Err(format!("set the environment variable {name}")),
            },
            Self::File(path) => {
                let path = folder.join(path);
                let problem = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
                let file = File::open(&path).map_err(|error| problem(&error))?;
                let mut text = String::new();
                // What a file says of its size need not be so.
                file.take(SECRET_BYTES_MAX + 1).read_to_string(&mut text).map_err(|error| problem(&error))?;
                if text.len() as u64 > SECRET_BYTES_MAX {
                    return Err(problem(&format!("a secret has {SECRET_BYTES_MAX} bytes at most")));
                }
                match text.trim_end_matches(['\n', '\r']) {
                    "" => Err(problem(&"is empty")),
                    secret => Ok(SecretValue::new(secret)),
                }
            }
        }
    }
}
