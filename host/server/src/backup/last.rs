//! When the last backup was made, kept in the data folder.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

const NAME: &str = "last-backup.json";

/// The last backup that was handed over whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastBackup {
    /// Seconds since 1970.
    pub at: u64,
    pub bytes: u64,
    pub rows: u64,
}

impl LastBackup {
    /// One that has just been made.
    pub(crate) fn now(bytes: u64, rows: u64) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { at: since.as_secs(), bytes, rows }
    }

    /// How long ago it was.
    pub(crate) fn age(&self) -> Duration {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(Duration::from_secs(self.at))
    }

    /// Writes it down.
    pub(crate) fn keep(&self, data: &Path) -> io::Result<()> {
        let aside = data.join(format!("{NAME}.new"));
        let mut file = fs::File::create(&aside)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&aside, data.join(NAME))
    }

    /// What was written down, if a backup was ever made.
    pub(crate) fn read(data: &Path) -> io::Result<Option<Self>> {
        match fs::read(data.join(NAME)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}
