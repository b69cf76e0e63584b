//! Callbacks (<https://replicate.com/docs/topics/webhooks>): the prediction or training itself, signed by Standard Webhooks.

use crate::Replicate;
use crate::prediction::Prediction;
use atelier_plugin_sdk::job::Event;
use atelier_plugin_sdk::webhook::Callback;
use atelier_plugin_sdk::{CallContext, Failure, Webhook};

impl Webhook for Replicate {
    fn parse(_context: CallContext, callback: Callback) -> Result<Vec<Event>, Failure> {
        event(callback.body).map(|event| vec![event])
    }
}

/// One event, `prediction.STATUS`, with the whole document.
fn event(body: Vec<u8>) -> Result<Event, Failure> {
    let json = String::from_utf8(body).map_err(|_| Failure::invalid("body", "the callback is not UTF-8"))?;
    let prediction: Prediction<'_> = serde_json::from_str(&json)
        .map_err(|_| Failure::invalid("body", "the callback is no prediction of Replicate's"))?;
    let kind = ["prediction.", &prediction.status].concat();
    let provider_id = Some(prediction.id.to_string());
    Ok(Event { kind, provider_id, json })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_names_the_status_and_keeps_the_document() {
        let body = r#"{"id":"p1","status":"succeeded","output":["https://replicate.delivery/x.png"],"metrics":{"predict_time":1.5}}"#;
        let event = event(body.as_bytes().to_vec()).unwrap();
        assert_eq!((event.kind.as_str(), event.json.as_str()), ("prediction.succeeded", body));
        assert_eq!(event.provider_id.as_deref(), Some("p1"));
    }

    #[test]
    fn what_is_no_prediction_is_refused() {
        for body in [&b"{}"[..], b"[]", b"\xff", b"", br#"{"id":"x"}"#] {
            assert_eq!(event(body.to_vec()).unwrap_err().code, "invalid-request");
        }
    }
}
