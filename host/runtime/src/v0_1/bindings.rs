//! What `bindgen!` makes of `wit/0.1`, and nothing else: one module for all imports, one per exported interface.

/// The imports and their types, shared by all exports.
pub mod host {
    wasmtime::component::bindgen!({
        path: "../../wit/0.1",
        inline: "
            package atelier:host;
            world imports {
                include atelier:provider/host@0.1.0;
                import atelier:provider/chat-types@0.1.0;
                import atelier:provider/speech-types@0.1.0;
                import atelier:provider/transcription-types@0.1.0;
                import atelier:provider/job-types@0.1.0;
            }
        ",
        world: "atelier:host/imports",
        imports: {
            "atelier:provider/log": trappable,
            "atelier:provider/clock": trappable,
            "atelier:provider/random": trappable,
            "atelier:provider/cache": trappable,
            "atelier:provider/quota": trappable,
            "atelier:provider/progress": trappable,
            default: async | trappable,
        },
        with: {
            "atelier:provider/blobs.blob": atelier_domain::blob::Blob,
            "atelier:provider/blobs.blob-writer": crate::v0_1::imports::blobs::Writer,
            "atelier:provider/http.incoming-body": crate::egress::IncomingBody,
            "atelier:provider/chat-types.chat-sink": crate::v0_1::imports::sinks::ChatSink,
            "atelier:provider/speech-types.audio-sink": crate::v0_1::imports::sinks::AudioSink,
            "atelier:provider/transcription-types.transcript-sink": crate::v0_1::imports::sinks::TranscriptSink,
        },
    });
}

macro_rules! export_world {
    ($module:ident, $world:literal) => {
        pub mod $module {
            wasmtime::component::bindgen!({
                path: "../../wit/0.1",
                world: $world,
                exports: { default: async },
                with: { "atelier:provider": crate::v0_1::bindings::host::atelier::provider },
            });
        }
    };
}

export_world!(catalog, "catalog-provider");
export_world!(chat, "chat-provider");
export_world!(token_count, "token-count-provider");
export_world!(embedding, "embedding-provider");
export_world!(moderation, "moderation-provider");
export_world!(speech, "speech-provider");
export_world!(transcription, "transcription-provider");
export_world!(media, "media-provider");
export_world!(training, "training-provider");
export_world!(webhook, "webhook-provider");
