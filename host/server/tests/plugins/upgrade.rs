//! Two versions of one plugin: the difference shown, the way back, and calls that are running meanwhile.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use futures::StreamExt as _;
use mock_upstream::{Config, MockUpstream};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::{Atelier, answered, openai, replaced};

/// A plugin's file with its signature.
struct Signed {
    component: Vec<u8>,
    signature: String,
}

/// Signs with the author's own tool; gives the signature and the public key.
fn signed(folder: &Path, name: &str, component: Vec<u8>) -> (Signed, String) {
    let file = folder.join(name);
    std::fs::write(&file, &component).expect("written");
    let key = folder.join("publisher");
    let sign = Command::new(env!("CARGO_BIN_EXE_atelier"))
        .args(["plugin", "sign"])
        .arg(&file)
        .arg("--key")
        .arg(&key)
        .output()
        .expect("it runs");
    assert!(sign.status.success(), "{}", String::from_utf8_lossy(&sign.stderr));
    let signature = std::fs::read_to_string(format!("{}.minisig", file.display())).expect("a signature");
    let public = std::fs::read_to_string(format!("{}.pub", key.display())).expect("the public key");
    (Signed { component, signature }, public.lines().nth(1).expect("two lines").to_owned())
}

/// The next version: it wants another download host, and its chats go to an address that the upstream does not have, so that
/// it is seen at once which version answered.
fn next_version(component: &[u8]) -> Vec<u8> {
    let component = replaced(component, b"\"version\":\"0.1.0\"", b"\"version\":\"0.2.0\"");
    let component = replaced(
        &component,
        b"oaidalleapiprodscus.blob.core.windows.net",
        b"oaidalleapiprodsnew.blob.core.windows.net",
    );
    replaced(&component, b"/chat/completions", b"/chat/completionz")
}

impl Atelier {
    /// Inspects, and installs with the consent that was shown.
    async fn installed(&self, plugin: &Signed) -> Value {
        let signature = Some(plugin.signature.as_str());
        let seen = self.send("/api/v1/plugins/inspect", &plugin.component, signature, None).await;
        let (status, seen) = answered(seen).await;
        assert_eq!(status, 200, "{seen}");
        let consent = seen["consent"].as_str();
        let (status, made) =
            answered(self.send("/api/v1/plugins", &plugin.component, signature, consent).await).await;
        assert_eq!(status, 201, "{made}");
        seen
    }

    /// Its chats go to an address that the upstream refuses.
    async fn is_answered_by_the_new_version(&self) {
        let (status, told) = self.chat().await;
        assert!((400..500).contains(&status), "{status}: {told}");
    }

    async fn rolled_back(&self) -> Value {
        let (status, plugin) =
            answered(self.post("/api/v1/plugins/atelier/openai/rollback").send().await.expect("answered"))
                .await;
        assert_eq!(status, 200, "{plugin}");
        plugin
    }
}

#[tokio::test]
async fn an_upgrade_shows_what_changes_and_can_be_taken_back() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let folder = tempfile::tempdir().expect("a folder");
    let (old, key) = signed(folder.path(), "old.wasm", openai().0);
    let (new, _) = signed(folder.path(), "new.wasm", next_version(&old.component));
    let atelier = Atelier::trusting(&upstream, &key);
    let first = atelier.installed(&old).await;
    assert_eq!(first["replaces"], Value::Null);
    assert_eq!(atelier.chat().await.0, 200);

    let seen = atelier.installed(&new).await;
    assert_eq!((&seen["version"], &seen["replaces"]), (&json!("0.2.0"), &json!("0.1.0")));
    let added = "have results fetched from oaidalleapiprodsnew.blob.core.windows.net";
    let dropped = "have results fetched from oaidalleapiprodscus.blob.core.windows.net";
    assert_eq!((&seen["added"], &seen["dropped"]), (&json!([added]), &json!([dropped])));
    atelier.is_answered_by_the_new_version().await;

    let plugin = atelier.rolled_back().await;
    assert_eq!(
        (&plugin["current"]["version"], &plugin["previous"]["version"]),
        (&json!("0.1.0"), &json!("0.2.0"))
    );
    assert_eq!(atelier.chat().await.0, 200, "the old version answers again");
    let plugin = atelier.rolled_back().await;
    assert_eq!(plugin["current"]["version"], "0.2.0", "the way back has a way back");

    // A third version: what can no longer be rolled back to is not kept.
    let third = replaced(&new.component, b"\"version\":\"0.2.0\"", b"\"version\":\"0.3.0\"");
    atelier.installed(&signed(folder.path(), "third.wasm", third).0).await;
    let kept = atelier.folder.path().join("host/data/plugins").read_dir().expect("a folder").count();
    assert_eq!(kept, 2, "the current version and the one before it");
}

#[tokio::test]
async fn a_running_call_ends_on_the_version_it_began_with_while_new_calls_go_to_the_new_one() {
    let config = Config { event_interval_ms: 100, ..Config::default() };
    let upstream = MockUpstream::start(config).await.expect("the upstream");
    let folder = tempfile::tempdir().expect("a folder");
    let (old, key) = signed(folder.path(), "old.wasm", openai().0);
    let (new, _) = signed(folder.path(), "new.wasm", next_version(&old.component));
    let atelier = Atelier::trusting(&upstream, &key);
    // Both are installed and compiled, so that the switch itself is what happens while the call runs.
    atelier.installed(&old).await;
    atelier.installed(&new).await;
    atelier.rolled_back().await;
    assert_eq!(atelier.chat().await.0, 200);

    let words = (0..60).map(|number| format!("w{number}")).collect::<Vec<_>>().join(" ");
    let body = json!({
        "model": "mock/mock-chat",
        "stream": true,
        "messages": [{"role": "user", "content": words}],
    });
    let patient = Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().expect("a client");
    let url = format!("{}/v1/chat/completions", atelier.base);
    let response = patient.post(url).bearer_auth(&atelier.key).json(&body).send().await.expect("answered");
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.bytes_stream();
    let mut heard = Vec::from(stream.next().await.expect("it has begun").expect("bytes"));

    let plugin = atelier.rolled_back().await;
    assert_eq!(plugin["current"]["version"], "0.2.0");
    atelier.is_answered_by_the_new_version().await;
    assert!(!String::from_utf8_lossy(&heard).contains("[DONE]"), "the old call is still running");
    while let Some(bytes) = stream.next().await {
        heard.extend_from_slice(&bytes.expect("the old call is not cut off"));
    }
    let heard = String::from_utf8(heard).expect("text");
    let text: String = heard
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .filter_map(|event| event["choices"][0]["delta"]["content"].as_str().map(str::to_owned))
        .collect();
    assert_eq!(text, format!("Hello from the mock: {words}"));
    assert!(heard.trim_end().ends_with("data: [DONE]"), "{heard}");
}
