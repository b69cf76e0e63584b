//! An operator's own weights: where they come from is the operator's matter, and by hash they are known.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{archive, clear, io_error, stamp};
use crate::error::FetchError;

/// A model's files as an operator names them, each fixed by its SHA-256. Fetching them is whoever's calls [`Pulled::keep`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// The model's name, as it is called.
    pub name: String,
    /// What it is made of.
    pub files: Vec<PulledFile>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PulledFile {
    /// Its path in the model's folder, with `/` between names and no `..`.
    pub name: String,
    /// Its SHA-256, in lower-case hexadecimal.
    pub sha256: String,
}

impl Pulled {
    /// The folder of the model's files. Its name holds a hash of theirs, so other weights are another folder.
    pub fn folder_in(&self, cache_dir: &Path) -> PathBuf {
        let mut hash = Sha256::new();
        for file in &self.files {
            hash.update(file.name.as_bytes());
            hash.update([0]);
            hash.update(file.sha256.as_bytes());
        }
        let digest = hex::encode(hash.finalize());
        let short_hash = digest.get(..16).unwrap_or(&digest);
        cache_dir.join("models").join(format!("{}-{short_hash}", self.name))
    }

    /// What is loaded, once it is there: the model's one file, or the folder of its several files.
    pub fn path_in(&self, cache_dir: &Path) -> PathBuf {
        let folder = self.folder_in(cache_dir);
        match &self.files[..] {
            [only] => folder.join(&only.name),
            _ => folder,
        }
    }

    /// Whether all files are there and whole, judged by stamps without reading them.
    pub fn is_fetched(&self, cache_dir: &Path) -> bool {
        self.files.iter().all(|file| self.is_kept(file, cache_dir))
    }

    /// The same of one file.
    pub fn is_kept(&self, file: &PulledFile, cache_dir: &Path) -> bool {
        stamp::matches(&self.folder_in(cache_dir).join(&file.name), &file.sha256)
    }

    /// Where to write a file that is being fetched. What an earlier attempt has written is there still.
    ///
    /// # Errors
    /// [`FetchError::Io`].
    pub fn partial(&self, file: &PulledFile, cache_dir: &Path) -> Result<PathBuf, FetchError> {
        let path = self.folder_in(cache_dir).join(&file.name);
        let folder = path.parent().unwrap_or(cache_dir);
        fs::create_dir_all(folder).map_err(io_error("creating", folder))?;
        Ok(path.with_added_extension("partial"))
    }

    /// Put a file into its place that was written to [`Pulled::partial`], if it is what it should be. Blocks while it reads.
    ///
    /// # Errors
    /// [`FetchError::WrongHash`]: the partial file is removed then. [`FetchError::Io`].
    pub fn keep(&self, file: &PulledFile, cache_dir: &Path) -> Result<(), FetchError> {
        let partial = self.partial(file, cache_dir)?;
        if let Err(error) = archive::check_hash(&partial, &file.name, &file.sha256) {
            if matches!(error, FetchError::WrongHash { .. }) {
                fs::remove_file(&partial).map_err(io_error("removing", &partial))?;
            }
            return Err(error);
        }
        let path = self.folder_in(cache_dir).join(&file.name);
        File::open(&partial).and_then(|file| file.sync_all()).map_err(io_error("syncing", &partial))?;
        fs::rename(&partial, &path).map_err(io_error("moving into place", &path))?;
        stamp::write(&path, &file.sha256)
    }

    /// Read the files through and check their hashes.
    ///
    /// # Errors
    /// [`FetchError::WrongHash`] when one is damaged, [`FetchError::Io`] when one cannot be read.
    pub fn verify(&self, cache_dir: &Path) -> Result<(), FetchError> {
        let folder = self.folder_in(cache_dir);
        self.files
            .iter()
            .try_for_each(|file| archive::check_hash(&folder.join(&file.name), &file.name, &file.sha256))
    }

    /// Remove the files; `false` if none were there.
    ///
    /// # Errors
    /// [`FetchError::Io`].
    pub fn remove(&self, cache_dir: &Path) -> Result<bool, FetchError> {
        let folder = self.folder_in(cache_dir);
        let was_there = folder.exists();
        clear(&folder).map(|()| was_there)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulled(names: &[(&str, &[u8])]) -> Pulled {
        let file = |(name, bytes): &(&str, &[u8])| PulledFile {
            name: (*name).to_owned(),
            sha256: hex::encode(Sha256::digest(bytes)),
        };
        Pulled { name: "mine".to_owned(), files: names.iter().map(file).collect() }
    }

    #[test]
    fn files_are_kept_by_hash_in_a_folder_of_their_own_and_removed() {
        let cache = tempfile::tempdir().expect("a folder");
        let model = pulled(&[("a.bin", b"weights"), ("deep/b.json", b"{}")]);
        for (file, bytes) in model.files.iter().zip([&b"weights"[..], b"{}"]) {
            assert!(!model.is_fetched(cache.path()));
            fs::write(model.partial(file, cache.path()).expect("a path"), bytes).expect("written");
            model.keep(file, cache.path()).expect("kept");
        }
        assert!(model.is_fetched(cache.path()));
        model.verify(cache.path()).expect("whole");
        assert_eq!(model.path_in(cache.path()), model.folder_in(cache.path()), "a folder of several");
        let other = pulled(&[("a.bin", b"others"), ("deep/b.json", b"{}")]);
        assert!(!other.is_fetched(cache.path()), "other weights are another folder");
        fs::write(model.folder_in(cache.path()).join("deep/b.json"), "[]").expect("written");
        assert!(!model.is_fetched(cache.path()), "what was changed is not what was verified");
        assert!(matches!(model.verify(cache.path()), Err(FetchError::WrongHash { .. })));
        assert!(model.remove(cache.path()).expect("removed"));
        assert!(!model.remove(cache.path()).expect("nothing there"));
    }

    #[test]
    fn what_has_another_hash_is_not_kept_and_goes() {
        let cache = tempfile::tempdir().expect("a folder");
        let model = pulled(&[("a.gguf", b"weights")]);
        let file = &model.files[0];
        let partial = model.partial(file, cache.path()).expect("a path");
        fs::write(&partial, "something else").expect("written");
        assert!(matches!(model.keep(file, cache.path()), Err(FetchError::WrongHash { .. })));
        assert!(!partial.exists() && !model.is_fetched(cache.path()));
        assert!(model.path_in(cache.path()).ends_with("a.gguf"));
    }
}
