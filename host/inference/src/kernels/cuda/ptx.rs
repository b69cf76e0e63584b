//! Compiled programs on disk: a program is compiled once for each source, compiler and generation of cards.
//!
//! A file is the SHA-256 of what follows the first line, then the PTX; its name is the hash of everything that went in. A
//! damaged file is compiled anew and replaced.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::compiler::{Compiler, Generation, failed};
use super::sources::Program;
use crate::error::ModelError;

/// The folder of compiled programs.
#[derive(Clone, Debug)]
pub struct PtxCache {
    folder: PathBuf,
}

impl PtxCache {
    /// Programs below a cache folder.
    pub fn new(cache_dir: &Path) -> Self {
        Self { folder: cache_dir.join("ptx") }
    }

    /// Where a program is kept.
    pub fn path(&self, compiler: Compiler, program: Program, generation: Generation) -> PathBuf {
        let (major, minor) = compiler.version;
        let key = format!("{major}.{minor}\n{}\n{}", generation.options().join(" "), program.source());
        self.folder.join(format!("{}.ptx", hex::encode(Sha256::digest(key))))
    }

    /// The program's PTX: the kept one where it is whole, else compiled and kept.
    ///
    /// # Errors
    /// [`ModelError::Compute`] where it does not compile, [`ModelError::Io`] where it cannot be written.
    pub fn get(
        &self,
        compiler: Compiler,
        program: Program,
        generation: Generation,
    ) -> Result<String, ModelError> {
        let path = self.path(compiler, program, generation);
        if let Some(ptx) = read(&path) {
            return Ok(ptx);
        }
        let compiled = compiler.compile(&program.source(), &generation.options())?;
        if !compiled.log.trim().is_empty() {
            tracing::warn!(?program, log = compiled.log, "the CUDA compiler warns");
        }
        self.keep(&path, &compiled.ptx).map_err(|source| ModelError::Io { path, source })?;
        Ok(compiled.ptx)
    }

    /// Whole or not at all: another name beside it, then renamed.
    fn keep(&self, path: &Path, ptx: &str) -> std::io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let random = getrandom::u64().map_err(std::io::Error::other)?;
        let temporary = path.with_extension(format!("{random:016x}"));
        let write = || {
            let mut file = fs::File::create_new(&temporary)?;
            writeln!(file, "{}", hex::encode(Sha256::digest(ptx)))?;
            file.write_all(ptx.as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, path)
        };
        write().inspect_err(|_| {
            // The first error is the one to tell; what is left is a file that nothing reads.
            let _ = fs::remove_file(&temporary);
        })
    }
}

/// A kept program, if it is there and whole.
fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let (digest, ptx) = text.split_once('\n')?;
    if digest == hex::encode(Sha256::digest(ptx)) {
        return Some(ptx.to_owned());
    }
    let error = failed(format!("{} is damaged", path.display()));
    tracing::warn!(%error, "a compiled program is compiled anew");
    None
}
