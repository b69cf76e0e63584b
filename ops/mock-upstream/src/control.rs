//! `/_mock/…`: what tests in other languages ask and tell this server.

use axum::http::{Method, StatusCode, request};
use serde_json::{Value, json};

use crate::chaos::Chaos;
use crate::fault::Fault;
use crate::reply::Reply;
use crate::server::Shared;

/// Answer one request of the control plane. It needs no credential and is not recorded.
pub(crate) fn answer(shared: &Shared, parts: &request::Parts, body: &[u8]) -> Reply {
    match (&parts.method, parts.uri.path()) {
        (&Method::GET, "/_mock/requests") => Reply::json(&json!({"requests": shared.journal.requests()})),
        (&Method::GET, "/_mock/charges") => Reply::json(&json!(shared.journal.charges())),
        (&Method::GET, "/_mock/faults") => Reply::json(&json!({"faults": shared.journal.all_spoilt()})),
        (&Method::GET, "/_mock/webhooks") => Reply::json(&json!({"webhooks": shared.journal.webhooks()})),
        (&Method::GET, "/_mock/streams") => Reply::json(&json!({"open": shared.journal.open_streams()})),
        (&Method::POST, "/_mock/reset") => {
            shared.reset();
            Reply::json(&json!({"reset": true}))
        }
        (&Method::POST, "/_mock/fault") => fault(shared, body),
        (&Method::POST, "/_mock/calm") => {
            shared.chaos.iter().for_each(Chaos::end);
            Reply::json(&json!({"calm": true}))
        }
        (_, "/_mock/private") => {
            // Followed redirects end here: note it, so that a test can say that none did.
            let headers = crate::call::header_texts(&parts.headers);
            let mut entry = shared.journal.open(parts.method.as_str(), "/_mock/private", headers);
            entry.answered(StatusCode::OK.as_u16(), false);
            entry.close(crate::journal::Ending::Complete);
            Reply::json(&json!({"secret": "what only the inside may read"}))
        }
        (method, path) => {
            let known = "GET /_mock/requests, /_mock/charges, /_mock/faults, /_mock/webhooks, /_mock/streams; \
                         POST /_mock/reset, /_mock/fault, /_mock/calm";
            let message = format!("{method} {path} is not offered; use one of: {known}");
            Reply::json_with(StatusCode::NOT_FOUND, &json!({"error": message}))
        }
    }
}

/// `{"fault": "cut", "times": 2}`: spoil the next requests; `"times": 0` takes it back.
fn fault(shared: &Shared, body: &[u8]) -> Reply {
    let wish: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let named = wish["fault"].as_str().ok_or_else(|| "name a \"fault\"".to_owned());
    match named.and_then(|name| name.parse::<Fault>().map_err(|unknown| unknown.to_string())) {
        Ok(fault) => {
            let times = wish["times"].as_u64().unwrap_or(1);
            let told = fault.to_string();
            shared.set_due(fault, times);
            Reply::json(&json!({"fault": told, "times": times}))
        }
        Err(message) => Reply::json_with(StatusCode::BAD_REQUEST, &json!({"error": message})),
    }
}
