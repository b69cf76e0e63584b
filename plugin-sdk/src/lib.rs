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
//!
//! # Secrets
//!
//! A plugin never holds a secret. Its manifest says which there are and where the host puts each one; a plugin sends its requests
//! without. What a secret is placed as:
//!
//! | `place` | what the host does | the secret |
//! |---|---|---|
//! | `bearer` | `authorization: Bearer …` | the key |
//! | `basic` | `authorization: Basic …` | `user:password` |
//! | `header` | the header that `header` names | the key |
//! | `query` | the parameter that `parameter` names | the key |
//! | `path` | fills in `{secret:NAME}` in a URL's path | the key |
//! | `sigv4` | signs each request as AWS does | `ACCESS_KEY_ID:SECRET_ACCESS_KEY`, or with `:SESSION_TOKEN` |
//! | `jwt` | signs short-lived tokens, sent as bearer | the key, or `KEY_ID:KEY` where a claim says `{key-id}` |
//! | `oauth2-client` | fetches tokens with client credentials (RFC 6749 §4.4) | `CLIENT_ID:CLIENT_SECRET` |
//! | `google-service-account` | buys tokens with signed assertions (RFC 7523) | the key file's JSON |
//! | `webhook` | checks the provider's callbacks | what the provider says |
//!
//! The signers have a table of their own:
//!
//! ```toml
//! # Besides the base URL's host: where tokens are fetched must be granted as well.
//! hosts = ["login.example.com"]
//!
//! [[secrets]]
//! name = "aws-credentials"
//! place = "sigv4"
//! sigv4 = { service = "bedrock", region = "us-east-1", region-setting = "region" }
//!
//! [[secrets]]
//! name = "access-key"
//! place = "jwt"
//! [secrets.jwt]
//! algorithm = "HS256" # or RS256, ES256 with a private key in PEM
//! lifetime-seconds = 1800
//! not-before-seconds = 5
//! claims = { iss = "{key-id}", aud = "{setting:audience}" }
//!
//! [[secrets]]
//! name = "client"
//! place = "oauth2-client"
//! oauth2-client = { token-url = "https://login.example.com/token", scope = "media" }
//!
//! [[secrets]]
//! name = "service-account"
//! place = "google-service-account"
//! google-service-account = { scope = "https://www.googleapis.com/auth/cloud-platform" }
//!
//! [webhook] # callbacks: standard-webhooks, hmac-sha256, stripe or none
//! scheme = "standard-webhooks"
//! secret = "webhook-secret"
//! ```

extern crate self as atelier_plugin_sdk;

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
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
pub use crate::bindings::host::atelier::provider::{blobs, cache, clock, log, progress, random};
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

impl Media {
    /// A medium of which nothing more is known.
    pub fn new(source: MediaSource, content_type: Option<String>) -> Self {
        Self { source, content_type, name: None, attributes: Vec::new() }
    }

    /// The value of one of its attributes, e.g. `detail`.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|pair| pair.name == name).map(|pair| pair.value.as_str())
    }
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
        ChatEvent, ChatRequest, ChatSink, Closed, FinishReason, Function, JsonSchema, Message, Part, ResponseFormat, Role,
        Started, Thinking, TokenLogprob, Tool, ToolCall, ToolCallDelta, ToolCallStart, ToolChoice, ToolContent, ToolResult,
        TopLogprob
    }
);
capability!(
    /// What a conversation will take, before it is sent.
    token_count, TokenCount
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
    transcription, Transcription { Request, Transcript }, transcription_types { Segment, TranscriptEvent, TranscriptSink, Word }
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
