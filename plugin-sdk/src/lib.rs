//! What a provider plugin for Atelier is written with.
//!
//! A plugin is a WebAssembly component that speaks the contract `atelier:provider` (the folder `wit/`). It implements the trait of
//! each capability that its provider has, and exports exactly those:
//!
//! ```
//! use atelier_plugin_sdk::{catalog, chat, http::Request, json, CallContext, Catalog, Chat, Failure};
//!
//! struct Acme;
//!
//! #[derive(serde::Deserialize)]
//! struct Answer { id: String, text: String }
//!
//! impl Chat for Acme {
//!     fn generate(context: CallContext, request: chat::ChatRequest, sink: chat::ChatSink) -> Result<(), Failure> {
//!         let mut body = json::Text::new();
//!         body.begin_object().field("model", &request.model).end_object();
//!         let response = Request::post(format!("{}/answers", context.base_url)).json_text(body)?.charging().send()?;
//!         let answer: Answer = response.success()?.json(1 << 20)?;
//!         sink.send(&[
//!             chat::ChatEvent::Started(chat::Started { id: answer.id, model: request.model }),
//!             chat::ChatEvent::Text(answer.text),
//!             chat::ChatEvent::Finished(chat::FinishReason::Stop),
//!         ])?;
//!         Ok(())
//!     }
//! }
//!
//! impl Catalog for Acme {
//!     fn describe() -> Result<catalog::Description, Failure> {
//!         Ok(catalog::Description { models: Vec::new(), discovers: false, open_ended: false })
//!     }
//!     fn discover(_: CallContext, _: Option<String>) -> Result<catalog::ModelPage, Failure> {
//!         Err(Failure::unsupported("this provider does not list its models"))
//!     }
//!     fn get_model(_: CallContext, id: String) -> Result<catalog::Model, Failure> {
//!         Err(Failure::not_found(format!("there is no model {id}")))
//!     }
//!     fn voices(_: CallContext, _: String, _: Option<String>) -> Result<catalog::VoicePage, Failure> {
//!         Err(Failure::unsupported("this provider has no voices"))
//!     }
//!     fn check(context: CallContext) -> Result<(), Failure> {
//!         Request::get(format!("{}/health", context.base_url)).send()?.success()?;
//!         Ok(())
//!     }
//! }
//!
//! atelier_plugin_sdk::export!(Acme: Catalog, Chat);
//! ```
//!
//! Every call runs in a fresh instance, so nothing that a call leaves in memory outlives it; [`cache`] keeps what may be forgotten.
//!
//! # From nothing to a file
//!
//! `atelier plugin new DIR --id publisher/name --capabilities chat` writes a crate like this one, with its manifest, recorded exchanges and
//! cases. `atelier plugin build` compiles it (`crate-type = ["cdylib"]`, `wasm32-unknown-unknown`), makes it a component and stamps the
//! manifest into it; `check` reads the file and tells all mistakes at once; `test` holds it against what the contract promises, in the
//! host's own sandbox with a fake clock, against `tests/exchanges/*.json` and injected faults; `sign` makes the detached signature that
//! operators check.

extern crate self as atelier_plugin_sdk;

pub mod base64;
#[doc(hidden)]
pub mod bindings;
pub mod blob;
pub mod duration;
#[doc(hidden)]
pub mod export;
pub mod failure;
pub mod http;
pub mod json;
pub mod ndjson;
pub mod quota;
pub mod sse;
pub mod usage;

pub use crate::bindings::host::atelier::provider::types::{
    CallContext, Failure, Media, MediaSource, Other, Pair, UsageLine,
};
pub use crate::bindings::host::atelier::provider::{blobs, cache, clock, log, random};
#[doc(hidden)]
pub use export::__STAMP;
#[doc(hidden)]
pub use wit_bindgen::rt;

/// The contract's version, as the manifest names it.
pub const WIT_VERSION: &str = "0.1";
/// This crate's version.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");

/// A name and its value.
pub fn pair(name: impl Into<String>, value: impl Into<String>) -> Pair {
    Pair { name: name.into(), value: value.into() }
}

/// The types of a capability as a module, and its trait under the capability's name at the root of the crate.
macro_rules! capability {
    ($(#[$doc:meta])* $module:ident, $name:ident $({ $($own:ident),* })? $(, $shared:ident { $($borrowed:ident),* })?) => {
        $(#[$doc])*
        pub mod $module {
            $(pub use crate::bindings::$module::exports::atelier::provider::$module::{$($own),*};)?
            $(pub use crate::bindings::host::atelier::provider::$shared::{$($borrowed),*};)?
        }
        pub use crate::bindings::$module::exports::atelier::provider::$module::Guest as $name;
    };
}

capability!(
    /// Which models there are.
    catalog, Catalog { Description, Limits, Model, ModelPage, Price, Status, Voice, VoicePage }
);
capability!(
    /// Conversations.
    chat, Chat, chat_types {
        ChatEvent, ChatRequest, ChatSink, Closed, FinishReason, JsonSchema, Message, Part, ResponseFormat, Role, Started,
        Thinking, TokenLogprob, Tool, ToolCall, ToolCallDelta, ToolCallStart, ToolChoice, ToolResult, TopLogprob
    }
);
capability!(
    /// Vectors of texts and images.
    embedding, Embedding { Input, Request, Response }
);
capability!(
    /// Whether content is harmful.
    moderation, Moderation { Category, Input, Request, Response, Verdict }
);
capability!(
    /// Text to speech.
    speech, Speech { Request }, speech_types { AudioSink }
);
capability!(
    /// Speech to text.
    transcription, Transcription { Request, Segment, Transcript, Word }, transcription_types { TranscriptSink }
);
/// What jobs of every kind have in common.
pub mod job {
    pub use crate::bindings::host::atelier::provider::job_types::{
        Cancellation, Estimate, Event, MediaOutput, Outcome, Output, OutputSource, Step, Ticket, Wake,
    };
}
capability!(
    /// Images, video, music and sounds, as jobs.
    media, MediaJobs { Input, Request }
);
capability!(
    /// Fine-tunes and cloned voices, as jobs.
    training, Training { Dataset, Request }
);
capability!(
    /// Callbacks from the provider.
    webhook, Webhook { Callback }
);
