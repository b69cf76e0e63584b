//! The finished files, and the notes by which a later run knows what they were made from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use plugin_build::key::SigningKey;
use serde::{Deserialize, Serialize};

use super::discover::Plugin;
use crate::{cache::write_whole, dev_key, workspace::Workspace};

/// `target/plugins`, with one note per plugin in `target/wasm/stamps`.
#[derive(Debug)]
pub struct Output {
    files: PathBuf,
    stamps: PathBuf,
}

/// What a finished file was made from.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Digest of the inputs.
    pub inputs: String,
    /// The file's name.
    pub file: String,
}

/// A stamp with the digest of the file it speaks of.
#[derive(Debug, Serialize, Deserialize)]
struct Note {
    #[serde(flatten)]
    stamp: Stamp,
    output: String,
}

impl Output {
    /// Of this workspace.
    pub fn new(workspace: &Workspace) -> Self {
        Self { files: workspace.plugin_files(), stamps: workspace.target().join("wasm/stamps") }
    }

    /// Held while files are looked at and replaced.
    pub fn lock_path(&self) -> PathBuf {
        self.stamps.join("lock")
    }

    /// Where a file of this name is put.
    pub fn path(&self, file: &str) -> PathBuf {
        self.files.join(file)
    }

    /// Whether the plugin's file is there, unchanged, made from the wanted inputs, and signed with `key`.
    pub fn is_current(&self, plugin: &Plugin, wanted: &Stamp, key: &SigningKey) -> Result<bool> {
        let Some(note) = self.note(plugin)? else { return Ok(false) };
        if note.stamp != *wanted {
            return Ok(false);
        }
        let path = self.path(&wanted.file);
        let (Ok(file), Ok(signature)) = (fs::read(&path), fs::read_to_string(signature_path(&path))) else {
            return Ok(false);
        };
        let unchanged = blake3::hash(&file).to_hex().as_str() == note.output;
        Ok(unchanged && plugin_package::verify(&key.pair.pk, &signature, &file).is_ok())
    }

    /// Put a file and its signature in place. The note comes last: after an interruption the plugin is built again.
    pub fn put(&self, plugin: &Plugin, stamp: &Stamp, file: &[u8], key: &SigningKey) -> Result<()> {
        if let Some(before) = self.note(plugin)? {
            // An earlier version left beside the new one would be taken for a second plugin.
            self.remove(&before.stamp.file)?;
        }
        self.remove(&stamp.file)?;
        let signature = plugin_package::sign(&key.pair, dev_key::PUBLISHER, &stamp.file, file)?;
        let path = self.path(&stamp.file);
        write_whole(&path, file)?;
        write_whole(&signature_path(&path), signature.as_bytes())?;
        let stamp = Stamp { inputs: stamp.inputs.clone(), file: stamp.file.clone() };
        let note = Note { stamp, output: blake3::hash(file).to_hex().to_string() };
        write_whole(&self.note_path(plugin), &serde_json::to_vec_pretty(&note)?)
    }

    /// `None` where there is no note, or one that an older version of this command wrote.
    fn note(&self, plugin: &Plugin) -> Result<Option<Note>> {
        let path = self.note_path(plugin);
        match fs::read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    fn note_path(&self, plugin: &Plugin) -> PathBuf {
        self.stamps.join(format!("{}.json", plugin.name))
    }

    /// The signature first: without one no strict host takes the file.
    fn remove(&self, file: &str) -> Result<()> {
        let path = self.path(file);
        for path in [signature_path(&path), path] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {}", path.display()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn signature_path(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".minisig");
    PathBuf::from(name)
}
