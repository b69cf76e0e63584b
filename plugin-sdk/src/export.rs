//! Turning a type that implements capabilities into a component that exports them.

/// Export a plugin: `export!(Plugin: Catalog, Chat);` with the names of the traits it implements.
///
/// The host takes a component's exports as the list of what it can do, so name all of them and no other. Every plugin exports
/// `Catalog`. The names are `Catalog`, `Chat`, `TokenCount`, `Embedding`, `Moderation`, `Speech`, `Transcription`, `MediaJobs`, `Training` and
/// `Webhook`.
#[macro_export]
macro_rules! export {
    ($plugin:ident: $($capability:ident),+ $(,)?) => {
        // The names of a component's exports are no symbols of a native library.
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            $($crate::__export_capability!($capability $plugin);)+

            #[used]
            #[unsafe(link_section = "atelier:sdk")]
            static STAMP: [u8; $crate::__STAMP.len()] = *$crate::__STAMP;
        };
        #[cfg(not(target_arch = "wasm32"))]
        const _: fn() = || {
            $({
                fn implements<T: $crate::$capability>() {}
                implements::<$plugin>();
            })+
        };
    };
}

/// The content of the custom section `atelier:sdk` of a plugin's core module: which SDK and which contract it was built with.
#[doc(hidden)]
pub const __STAMP: &[u8; STAMP_TEXT.len()] = match STAMP_TEXT.as_bytes().first_chunk() {
    Some(bytes) => bytes,
    None => panic!("a text has as many bytes as its length says"),
};

const STAMP_TEXT: &str =
    concat!("{\"language\":\"rust\",\"sdk\":\"", env!("CARGO_PKG_VERSION"), "\",\"wit\":\"0.1\"}");

#[doc(hidden)]
#[macro_export]
macro_rules! __export_capability {
    (Catalog $plugin:ident) => {
        $crate::bindings::catalog::export!($plugin with_types_in $crate::bindings::catalog);
    };
    (Chat $plugin:ident) => {
        $crate::bindings::chat::export!($plugin with_types_in $crate::bindings::chat);
    };
    (TokenCount $plugin:ident) => {
        $crate::bindings::token_count::export!($plugin with_types_in $crate::bindings::token_count);
    };
    (Embedding $plugin:ident) => {
        $crate::bindings::embedding::export!($plugin with_types_in $crate::bindings::embedding);
    };
    (Moderation $plugin:ident) => {
        $crate::bindings::moderation::export!($plugin with_types_in $crate::bindings::moderation);
    };
    (Speech $plugin:ident) => {
        $crate::bindings::speech::export!($plugin with_types_in $crate::bindings::speech);
    };
    (Transcription $plugin:ident) => {
        $crate::bindings::transcription::export!($plugin with_types_in $crate::bindings::transcription);
    };
    (MediaJobs $plugin:ident) => {
        $crate::bindings::media::export!($plugin with_types_in $crate::bindings::media);
    };
    (Training $plugin:ident) => {
        $crate::bindings::training::export!($plugin with_types_in $crate::bindings::training);
    };
    (Webhook $plugin:ident) => {
        $crate::bindings::webhook::export!($plugin with_types_in $crate::bindings::webhook);
    };
}
