//! A component's capabilities: the interfaces it exports, looked up once.

use wasmtime::component::InstancePre;

use super::bindings::{
    catalog::CatalogProviderIndices, chat::ChatProviderIndices, embedding::EmbeddingProviderIndices,
    media::MediaProviderIndices, moderation::ModerationProviderIndices, speech::SpeechProviderIndices,
    token_count::TokenCountProviderIndices, training::TrainingProviderIndices,
    transcription::TranscriptionProviderIndices, webhook::WebhookProviderIndices,
};
use crate::host_state::CallState;

/// The package prefix and version of this contract's interfaces.
pub const PACKAGE: &str = "atelier:provider/";
pub const VERSION: &str = "0.1.0";

/// What a component exports, ready to be instantiated.
pub struct Exports {
    pub pre: InstancePre<CallState>,
    /// Every plugin has it.
    pub catalog: Option<CatalogProviderIndices>,
    pub chat: Option<ChatProviderIndices>,
    pub token_count: Option<TokenCountProviderIndices>,
    pub embedding: Option<EmbeddingProviderIndices>,
    pub moderation: Option<ModerationProviderIndices>,
    pub speech: Option<SpeechProviderIndices>,
    pub transcription: Option<TranscriptionProviderIndices>,
    pub media: Option<MediaProviderIndices>,
    pub training: Option<TrainingProviderIndices>,
    pub webhook: Option<WebhookProviderIndices>,
}

impl Exports {
    /// Looks up what `exported` names (interface names without package and version).
    ///
    /// # Errors
    /// An exported interface is not of the contract's shape, or `catalog` is missing.
    pub fn new(pre: &InstancePre<CallState>, exported: &[String]) -> wasmtime::Result<Self> {
        let has = |name: &str| exported.iter().any(|known| known == name);
        macro_rules! optional {
            ($name:literal, $indices:ident) => {
                has($name).then(|| $indices::new(pre)).transpose()?
            };
        }
        Ok(Self {
            catalog: Some(CatalogProviderIndices::new(pre)?),
            pre: pre.clone(),
            chat: optional!("chat", ChatProviderIndices),
            token_count: optional!("token-count", TokenCountProviderIndices),
            embedding: optional!("embedding", EmbeddingProviderIndices),
            moderation: optional!("moderation", ModerationProviderIndices),
            speech: optional!("speech", SpeechProviderIndices),
            transcription: optional!("transcription", TranscriptionProviderIndices),
            media: optional!("media", MediaProviderIndices),
            training: optional!("training", TrainingProviderIndices),
            webhook: optional!("webhook", WebhookProviderIndices),
        })
    }
}

impl std::fmt::Debug for Exports {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exports")
            .field("chat", &self.chat.is_some())
            .field("media", &self.media.is_some())
            .finish_non_exhaustive()
    }
}
