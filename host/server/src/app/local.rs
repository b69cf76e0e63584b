//! The engines of the in-house models, under one budget of memory.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use atelier_domain::blob::BlobStore;
use atelier_inference::piper::Phonemizer;
use atelier_inference::{
    Budget, Embedder, EmbedderConfig, Engine, EngineConfig, ImageConfig, ImageFamily, ImageMaker, Precision,
    ROOM_WAITED_MAX, Synthesizer, SynthesizerConfig, Transcriber, TranscriberConfig, WeightsSource, weights,
};

use crate::config::{Local, OwnModel, OwnWeights};
use crate::local::{Images, LocalEngine, LocalModel, LocalProvider, ModelKind, PUBLISHED, Usual};

/// Where a configuration's weights are kept.
///
/// # Errors
/// Nothing says where.
pub(crate) fn cache_dir(local: &Local) -> anyhow::Result<PathBuf> {
    match &local.cache {
        Some(folder) => Ok(folder.clone()),
        None => weights::cache_dir().context("set [local] cache to a folder for model weights"),
    }
}

/// Where an operator's own model has its weights.
fn source(model: &OwnModel, cache_dir: PathBuf) -> WeightsSource {
    match &model.weights {
        OwnWeights::Path(path) => WeightsSource::File(path.clone()),
        OwnWeights::Remote(remote) => WeightsSource::Pulled { weights: remote.files.clone(), cache_dir },
    }
}

/// The published models, and the operator's own behind them. Inputs of jobs are in `blobs`.
pub(super) fn provider(local: &Local, blobs: Arc<dyn BlobStore>) -> anyhow::Result<LocalProvider> {
    let cache_dir = cache_dir(local)?;
    let budget = Budget::new(local.memory_total_bytes, ROOM_WAITED_MAX);
    let engine = |kind, source, memory: Option<u64>, graph_sha256, usual| {
        let memory_bytes_max = memory.unwrap_or(local.memory_bytes_max);
        let places_max = local.concurrent_max.saturating_add(local.queued_max);
        let budget = budget.clone();
        match kind {
            ModelKind::Chat => {
                let config = EngineConfig {
                    concurrent_max: local.concurrent_max,
                    queued_max: local.queued_max,
                    memory_bytes_max,
                    card: local.card,
                    card_bytes_max: local.card_bytes_max,
                    prefix_bytes_max: local.prefix_bytes_max,
                    // A quarter of the memory and several times the speed; what it costs in exactness is in `ops/benchmarks.md`.
                    precision: Precision::Fast,
                    ..EngineConfig::default()
                };
                LocalEngine::Text(Arc::new(Engine::within(source, config, budget)), usual)
            }
            ModelKind::Embedding => {
                let config = EmbedderConfig { places_max, memory_bytes_max, ..EmbedderConfig::default() };
                LocalEngine::Embedding(Arc::new(Embedder::within(source, config, budget)))
            }
            ModelKind::Transcription => {
                let config =
                    TranscriberConfig { places_max, memory_bytes_max, ..TranscriberConfig::default() };
                LocalEngine::Transcription(Arc::new(Transcriber::within(source, config, budget)))
            }
            ModelKind::Speech => {
                let phonemizer = Phonemizer { program: local.espeak.clone(), ..Phonemizer::default() };
                let config = SynthesizerConfig {
                    phonemizer,
                    graph_sha256,
                    places_max,
                    memory_bytes_max,
                    ..SynthesizerConfig::default()
                };
                LocalEngine::Speech(Arc::new(Synthesizer::within(source, config, budget)))
            }
            ModelKind::Upscaling => image(ImageFamily::RealEsrgan, source, memory_bytes_max, budget),
            ModelKind::Image => image(ImageFamily::Dcgan, source, memory_bytes_max, budget),
            ModelKind::Style => image(ImageFamily::Style, source, memory_bytes_max, budget),
        }
    };
    // As the published text model's authors recommend.
    let usual = Usual { temperature: 0.2, top_p: 0.9 };
    let published = PUBLISHED.iter().map(|published| {
        let source = WeightsSource::Published { source: published.source, cache_dir: cache_dir.clone() };
        LocalModel::known(published, engine(published.kind, source, None, None, usual))
    });
    let own = local.models.iter().map(|model| {
        let source = source(model, cache_dir.clone());
        let usual = Usual { temperature: model.temperature, top_p: model.top_p };
        let graph_sha256 = model.graph_sha256.clone();
        let memory = model.memory_bytes_max;
        let engine = engine(model.kind, source.clone(), memory, graph_sha256.clone(), usual);
        LocalModel::own(&model.name, source, engine, graph_sha256)
    });
    Ok(LocalProvider::new(published.chain(own).collect(), Images::new(blobs)))
}

fn image(family: ImageFamily, source: WeightsSource, memory_bytes_max: u64, budget: Budget) -> LocalEngine {
    // Its places are those of jobs, which wait elsewhere.
    let config = ImageConfig { memory_bytes_max, ..ImageConfig::default() };
    LocalEngine::Image(family, Arc::new(ImageMaker::within(source, family, config, budget)))
}
