//! A loaded text model and what its requests share.

use std::path::Path;
use std::sync::OnceLock;

use super::EngineConfig;
use crate::error::{EngineError, ModelError};
use crate::grammar::Grammars;
use crate::model::{ModelInfo, TextModel};
use crate::planner::Needs;
use crate::residency::{Room, Rooms};
use crate::running::Described;

/// A text model, and what its requests share.
pub(super) struct Loaded {
    pub(super) text: TextModel,
    /// Bytes for all requests' attention caches.
    pub(super) cache_bytes_max: u64,
    /// Made with the first answer that is to have a fixed form.
    grammars: OnceLock<Grammars>,
}

impl Loaded {
    /// Load a model, with room for as many whole contexts as run at once or as the memory allows.
    pub(super) fn load(
        path: &Path,
        config: &EngineConfig,
        rooms: &Rooms,
    ) -> Result<(Self, Room), EngineError> {
        let admit = |info: &ModelInfo, needs: Needs| {
            let needed_bytes = needs.whole_bytes();
            let bytes_max = config.memory_bytes_max.min(rooms.budget.bytes_max());
            needs.check(bytes_max)?;
            let contexts = config.concurrent_max.max(1) as u64;
            let wanted = contexts.saturating_mul(info.cache_bytes(info.context_tokens));
            let cache_bytes_max = wanted.min(bytes_max - needed_bytes);
            let room = rooms.take(&needs.with_cache(cache_bytes_max))?;
            Ok::<_, EngineError>((room, cache_bytes_max))
        };
        let (text, (room, cache_bytes_max)) =
            TextModel::load_planned(path, config.precision, config.threads, admit)?;
        Ok((Self { text, cache_bytes_max, grammars: OnceLock::new() }, room))
    }

    /// Grammars for the model's vocabulary. Blocks while they are made.
    pub(super) fn grammars(&self) -> Result<&Grammars, ModelError> {
        if let Some(grammars) = self.grammars.get() {
            return Ok(grammars);
        }
        let made = Grammars::new(self.text.tokenizer())?;
        Ok(self.grammars.get_or_init(|| made))
    }
}

impl Described for Loaded {
    type Info = ModelInfo;

    fn info(&self) -> &ModelInfo {
        self.text.info()
    }
}
