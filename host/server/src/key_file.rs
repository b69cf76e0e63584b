//! Keys that the server makes for itself, each in a file of the data folder that only this user may read. Removing one makes
//! everything signed with it worthless, and the next start makes another.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyFile {
    /// Addresses that providers call back. Losing it costs the callbacks that are on their way: polling goes on.
    Callbacks,
    /// Links to artifacts. Losing it revokes all of them.
    Links,
    /// What seals the secrets in the store, where the operator gives no other. Losing it costs all of them.
    Sealing,
}

impl KeyFile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Callbacks, Self::Links, Self::Sealing];

    /// The name of its file.
    pub fn name(self) -> &'static str {
        match self {
            KeyFile::Callbacks => "callbacks.key",
            KeyFile::Links => "links.key",
            KeyFile::Sealing => "sealing.key",
        }
    }

    /// Whether it belongs in a backup that holds no secrets.
    pub fn is_secret(self) -> bool {
        self == Self::Sealing
    }

    fn in_folder(self, data: &Path) -> PathBuf {
        data.join(self.name())
    }

    /// The key, if one was made.
    ///
    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub fn read(self, data: &Path) -> io::Result<Option<[u8; 32]>> {
        let file = self.in_folder(data);
        match fs::read(&file) {
            Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
                let shown = file.display();
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    match self {
                        Self::Sealing => {
                            format!("{shown} must have 32 bytes: bring back the copy that you kept of it")
                        }
                        _ => format!("{shown} must have 32 bytes; remove it to have a new one made"),
                    },
                )
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The key; made if there is none.
    ///
    /// # Errors
    /// The file cannot be read or written, or the system gives no randomness.
    pub fn read_or_make(self, data: &Path) -> io::Result<[u8; 32]> {
        if let Some(key) = self.read(data)? {
            return Ok(key);
        }
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        fs::create_dir_all(data)?;
        // Written aside and renamed: a file that is there is whole.
        let file = self.in_folder(data);
        let aside = file.with_extension("key.new");
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        made.write_all(&key)?;
        made.sync_all()?;
        fs::rename(&aside, file)?;
        // What is sealed with it must not outlive it.
        fs::File::open(data)?.sync_all()?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let callbacks = KeyFile::Callbacks;
        assert_eq!(callbacks.read(&data).expect("no file is no error"), None);
        let key = callbacks.read_or_make(&data).expect("made");
        assert_eq!(callbacks.read_or_make(&data).expect("read"), key);
        assert_ne!(KeyFile::Links.read_or_make(&data).expect("made"), key, "each has its own");
        let file = callbacks.in_folder(&data);
        let mode = fs::metadata(&file).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(&file, b"short").expect("written");
        assert!(callbacks.read_or_make(&data).expect_err("none of ours").to_string().contains("32 bytes"));
    }
}
