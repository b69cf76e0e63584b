//! Folders that this crate owns: locked against a second process, and made durable entry by entry.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

/// Creates the folder if need be and locks it until the file is dropped.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] while another process (or another handle of this one) has it.
pub(crate) fn lock(folder: &Path) -> io::Result<File> {
    std::fs::create_dir_all(folder)?;
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock"))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::WouldBlock,
            format!(
                "{} is in use: stop the other process that has it open, or give this one a folder of its own",
                folder.display()
            ),
        )),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Makes creations, renames and removals in a folder durable.
pub(crate) fn sync(folder: &Path) -> io::Result<()> {
    // Other systems have no handle of a folder to sync; their file systems journal entries themselves.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Replaces a small file as a whole, durably: after a crash it is the old one or the new one.
pub(crate) fn replace(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!("{name}.new"));
    let mut file = File::create(&temporary)?;
    io::Write::write_all(&mut file, content)?;
    file.sync_all()?;
    drop(file);
    std::fs::rename(&temporary, folder.join(name))?;
    sync(folder)
}
