//! Items of conversations as they are kept, and gone on from.

use std::sync::Arc;

use atelier_domain::generation::chat::Message;
use atelier_domain::id::{ResponseId, UserId};
use atelier_domain::response::StoredResponse;
use atelier_service::responses::{NewResponse, Responses};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::item::Item;
use super::request::ITEMS_MAX;
use super::response::ResponseView;
use crate::http::files::used::{MessagePart, Named};
use crate::http::{ApiError, prefix};

/// Keeps an answer once it is whole.
#[derive(Debug)]
pub(super) struct Keeper {
    pub responses: Responses,
    pub id: ResponseId,
    pub owner: UserId,
    pub previous: Option<ResponseId>,
    pub input: Vec<String>,
}

impl Keeper {
    /// Nobody waits for it.
    pub(super) fn keep(self, view: &ResponseView<'_>) {
        let Self { responses, id, owner, previous, input } = self;
        let output = view.output().iter().map(written).collect();
        responses.keep(NewResponse { id, owner, previous, input, output, answer: written(view) });
    }
}

fn written<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("our own types are JSON, and memory takes all")
}

#[derive(Deserialize)]
struct Given<'a> {
    #[serde(borrow)]
    input: &'a RawValue,
}

/// The items of a body's `input` as they are listed: each with its type and an id.
pub(super) fn kept(body: &[u8]) -> Result<Vec<String>, ApiError> {
    let wrong = |error: serde_json::Error| ApiError::invalid("input", error.to_string());
    let given: Given<'_> = serde_json::from_slice(body).map_err(wrong)?;
    let items = match serde_json::from_str(given.input.get()).map_err(wrong)? {
        Value::String(text) => vec![json!({"role": "user", "content": text})],
        Value::Array(items) => items,
        _ => return Err(ApiError::invalid("input", "must be a text or a list of items")),
    };
    Ok(items.into_iter().map(|item| whole(item).to_string()).collect())
}

/// An item with what it may lack.
fn whole(item: Value) -> Value {
    let Value::Object(mut item) = item else { return item };
    let kind = item.entry("type").or_insert_with(|| "message".into()).as_str().unwrap_or_default().to_owned();
    let start = match kind.as_str() {
        "function_call" => "fc_",
        "function_call_output" => "fco_",
        "reasoning" => "rs_",
        _ => "msg_",
    };
    if !item.get("id").is_some_and(Value::is_string) {
        item.insert("id".to_owned(), prefix::id(start).into());
    }
    if kind == "message" {
        spread(&mut item);
    }
    Value::Object(item)
}

/// A message's text as the one part that it is.
fn spread(message: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = message.get_mut("content") {
        let text = std::mem::take(text);
        let part = match message.get("role").and_then(Value::as_str) {
            Some("assistant") => json!({"type": "output_text", "text": text, "annotations": []}),
            _ => json!({"type": "input_text", "text": text}),
        };
        message.insert("content".to_owned(), Value::Array(vec![part]));
    }
    message.entry("status").or_insert_with(|| "completed".into());
}

/// Puts what was said before in front of a request's own messages, behind its instructions.
pub(super) fn go_on(
    chain: &[Arc<StoredResponse>],
    has_instructions: bool,
    messages: &mut Vec<Message>,
    files: &mut Vec<Named<MessagePart>>,
) -> Result<(), ApiError> {
    let at = usize::from(has_instructions);
    let (mut earlier, mut earlier_files) = (Vec::new(), Vec::new());
    for (i, item) in chain.iter().flat_map(|kept| kept.input.iter().chain(&kept.output)).enumerate() {
        if i == ITEMS_MAX {
            let message = format!("it goes on from more than {ITEMS_MAX} items");
            return Err(ApiError::invalid("previous_response_id", message));
        }
        let item: Item = serde_json::from_str(item)
            .map_err(|error| ApiError::bug(format!("a kept item cannot be read: {error}")))?;
        let place = at + earlier.len();
        earlier.extend(item.into_domain("previous_response_id", place, &mut earlier_files)?);
    }
    for file in files.iter_mut().filter(|file| file.place.0 >= at) {
        file.place.0 += earlier.len();
    }
    files.extend(earlier_files);
    messages.splice(at..at, earlier);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_kept_with_their_type_and_an_id() {
        let items = |input: Value| -> Vec<Value> {
            let kept = kept(json!({"input": input}).to_string().as_bytes()).expect("good");
            kept.iter().map(|item| serde_json::from_str(item).expect("JSON")).collect()
        };
        let [text] = items(json!("hi")).try_into().expect("one");
        assert_eq!((&text["type"], &text["role"]), (&json!("message"), &json!("user")));
        assert_eq!(text["content"], json!([{"type": "input_text", "text": "hi"}]));
        assert!(text["id"].as_str().is_some_and(|id| id.starts_with("msg_")), "{text}");
        let given = json!([{"role": "assistant", "content": "yes", "id": "msg_mine"},
            {"type": "function_call_output", "call_id": "c", "output": "1"}]);
        let [said, told] = items(given).try_into().expect("two");
        assert_eq!((&said["id"], &said["content"][0]["type"]), (&json!("msg_mine"), &json!("output_text")));
        assert!(told["id"].as_str().is_some_and(|id| id.starts_with("fco_")), "{told}");
    }
}
