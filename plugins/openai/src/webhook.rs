//! Callbacks (<https://platform.openai.com/docs/guides/webhooks>): one event each, signed by Standard Webhooks.

use crate::OpenAi;
use atelier_plugin_sdk::job::Event;
use atelier_plugin_sdk::webhook::Callback;
use atelier_plugin_sdk::{CallContext, Failure, Webhook};
use serde::Deserialize;

impl Webhook for OpenAi {
    fn parse(_context: CallContext, callback: Callback) -> Result<Vec<Event>, Failure> {
        event(callback.body).map(|event| vec![event])
    }
}

fn event(body: Vec<u8>) -> Result<Event, Failure> {
    #[derive(Deserialize)]
    struct Envelope {
        #[serde(rename = "type")]
        kind: String,
        data: Option<Subject>,
    }
    #[derive(Deserialize)]
    struct Subject {
        id: Option<String>,
    }
    let malformed = |_| Failure::invalid("body", "the callback is no event of OpenAI's");
    let json = String::from_utf8(body).map_err(|_| Failure::invalid("body", "the callback is not UTF-8"))?;
    let envelope: Envelope = serde_json::from_str(&json).map_err(malformed)?;
    let provider_id = envelope.data.and_then(|subject| subject.id);
    Ok(Event { kind: envelope.kind, provider_id, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_keeps_its_kind_and_its_document() {
        let body = r#"{"id":"evt_1","object":"event","created_at":1758941485,"type":"video.completed","data":{"id":"video_1"}}"#;
        let event = event(body.as_bytes().to_vec()).unwrap();
        assert_eq!((event.kind.as_str(), event.json.as_str()), ("video.completed", body));
        assert_eq!(event.provider_id.as_deref(), Some("video_1"));
    }

    #[test]
    fn what_is_no_event_is_refused() {
        for body in [&b"{}"[..], b"[]", b"\xff", b""] {
            assert_eq!(event(body.to_vec()).unwrap_err().code, "invalid-request");
        }
    }
}
