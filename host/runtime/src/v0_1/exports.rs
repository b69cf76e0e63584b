//! A component's capabilities: the interfaces it exports, looked up once.

use wasmtime::component::InstancePre;

use super::bindings::{
    catalog::CatalogProviderPre, chat::ChatProviderPre, embedding::EmbeddingProviderPre,
    media::MediaProviderPre, moderation::ModerationProviderPre, speech::SpeechProviderPre,
    token_count::TokenCountProviderPre, training::TrainingProviderPre,
    transcription::TranscriptionProviderPre, webhook::WebhookProviderPre,
};
use crate::host_state::CallState;

/// The package prefix and version of this contract's interfaces.
pub const PACKAGE: &str = "atelier:provider/";
pub const VERSION: &str = "0.1.0";

/// What a component exports, ready to be instantiated.
pub struct Exports {
    pub catalog: CatalogProviderPre<CallState>,
    pub chat: Option<ChatProviderPre<CallState>>,
    pub token_count: Option<TokenCountProviderPre<CallState>>,
    pub embedding: Option<EmbeddingProviderPre<CallState>>,
    pub moderation: Option<ModerationProviderPre<CallState>>,
    pub speech: Option<SpeechProviderPre<CallState>>,
    pub transcription: Option<TranscriptionProviderPre<CallState>>,
    pub media: Option<MediaProviderPre<CallState>>,
    pub training: Option<TrainingProviderPre<CallState>>,
    pub webhook: Option<WebhookProviderPre<CallState>>,
}

impl Exports {
    /// Looks up what `exported` names (interface names without package and version).
    ///
    /// # Errors
    /// An exported interface is not of the contract's shape, or `catalog` is missing.
    pub fn new(pre: &InstancePre<CallState>, exported: &[String]) -> wasmtime::Result<Self> {
        let has = |name: &str| exported.iter().any(|known| known == name);
        macro_rules! optional {
            ($name:literal, $pre:ident) => {
                has($name).then(|| $pre::new(pre.clone())).transpose()?
            };
        }
        Ok(Self {
            catalog: CatalogProviderPre::new(pre.clone())?,
            chat: optional!("chat", ChatProviderPre),
            token_count: optional!("token-count", TokenCountProviderPre),
            embedding: optional!("embedding", EmbeddingProviderPre),
            moderation: optional!("moderation", ModerationProviderPre),
            speech: optional!("speech", SpeechProviderPre),
            transcription: optional!("transcription", TranscriptionProviderPre),
            media: optional!("media", MediaProviderPre),
            training: optional!("training", TrainingProviderPre),
            webhook: optional!("webhook", WebhookProviderPre),
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
