//! Anthropic's Claude models as a provider.
//!
//! Written from Anthropic's public API reference (<https://platform.claude.com/docs/en/api/overview>), version `2023-06-01`, which
//! still takes `temperature` and `top_p` for the models that have them.
//!
//! No request names an idempotency header: the reference promises none, so a charging request whose outcome is unknown is not
//! sent again. What the Messages API has no field for (`seed`, penalties, log probabilities, free-form JSON) is refused by name,
//! never dropped; participants' names alone are passed over, as they change no meaning.

mod api;
mod catalog;
mod chat;
mod fault;
mod rate_limit;
mod token_count;
mod usage;

/// The plugin.
#[derive(Debug)]
pub struct Anthropic;

atelier_plugin_sdk::export!(Anthropic: Catalog, Chat, TokenCount);
