//! What there is, and how old it is.

use std::fs;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use atelier_domain::blob::BlobId;
use atelier_domain::time::Timestamp;

use super::existing;

/// The ids behind `after`, by reading as many of the 256 folders as it takes; what is not named like a blob is none.
pub(super) fn ids(path: &Path, after: Option<BlobId>, limit: usize) -> io::Result<Vec<BlobId>> {
    let mut found = Vec::new();
    for first in after.map_or(0, |id| id.0[0])..=u8::MAX {
        if found.len() >= limit {
            break;
        }
        let head = format!("{first:02x}");
        let Some(entries) = existing(fs::read_dir(path.join(&head)))? else { continue };
        let mut here = Vec::new();
        for entry in entries {
            let name = entry?.file_name();
            let id = name.to_str().and_then(|tail| format!("{head}{tail}").parse::<BlobId>().ok());
            here.extend(id.filter(|id| after.is_none_or(|after| *id > after)));
        }
        here.sort_unstable();
        here.truncate(limit - found.len());
        found.extend(here);
    }
    Ok(found)
}

pub(super) fn is_older(modified: SystemTime, before: Timestamp) -> bool {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(before.0))
        .is_some_and(|before| modified < before)
}
