//! Token counts (`POST /messages/count_tokens`, <https://platform.claude.com/docs/en/api/messages-count-tokens>), at no cost.

use crate::Anthropic;
use crate::api::Api;
use crate::chat::body;
use atelier_plugin_sdk::chat::ChatRequest;
use atelier_plugin_sdk::{CallContext, Failure, TokenCount, json};
use serde::Deserialize;

const ANSWER_BYTES_MAX: u32 = 64 * 1024;

#[derive(Deserialize)]
struct Count {
    input_tokens: u64,
}

impl TokenCount for Anthropic {
    fn count(context: CallContext, request: ChatRequest) -> Result<u64, Failure> {
        let api = Api::new(&context)?;
        let body = body::count(&api, &request)?;
        let response = api.send(api.post("/messages/count_tokens").json_text(body)?.safe())?;
        let count: Count = json::parse(&response.bytes(ANSWER_BYTES_MAX)?)?;
        Ok(count.input_tokens)
    }
}
