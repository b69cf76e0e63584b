//! Room on the disk.

use std::io;
use std::path::PathBuf;

use atelier_domain::disk::DiskSpace;

/// The disk that a folder lies on.
#[derive(Clone, Debug)]
pub struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// That of an existing folder.
    pub fn of(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }
}

impl DiskSpace for Disk {
    fn free_bytes(&self) -> io::Result<u64> {
        // What others than the administrator may use.
        let facts = rustix::fs::statvfs(&self.folder)?;
        Ok(facts.f_bavail.saturating_mul(facts.f_frsize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_s_disk_has_room_and_one_that_is_not_there_has_none() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(Disk::of(folder.path()).free_bytes().expect("told") > 0);
        assert!(Disk::of(folder.path().join("nowhere")).free_bytes().is_err());
    }
}
