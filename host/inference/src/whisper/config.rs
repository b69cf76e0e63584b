//! What a model's `config.json` says beside its variables.

use serde::Deserialize;

use super::rules::Suppressed;
use super::shape::Shape;
use crate::dimension::bad;
use crate::error::ModelError;
use crate::folder::parse;

/// Tokens that may be named in one list.
const TOKENS_MAX: usize = 1 << 16;

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    alignment_heads: Vec<(usize, usize)>,
    #[serde(default)]
    suppress_ids: Vec<i64>,
    #[serde(default)]
    suppress_ids_begin: Vec<i64>,
}

/// The tokens that are not written, and the heads of blocks that follow the sound: all of the later half, where none are named.
pub(super) fn read(text: &[u8], shape: &Shape) -> Result<(Suppressed, Vec<(usize, usize)>), ModelError> {
    let file: File = parse("config.json", text)?;
    let suppressed = Suppressed {
        always: tokens("suppress_ids", &file.suppress_ids, shape)?,
        first: tokens("suppress_ids_begin", &file.suppress_ids_begin, shape)?,
    };
    let mut heads = file.alignment_heads;
    if let Some((block, head)) =
        heads.iter().find(|(block, head)| *block >= shape.decoder_blocks || *head >= shape.heads)
    {
        return Err(bad("alignment_heads", format!("[{block}, {head}]"), "there is no such head"));
    }
    heads.sort_unstable();
    heads.dedup();
    if heads.is_empty() {
        let later = shape.decoder_blocks / 2..shape.decoder_blocks;
        heads = later.flat_map(|block| (0..shape.heads).map(move |head| (block, head))).collect();
    }
    Ok((suppressed, heads))
}

/// Tokens of a list; -1, which stands for a usual list that files have spelt out, is passed over.
fn tokens(key: &str, ids: &[i64], shape: &Shape) -> Result<Vec<u32>, ModelError> {
    if ids.len() > TOKENS_MAX {
        return Err(bad(key, format!("{} tokens", ids.len()), &format!("at most {TOKENS_MAX} are read")));
    }
    ids.iter()
        .filter(|id| **id != -1)
        .map(|id| {
            let token = u32::try_from(*id).ok().filter(|token| (*token as usize) < shape.vocabulary);
            token.ok_or_else(|| bad(key, id.to_string(), "there is no such token"))
        })
        .collect()
}
