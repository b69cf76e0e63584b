//! A file that appears under its name once it is whole.

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

/// A file in the making, readable by its owner alone. What is not kept is removed.
pub(super) struct WholeFile {
    path: PathBuf,
    partial: PathBuf,
    is_kept: bool,
}

impl WholeFile {
    /// Begins one, and gives where to write it.
    ///
    /// # Errors
    /// There is one of this name already, which is left as it is, or none can be made there.
    pub(super) fn begin(path: &Path) -> anyhow::Result<(Self, File)> {
        if path.try_exists()? {
            bail!("{} exists already, and is left as it is: choose another name", path.display());
        }
        let name = path.file_name().with_context(|| format!("{} names no file", path.display()))?;
        let mut name = name.to_owned();
        name.push(".partial");
        let partial = path.with_file_name(name);
        let file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&partial);
        let file = file.with_context(|| format!("cannot write {}", partial.display()))?;
        Ok((Self { path: path.to_owned(), partial, is_kept: false }, file))
    }

    /// Where it is until it is kept.
    pub(super) fn partial(&self) -> &Path {
        &self.partial
    }

    /// Gives it its name, durably.
    ///
    /// # Errors
    /// The disk's.
    pub(super) fn keep(mut self) -> anyhow::Result<()> {
        fs::rename(&self.partial, &self.path)?;
        self.is_kept = true;
        let folder = self.path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."));
        Ok(File::open(folder)?.sync_all()?)
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.is_kept {
            // What is not whole is of no use to anybody.
            let _gone_or_visible = fs::remove_file(&self.partial);
        }
    }
}
