//! A loaded text model and what its requests share.

use std::path::Path;
use std::sync::{Arc, OnceLock};

use super::EngineConfig;
use super::card::{self, Cuda};
use crate::error::{EngineError, ModelError};
use crate::grammar::Grammars;
use crate::kernels::Kernels;
use crate::kernels::cpu::Cpu;
use crate::kernels::timed::{KernelTimes, Timed};
use crate::language::Language;
use crate::llama::Llama;
use crate::model::{ModelInfo, TextFile, TextModel};
use crate::planner::Needs;
use crate::residency::{Memory, Room, Rooms};
use crate::running::Described;

/// What all requests of a text model share, whatever computes it.
pub(super) struct Loaded {
    pub(super) info: ModelInfo,
    pub(super) language: Language,
    /// Bytes for all requests' attention caches.
    pub(super) cache_bytes_max: u64,
    /// Made with the first answer that is to have a fixed form.
    grammars: OnceLock<Grammars>,
}

/// The weights, where they are.
pub(super) enum Weights {
    Processor(Box<Llama<Timed<Cpu>>>),
    Card(Box<Llama<Timed<Cuda>>>),
}

impl Loaded {
    /// Load a model, with room for as many whole contexts as run at once or as the memory allows.
    pub(super) fn load(
        path: &Path,
        config: &EngineConfig,
        rooms: &Rooms,
        times: &Arc<KernelTimes>,
    ) -> Result<(Self, Weights, Room), EngineError> {
        let mut file = TextFile::open(path, config.precision)?;
        if let Some(card) = config.card.open()? {
            match Self::on_card(file, card, config, rooms, times) {
                Err(EngineError::Model(error)) if config.card.may_be_without() => {
                    tracing::warn!(%error, model = %path.display(), "a model runs on the processor");
                    file = TextFile::open(path, config.precision)?;
                }
                done => return done,
            }
        }
        let (cache_bytes_max, room) =
            take(&file.info::<Cpu>(), file.needs::<Cpu>(), config, rooms, Memory::Processor)?;
        let (loaded, llama) =
            Self::of(file.load(Timed::new(Cpu::new(config.threads)?, times.clone()))?, cache_bytes_max);
        Ok((loaded, Weights::Processor(Box::new(llama)), room))
    }

    fn on_card(
        file: TextFile,
        card: Cuda,
        config: &EngineConfig,
        rooms: &Rooms,
        times: &Arc<KernelTimes>,
    ) -> Result<(Self, Weights, Room), EngineError> {
        let (info, needs) = (file.info::<Cuda>(), file.needs::<Cuda>());
        let ask = || card::memory(&card, config.card_bytes_max);
        let (cache_bytes_max, room) = take(&info, needs, config, rooms, Memory::Card(&ask))?;
        let (mut loaded, llama) = Self::of(file.load(Timed::new(card, times.clone()))?, cache_bytes_max);
        loaded.info.on_card = true;
        Ok((loaded, Weights::Card(Box::new(llama)), room))
    }

    fn of<K: Kernels>(model: TextModel<K>, cache_bytes_max: u64) -> (Self, Llama<K>) {
        let (info, language, llama) = model.into_parts();
        (Self { info, language, cache_bytes_max, grammars: OnceLock::new() }, llama)
    }

    /// Grammars for the model's vocabulary. Blocks while they are made.
    pub(super) fn grammars(&self) -> Result<&Grammars, ModelError> {
        if let Some(grammars) = self.grammars.get() {
            return Ok(grammars);
        }
        let made = Grammars::new(self.language.tokenizer())?;
        Ok(self.grammars.get_or_init(|| made))
    }
}

/// Room for a model, and bytes of attention cache in it.
fn take(
    info: &ModelInfo,
    needs: Needs,
    config: &EngineConfig,
    rooms: &Rooms,
    memory: Memory<'_>,
) -> Result<(u64, Room), EngineError> {
    let needed_bytes = needs.whole_bytes();
    let bytes_max = match memory {
        Memory::Processor => config.memory_bytes_max.min(rooms.budget.bytes_max(memory)),
        Memory::Card(_) => rooms.budget.bytes_max(memory),
    };
    needs.check(bytes_max)?;
    let contexts = config.concurrent_max.max(1) as u64;
    let wanted = contexts.saturating_mul(info.cache_bytes(info.context_tokens));
    let cache_bytes_max = wanted.min(bytes_max - needed_bytes);
    Ok((cache_bytes_max, rooms.take_of(memory, &needs.with_cache(cache_bytes_max))?))
}

impl Described for Loaded {
    type Info = ModelInfo;

    fn info(&self) -> &ModelInfo {
        &self.info
    }
}
