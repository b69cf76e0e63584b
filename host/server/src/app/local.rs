//! The engines of the in-house models, under one budget of memory.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use atelier_domain::model::ModelLimits;
use atelier_inference::{
    Budget, Embedder, EmbedderConfig, Engine, EngineConfig, Precision, ROOM_WAITED_MAX, WeightsSource,
    weights,
};

use crate::config::{Local, ModelKind, OwnModel, OwnWeights};
use crate::local::{EMBEDDING_MODEL, LocalEngine, LocalModel, LocalProvider, TEXT_MODEL, Usual};

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

/// The published models, and the operator's own behind them.
pub(super) fn provider(local: &Local) -> anyhow::Result<LocalProvider> {
    let cache_dir = cache_dir(local)?;
    let budget = Budget::new(local.memory_total_bytes, ROOM_WAITED_MAX);
    let text = |source, memory: Option<u64>, usual| {
        let config = EngineConfig {
            concurrent_max: local.concurrent_max,
            queued_max: local.queued_max,
            memory_bytes_max: memory.unwrap_or(local.memory_bytes_max),
            // A quarter of the memory and several times the speed; what it costs in exactness is in `ops/benchmarks.md`.
            precision: Precision::Fast,
            ..EngineConfig::default()
        };
        LocalEngine::Text(Arc::new(Engine::within(source, config, budget.clone())), usual)
    };
    let embedding = |source, memory: Option<u64>| {
        let config = EmbedderConfig {
            places_max: local.concurrent_max.saturating_add(local.queued_max),
            memory_bytes_max: memory.unwrap_or(local.memory_bytes_max),
            ..EmbedderConfig::default()
        };
        LocalEngine::Embedding(Arc::new(Embedder::within(source, config, budget.clone())))
    };
    let published = |source| WeightsSource::Published { source, cache_dir: cache_dir.clone() };
    // As its authors recommend.
    let usual = Usual { temperature: 0.2, top_p: 0.9 };
    let mut models = vec![
        LocalModel::known(
            TEXT_MODEL,
            "SmolLM2 135M Instruct",
            "A small English text model that runs on this machine's CPU.",
            ModelLimits { context_tokens: Some(8192), ..ModelLimits::default() },
            text(published(weights::SMOLLM2_135M_INSTRUCT), None, usual),
        ),
        LocalModel::known(
            EMBEDDING_MODEL,
            "all-MiniLM-L6-v2",
            "A small English sentence encoder that runs on this machine's CPU: vectors of 384 numbers, of length 1.",
            ModelLimits { context_tokens: Some(256), batch: Some(2048), ..ModelLimits::default() },
            embedding(published(weights::ALL_MINILM_L6_V2), None),
        ),
    ];
    models.extend(local.models.iter().map(|model| {
        let (source, memory) = (source(model, cache_dir.clone()), model.memory_bytes_max);
        let usual = Usual { temperature: model.temperature, top_p: model.top_p };
        let engine = match model.kind {
            ModelKind::Chat => text(source.clone(), memory, usual),
            ModelKind::Embedding => embedding(source.clone(), memory),
        };
        LocalModel::own(&model.name, source, engine)
    }));
    Ok(LocalProvider::new(models))
}
