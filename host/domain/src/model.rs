//! Models: what a provider offers.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::id::ModelId;

/// What a model can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Task {
    Chat,
    ImageGeneration,
    ImageEdit,
    ImageVariation,
    ImageUpscale,
    VideoGeneration,
    VideoRemix,
    SoundEffect,
    Music,
    Stems,
    Speech,
    Transcription,
    Translation,
    Embedding,
    Moderation,
    Training,
}

impl Task {
    /// All of them.
    pub const ALL: [Task; 16] = [
        Task::Chat,
        Task::ImageGeneration,
        Task::ImageEdit,
        Task::ImageVariation,
        Task::ImageUpscale,
        Task::VideoGeneration,
        Task::VideoRemix,
        Task::SoundEffect,
        Task::Music,
        Task::Stems,
        Task::Speech,
        Task::Transcription,
        Task::Translation,
        Task::Embedding,
        Task::Moderation,
        Task::Training,
    ];

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Task::Chat => "chat",
            Task::ImageGeneration => "image-generation",
            Task::ImageEdit => "image-edit",
            Task::ImageVariation => "image-variation",
            Task::ImageUpscale => "image-upscale",
            Task::VideoGeneration => "video-generation",
            Task::VideoRemix => "video-remix",
            Task::SoundEffect => "sound-effect",
            Task::Music => "music",
            Task::Stems => "stems",
            Task::Speech => "speech",
            Task::Transcription => "transcription",
            Task::Translation => "translation",
            Task::Embedding => "embedding",
            Task::Moderation => "moderation",
            Task::Training => "training",
        }
    }

    /// The task for a plugin's word; words of a later contract are not known here.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|task| task.as_str() == word)
    }

    /// Whether it runs as a job of the `media` interface.
    pub fn is_media(self) -> bool {
        match self {
            Task::ImageGeneration
            | Task::ImageEdit
            | Task::ImageVariation
            | Task::ImageUpscale
            | Task::VideoGeneration
            | Task::VideoRemix
            | Task::SoundEffect
            | Task::Music
            | Task::Stems => true,
            Task::Chat
            | Task::Speech
            | Task::Transcription
            | Task::Translation
            | Task::Embedding
            | Task::Moderation
            | Task::Training => false,
        }
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ModelStatus {
    Available,
    Experimental,
    ComingSoon,
    Deprecated,
}

impl ModelStatus {
    /// Only these two can be called.
    pub fn is_callable(self) -> bool {
        matches!(self, ModelStatus::Available | ModelStatus::Experimental)
    }
}

/// Bounds of a model; absent where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelLimits {
    pub context_tokens: Option<u64>,
    pub output_tokens: Option<u64>,
    pub input_characters: Option<u64>,
    pub batch: Option<u32>,
    pub media_bytes: Option<u64>,
}

/// A provider's list price, as a hint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    pub meter: String,
    pub attributes: Vec<(String, String)>,
    pub usd_micros_per_million: u64,
}

/// A model as a provider describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelInfo {
    /// The provider's own id.
    pub id: String,
    pub name: String,
    pub description: Option<String>,
    pub status: ModelStatus,
    pub tasks: Vec<Task>,
    pub input_modalities: Vec<String>,
    pub features: Vec<String>,
    pub limits: ModelLimits,
    /// JSON Schema (2020-12) of the provider-specific options.
    pub options_schema: Option<serde_json::Value>,
    pub prices: Vec<Price>,
    /// The opaque scope of its owner, if it is private.
    pub owner: Option<String>,
    /// Unix seconds, 0 if unknown.
    pub created: u64,
}

/// A model as callers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    pub id: ModelId,
    pub info: ModelInfo,
}

/// A voice of a speech model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Voice {
    pub id: String,
    pub name: String,
    /// BCP 47.
    pub languages: Vec<String>,
    pub preview_url: Option<String>,
    pub labels: Vec<(String, String)>,
    pub owner: Option<String>,
}

/// A page of a longer list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// What to ask the next page with.
    pub next: Option<String>,
}

/// What a provider says of itself without asking anybody.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    pub models: Vec<ModelInfo>,
    /// Whether discovery finds more.
    pub discovers: bool,
    /// Whether ids that no list has may still be models.
    pub open_ended: bool,
}
