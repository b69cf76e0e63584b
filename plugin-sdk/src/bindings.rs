//! The contract as Rust, generated from `wit/0.1`: one set of shared modules, and one module per capability.
//!
//! A component must export exactly what it can do, so each capability has a world, and an export macro, of its own.
#![allow(
    unsafe_code,
    missing_debug_implementations,
    clippy::allow_attributes_without_reason,
    reason = "generated code: it lifts and lowers values across the component boundary"
)]

/// What plugins import, and the types that several capabilities share.
pub mod host {
    wit_bindgen::generate!({
        path: "../wit/0.1",
        inline: "
            package atelier:sdk;
            world shared {
                include atelier:provider/host@0.1.0;
                import atelier:provider/chat-types@0.1.0;
                import atelier:provider/speech-types@0.1.0;
                import atelier:provider/transcription-types@0.1.0;
                import atelier:provider/job-types@0.1.0;
            }
        ",
        world: "atelier:sdk/shared",
        generate_all,
        generate_unused_types: true,
        runtime_path: "::atelier_plugin_sdk::rt",
    });
}

/// Bindings of one capability's world; the modules it shares are those of [`host`].
macro_rules! capability {
    ($module:ident, $world:literal $(, $interface:literal => $shared:ident)*) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../wit/0.1",
                world: $world,
                with: {
                    "atelier:provider/types@0.1.0": crate::bindings::host::atelier::provider::types,
                    "atelier:provider/blobs@0.1.0": crate::bindings::host::atelier::provider::blobs,
                    "atelier:provider/http@0.1.0": crate::bindings::host::atelier::provider::http,
                    "atelier:provider/log@0.1.0": crate::bindings::host::atelier::provider::log,
                    "atelier:provider/clock@0.1.0": crate::bindings::host::atelier::provider::clock,
                    "atelier:provider/random@0.1.0": crate::bindings::host::atelier::provider::random,
                    "atelier:provider/cache@0.1.0": crate::bindings::host::atelier::provider::cache,
                    "atelier:provider/quota@0.1.0": crate::bindings::host::atelier::provider::quota,
                    "atelier:provider/progress@0.1.0": crate::bindings::host::atelier::provider::progress,
                    $($interface: crate::bindings::host::atelier::provider::$shared,)*
                },
                generate_all,
                pub_export_macro: true,
                runtime_path: "::atelier_plugin_sdk::rt",
            });
        }
    };
}

capability!(catalog, "catalog-provider");
capability!(chat, "chat-provider", "atelier:provider/chat-types@0.1.0" => chat_types);
capability!(
    token_count, "token-count-provider",
    "atelier:provider/chat-types@0.1.0" => chat_types
);
capability!(embedding, "embedding-provider");
capability!(moderation, "moderation-provider");
capability!(
    speech, "speech-provider",
    "atelier:provider/chat-types@0.1.0" => chat_types,
    "atelier:provider/speech-types@0.1.0" => speech_types
);
capability!(
    transcription, "transcription-provider",
    "atelier:provider/chat-types@0.1.0" => chat_types,
    "atelier:provider/transcription-types@0.1.0" => transcription_types
);
capability!(media, "media-provider", "atelier:provider/job-types@0.1.0" => job_types);
capability!(training, "training-provider", "atelier:provider/job-types@0.1.0" => job_types);
capability!(webhook, "webhook-provider", "atelier:provider/job-types@0.1.0" => job_types);
