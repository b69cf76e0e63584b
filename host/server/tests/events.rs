//! What happens to jobs, told by the running binary: as feeds, also across a kill, and as webhooks to a receiver of the test's.

#[path = "events/feeds.rs"]
mod feeds;
#[path = "events/hidden.rs"]
mod hidden;
#[path = "support/installed.rs"]
mod installed;
#[path = "events/receiver.rs"]
mod receiver;
#[path = "events/sse.rs"]
mod sse;
#[path = "events/webhooks.rs"]
mod webhooks;

use std::time::Duration;

use installed::{Atelier, answered, free_port};
use mock_upstream::MockUpstream;
use serde_json::json;

const PATIENCE: Duration = Duration::from_secs(60);

/// A host with Replicate's plugin as the instance `mock`, and more in its configuration.
async fn start(upstream: &MockUpstream, more: &str) -> Atelier {
    let instance = format!(
        "[[instance]]\nname = \"mock\"\nplugin = \"atelier/replicate\"\nbase_url = \"{}/replicate/v1\"\n\
         private_hosts = [\"{}\"]\nsecrets = {{ api-token = {{ value = \"r8-test-0123456789\" }} }}\n{more}",
        upstream.url(),
        upstream.address(),
    );
    let atelier = Atelier::start(free_port(), "", &instance);
    atelier.install("replicate").await;
    atelier
}

/// Begins a picture; gives the job's id.
async fn begin(atelier: &Atelier) -> String {
    let body =
        json!({"model": "mock/mock/image", "task": "image-generation", "prompt": "a cat called CANARY"});
    let (status, job) =
        answered(atelier.post("/api/v1/generations").json(&body).send().await.expect("answered")).await;
    assert_eq!(status, 202, "{job}");
    job["id"].as_str().expect("an id").to_owned()
}

/// The key of a new user who is no administrator.
async fn stranger(atelier: &Atelier) -> String {
    let made = atelier.post("/api/v1/users").json(&json!({"name": "bob"})).send().await.expect("answered");
    assert_eq!(made.status(), 201);
    let key = json!({"name": "test", "user": "bob", "scopes": ["read", "generate"]});
    let (status, key) =
        answered(atelier.post("/api/v1/keys").json(&key).send().await.expect("answered")).await;
    assert_eq!(status, 201, "{key}");
    key["secret"].as_str().expect("a secret").to_owned()
}
