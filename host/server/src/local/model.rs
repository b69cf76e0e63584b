//! One in-house model: what it is called, what it is, and what runs it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use atelier_domain::model::{ModelInfo, ModelLimits, ModelStatus, Task};
use atelier_domain::provider::Readiness;
use atelier_inference::dcgan::DcganModel;
use atelier_inference::esrgan::EsrganModel;
use atelier_inference::piper::PiperModel;
use atelier_inference::style::StyleModel;
use atelier_inference::{
    BertModel, EmbeddingEngine, EngineError, EngineState, ImageConfig, ImageEngine, ImageFamily, ImageInfo,
    Precision, SpeechEngine, TextEngine, TextLoad, TextModel, TranscriptionEngine, WeightsSource,
    WhisperModel,
};

use super::published::Published;
use super::request::Usual;
use super::{embedding, images, options, speech, transcription};

/// What it can do in a chat, in the contract's words where it has any.
const CHAT_FEATURES: [&str; 5] = ["structured-output", "streaming", "seed", "stop", "logprobs"];
const TRANSCRIPTION_FEATURES: [&str; 2] = ["streaming", "logprobs"];
const SPEECH_FEATURES: [&str; 1] = ["streaming"];
const GENERATOR_FEATURES: [&str; 1] = ["seed"];

/// What runs a model.
pub(crate) enum LocalEngine {
    Text(Arc<dyn TextEngine>, Usual),
    Embedding(Arc<dyn EmbeddingEngine>),
    Transcription(Arc<dyn TranscriptionEngine>),
    Speech(Arc<dyn SpeechEngine>),
    Image(ImageFamily, Arc<dyn ImageEngine>),
}

/// A model of the instance `local`.
pub(crate) struct LocalModel {
    info: ModelInfo,
    engine: LocalEngine,
    /// Where its weights say what the model is, of which nothing else is known.
    source: Option<WeightsSource>,
    /// What they said.
    limits: OnceLock<ModelLimits>,
    /// Of a voice, the graph that its operator trusts.
    graph_sha256: Option<String>,
}

/// Looks at weights, and says what is wrong with them.
type Look = Box<dyn FnOnce(&Path) -> Result<ModelLimits, String> + Send>;

impl std::fmt::Debug for LocalModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalModel").field("id", &self.info.id).finish_non_exhaustive()
    }
}

impl LocalModel {
    /// A model that is known.
    pub(crate) fn known(published: &Published, engine: LocalEngine) -> Self {
        let batch = matches!(engine, LocalEngine::Embedding(_)).then_some(embedding::BATCH_MAX);
        let limits =
            ModelLimits { context_tokens: published.context_tokens, batch, ..ModelLimits::default() };
        let info = info(published.id, published.name, Some(published.description), limits, &engine);
        Self { info, engine, source: None, limits: OnceLock::new(), graph_sha256: None }
    }

    /// One of the operator's own, which its weights describe; of a voice also the graph that is trusted.
    pub(crate) fn own(
        name: &str,
        source: WeightsSource,
        engine: LocalEngine,
        graph_sha256: Option<String>,
    ) -> Self {
        let info = info(name, name, None, ModelLimits::default(), &engine);
        Self { info, engine, source: Some(source), limits: OnceLock::new(), graph_sha256 }
    }

    pub(crate) fn id(&self) -> &str {
        &self.info.id
    }

    pub(crate) fn engine(&self) -> &LocalEngine {
        &self.engine
    }

    /// As it is listed. Looks at the weights where they are needed and on this machine.
    pub(super) async fn describe(&self) -> ModelInfo {
        let Some(source) = &self.source else { return self.info.clone() };
        if self.limits.get().is_none()
            && let Some(path) = path_of(source)
        {
            let graph_sha256 = self.graph_sha256.clone();
            let look: Look = match self.engine {
                LocalEngine::Text(..) => Box::new(text_limits),
                LocalEngine::Embedding(_) => Box::new(embedding_limits),
                LocalEngine::Transcription(_) => Box::new(transcription_limits),
                LocalEngine::Speech(_) => Box::new(move |path| speech_limits(path, graph_sha256.as_deref())),
                LocalEngine::Image(ImageFamily::RealEsrgan, _) => Box::new(upscaling_limits),
                LocalEngine::Image(ImageFamily::Dcgan, _) => Box::new(generator_limits),
                LocalEngine::Image(ImageFamily::Style, _) => Box::new(style_limits),
            };
            let look = move || look(&path);
            match tokio::task::spawn_blocking(look).await {
                Ok(Ok(limits)) => drop(self.limits.set(limits)),
                Ok(Err(reason)) => {
                    tracing::warn!(model = self.info.id, reason, "a model's weights cannot be used");
                }
                Err(error) => tracing::error!(model = self.info.id, %error, "looking at weights stopped"),
            }
        }
        ModelInfo { limits: self.limits.get().cloned().unwrap_or_default(), ..self.info.clone() }
    }

    pub(super) async fn warm(&self) -> Result<(), EngineError> {
        match &self.engine {
            LocalEngine::Text(engine, _) => engine.warm().await.map(|_| ()),
            LocalEngine::Embedding(engine) => engine.warm().await.map(|_| ()),
            LocalEngine::Transcription(engine) => engine.warm().await.map(|_| ()),
            LocalEngine::Speech(engine) => engine.warm().await.map(|_| ()),
            LocalEngine::Image(_, engine) => engine.warm().await.map(|_| ()),
        }
    }

    /// What it takes and does.
    pub(crate) fn load(&self) -> Load {
        let mut on_card = false;
        let (memory_bytes, text) = match &self.engine {
            LocalEngine::Text(engine, _) => {
                let look = |info: &atelier_inference::ModelInfo| {
                    on_card = info.on_card;
                    info.memory_bytes
                };
                (memory(engine.state(), look), Some(engine.load()))
            }
            LocalEngine::Embedding(engine) => (memory(engine.state(), |info| info.memory_bytes), None),
            LocalEngine::Transcription(engine) => (memory(engine.state(), |info| info.memory_bytes), None),
            LocalEngine::Speech(engine) => (memory(engine.state(), |info| info.memory_bytes), None),
            LocalEngine::Image(_, engine) => (memory(engine.state(), ImageInfo::memory_bytes), None),
        };
        let kernels = match &self.engine {
            LocalEngine::Text(engine, _) => engine.kernel_times(),
            _ => Vec::new(),
        };
        Load { memory_bytes, on_card, text, kernels }
    }

    pub(super) fn readiness(&self) -> Readiness {
        match &self.engine {
            LocalEngine::Text(engine, _) => readiness(engine.state()),
            LocalEngine::Embedding(engine) => readiness(engine.state()),
            LocalEngine::Transcription(engine) => readiness(engine.state()),
            LocalEngine::Speech(engine) => readiness(engine.state()),
            LocalEngine::Image(_, engine) => readiness(engine.state()),
        }
    }
}

/// What a model takes and does.
pub(crate) struct Load {
    /// For weights and working space; none while it is not loaded.
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) on_card: bool,
    pub(crate) text: Option<TextLoad>,
    /// Time of each kernel, by its name.
    pub(crate) kernels: Vec<(&'static str, Duration)>,
}

fn memory<I>(state: EngineState<I>, bytes: impl FnOnce(&I) -> u64) -> Option<u64> {
    match state {
        EngineState::Ready(info) => Some(bytes(&info)),
        _ => None,
    }
}

fn readiness<I>(state: EngineState<I>) -> Readiness {
    match state {
        EngineState::Ready(_) => Readiness::Ready,
        EngineState::Failed { reason } => Readiness::Failed(reason),
        EngineState::NotFetched | EngineState::Fetching(_) | EngineState::Unloaded | EngineState::Loading => {
            Readiness::Loading
        }
    }
}

/// Where weights are, if they are on this machine.
pub(crate) fn path_of(source: &WeightsSource) -> Option<PathBuf> {
    match source {
        WeightsSource::File(path) => Some(path.clone()),
        WeightsSource::Pulled { weights, cache_dir } => {
            weights.is_fetched(cache_dir).then(|| weights.path_in(cache_dir))
        }
        WeightsSource::Published { source, cache_dir } => {
            source.is_fetched(cache_dir).then(|| source.path_in(cache_dir))
        }
    }
}

fn text_limits(path: &Path) -> Result<ModelLimits, String> {
    let info = TextModel::inspect(path, Precision::Fast).map_err(|error| error.to_string())?;
    Ok(ModelLimits { context_tokens: Some(info.context_tokens as u64), ..ModelLimits::default() })
}

fn embedding_limits(path: &Path) -> Result<ModelLimits, String> {
    let info = BertModel::inspect(path).map_err(|error| error.to_string())?;
    let context_tokens = Some(info.tokens_max as u64);
    Ok(ModelLimits { context_tokens, batch: Some(embedding::BATCH_MAX), ..ModelLimits::default() })
}

/// A recogniser takes any length up to the engine's; that its weights can be used is what is looked at.
fn transcription_limits(path: &Path) -> Result<ModelLimits, String> {
    WhisperModel::inspect(path).map(|_| ModelLimits::default()).map_err(|error| error.to_string())
}

/// As [`transcription_limits`].
fn speech_limits(path: &Path, graph_sha256: Option<&str>) -> Result<ModelLimits, String> {
    let info = PiperModel::inspect(path, graph_sha256);
    info.map(|_| ModelLimits::default()).map_err(|error| error.to_string())
}

/// As [`transcription_limits`].
fn upscaling_limits(path: &Path) -> Result<ModelLimits, String> {
    let tile_bytes_max = ImageConfig::default().tile_bytes_max;
    EsrganModel::inspect(path, tile_bytes_max)
        .map(|_| ModelLimits::default())
        .map_err(|error| error.to_string())
}

/// As [`transcription_limits`].
fn generator_limits(path: &Path) -> Result<ModelLimits, String> {
    DcganModel::inspect(path).map(|_| ModelLimits::default()).map_err(|error| error.to_string())
}

/// As [`transcription_limits`].
fn style_limits(path: &Path) -> Result<ModelLimits, String> {
    StyleModel::inspect(path).map(|_| ModelLimits::default()).map_err(|error| error.to_string())
}

fn info(
    id: &str,
    name: &str,
    description: Option<&str>,
    limits: ModelLimits,
    engine: &LocalEngine,
) -> ModelInfo {
    let (task, modality, features, schema): (_, _, &[&str], _) = match engine {
        LocalEngine::Text(..) => (Task::Chat, Some("text"), &CHAT_FEATURES, options::schema()),
        LocalEngine::Embedding(_) => (Task::Embedding, Some("text"), &[], embedding::schema()),
        LocalEngine::Transcription(_) => {
            (Task::Transcription, Some("audio"), &TRANSCRIPTION_FEATURES, transcription::schema())
        }
        LocalEngine::Speech(_) => (Task::Speech, Some("text"), &SPEECH_FEATURES, speech::schema()),
        LocalEngine::Image(family @ ImageFamily::RealEsrgan, _) => {
            (Task::ImageUpscale, Some("image"), &[], images::schema(*family))
        }
        LocalEngine::Image(family @ ImageFamily::Dcgan, _) => {
            (Task::ImageGeneration, None, &GENERATOR_FEATURES, images::schema(*family))
        }
        LocalEngine::Image(family @ ImageFamily::Style, _) => {
            (Task::ImageEdit, Some("image"), &[], images::schema(*family))
        }
    };
    ModelInfo {
        id: id.to_owned(),
        name: name.to_owned(),
        description: description.map(str::to_owned),
        status: ModelStatus::Available,
        tasks: vec![task],
        input_modalities: modality.into_iter().map(str::to_owned).collect(),
        features: features.iter().map(|feature| (*feature).to_owned()).collect(),
        limits,
        options_schema: Some(schema),
        prices: Vec::new(),
        owner: None,
        created: 0,
    }
}
