//! The key behind callback addresses, in a file of the data folder that only this user may read. Losing it costs nothing but the
//! callbacks that are on their way: polling goes on.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

fn file(data: &Path) -> PathBuf {
    data.join("callbacks.key")
}

/// The key, if one was made.
///
/// # Errors
/// The file cannot be read, or is none of ours.
pub fn read(data: &Path) -> io::Result<Option<[u8; 32]>> {
    match fs::read(file(data)) {
        Ok(bytes) => bytes.try_into().map(Some).map_err(|_| {
            let shown = file(data).display().to_string();
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{shown} must have 32 bytes; remove it to have a new one made"),
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
pub fn read_or_make(data: &Path) -> io::Result<[u8; 32]> {
    if let Some(key) = read(data)? {
        return Ok(key);
    }
    let mut key = [0; 32];
    getrandom::fill(&mut key).map_err(io::Error::other)?;
    fs::create_dir_all(data)?;
    // Written aside and renamed: a file that is there is whole.
    let aside = data.join("callbacks.key.new");
    match fs::remove_file(&aside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
    made.write_all(&key)?;
    made.sync_all()?;
    fs::rename(&aside, file(data))?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_nobody_elses_to_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        assert_eq!(read(&data).expect("no file is no error"), None);
        let key = read_or_make(&data).expect("made");
        assert_eq!(read_or_make(&data).expect("read"), key);
        let mode = fs::metadata(file(&data)).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        fs::write(file(&data), b"short").expect("written");
        assert!(read_or_make(&data).expect_err("none of ours").to_string().contains("32 bytes"));
    }
}
