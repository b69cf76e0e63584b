//! A llama's folder as transformers saves it (`save_pretrained`): `config.json`, `tokenizer.json`, `tokenizer_config.json` and safetensors,
//! in one file or in shards. It is read as the GGUF file that it would be converted to, so that all that comes after is the same.
//!
//! A folder is data from outside: every file is read under a bound, and what is not known is refused by name.

mod config;
mod shards;
mod words;

use std::path::Path;

use crate::error::ModelError;
use crate::gguf::Header;
pub(crate) use shards::Shards;

/// What a folder's model is, and where its tensors are.
///
/// # Errors
/// [`ModelError`] says what is wrong with which file.
pub(crate) fn open(folder: &Path) -> Result<(Header, Shards), ModelError> {
    let config = config::read(folder)?;
    let mut metadata = config.metadata();
    words::read(folder, config.vocabulary, &mut metadata)?;
    let (shards, tensors) = Shards::open(folder, &config)?;
    Ok((Header::new(metadata, tensors), shards))
}
