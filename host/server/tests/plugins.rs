//! Plugins installed into the running binary, over its API.

use std::process::{Child, Command};
use std::time::Duration;

use mock_upstream::{Config, MockUpstream};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

#[path = "support/served.rs"]
mod served;
#[path = "plugins/upgrade.rs"]
mod upgrade;

use served::{Log, Prepared, Served, built, dev_key, on_free_ports, prepared};

/// The binary, serving from a folder of its own; ended with the test.
struct Atelier {
    child: Child,
    base: String,
    key: String,
    client: Client,
    folder: tempfile::TempDir,
}

impl Drop for Atelier {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openai() -> (Vec<u8>, String) {
    let component = std::fs::read(built("openai-0.1.0.wasm")).expect("the plugin");
    let signature = std::fs::read_to_string(built("openai-0.1.0.wasm.minisig")).expect("its signature");
    (component, signature)
}

impl Atelier {
    fn start(upstream: &MockUpstream) -> Self {
        Self::trusting(upstream, &dev_key())
    }

    /// With plugins of `atelier`'s signed by this public key.
    fn trusting(upstream: &MockUpstream, key: &str) -> Self {
        let more = format!(
            "{}[[instance]]\nname = \"mock\"\nplugin = \"atelier/openai\"\nbase_url = \"{}/v1\"\n\
             private_hosts = [\"{}\"]\nsecrets = {{ api-key = {{ value = \"sk-test-0123456789\" }} }}\n",
            served::trusting(key),
            upstream.url(),
            upstream.address(),
        );
        let Prepared { folder, config, key } = prepared(|text| format!("{}\n{more}", on_free_ports(&text)));
        let Served { child, base, .. } = Served::start(&config, &[], &Log::default());
        let client =
            Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().expect("a client");
        Self { child, base, key, client, folder }
    }

    fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    async fn send(
        &self,
        path: &str,
        component: &[u8],
        signature: Option<&str>,
        consent: Option<&str>,
    ) -> Response {
        let mut form =
            Form::new().part("component", Part::bytes(component.to_vec()).file_name("plugin.wasm"));
        for (name, text) in [("signature", signature), ("consent", consent)] {
            if let Some(text) = text {
                form = form.text(name, text.to_owned());
            }
        }
        self.post(path).multipart(form).send().await.expect("answered")
    }

    async fn chat(&self) -> (u16, Value) {
        let body = json!({"model": "mock/mock-chat", "messages": [{"role": "user", "content": "hi"}]});
        answered(self.post("/v1/chat/completions").json(&body).send().await.expect("answered")).await
    }
}

async fn answered(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

#[tokio::test]
async fn a_plugin_is_installed_used_disabled_and_removed_while_the_server_runs() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Atelier::start(&upstream);
    assert_eq!(atelier.chat().await.0, 404, "its plugin is not installed");
    let (component, signature) = openai();

    let (status, seen) =
        answered(atelier.send("/api/v1/plugins/inspect", &component, Some(&signature), None).await).await;
    assert_eq!(status, 200, "{seen}");
    assert!(seen["permissions"].to_string().contains("use the secret api-key as a bearer token"), "{seen}");
    let consent = seen["consent"].as_str().expect("a token");

    let (status, refused) =
        answered(atelier.send("/api/v1/plugins", &component, Some(&signature), None).await).await;
    assert_eq!(status, 400, "{refused}");
    assert!(refused.to_string().contains("/api/v1/plugins/inspect"), "{refused}");

    let (status, made) =
        answered(atelier.send("/api/v1/plugins", &component, Some(&signature), Some(consent)).await).await;
    assert_eq!(status, 201, "{made}");
    let (status, answer) = atelier.chat().await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["choices"][0]["message"]["content"], "Hello from the mock: hi");

    let again = atelier.send("/api/v1/plugins", &component, Some(&signature), Some(consent)).await;
    assert_eq!(again.status(), 409);
    let change = |verb: &str| atelier.post(&format!("/api/v1/plugins/atelier/openai/{verb}")).send();
    assert_eq!(change("rollback").await.expect("answered").status(), 400, "there is no previous version");
    assert_eq!(change("disable").await.expect("answered").status(), 200);
    assert_eq!(atelier.chat().await.0, 404);
    let listed = answered(atelier.get("/api/v1/plugins").send().await.expect("answered")).await.1;
    assert!(listed["problems"]["mock"].as_str().expect("a problem").contains("disabled"), "{listed}");
    assert_eq!(change("enable").await.expect("answered").status(), 200);
    assert_eq!(atelier.chat().await.0, 200);
    assert_eq!(change("remove").await.expect("answered").status(), 204);
    assert_eq!(atelier.chat().await.0, 404);
}

#[tokio::test]
async fn files_that_are_not_trusted_or_no_plugins_are_refused_and_leave_nothing_behind() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Atelier::start(&upstream);
    let (component, signature) = openai();
    let mut tampered = component.clone();
    *tampered.last_mut().expect("bytes") ^= 1;
    let text = String::from_utf8_lossy(b"atelier:provider/catalog@0.1.0").into_owned();
    let other = replaced(&component, text.as_bytes(), b"atelier:provider/catalog@0.9.0");

    for (what, file, signature, says) in [
        ("unsigned", component.as_slice(), None, "not signed"),
        ("tampered", &tampered, Some(signature.as_str()), ""),
        ("another version", &other, Some(&signature), "0.9.0"),
        ("corrupt", &component[..component.len() / 2], Some(&signature), "not a valid WebAssembly component"),
        ("no component", b"\0asm\x01\0\0\0", None, "core WebAssembly module"),
        ("no signature at all", &component, Some("nonsense"), "does not fit"),
    ] {
        let (status, told) =
            answered(atelier.send("/api/v1/plugins/inspect", file, signature, None).await).await;
        assert_eq!(status, 400, "{what}: {told}");
        assert!(told.to_string().contains(says), "{what}: {told}");
        let installed = atelier.send("/api/v1/plugins", file, signature, Some("whatever")).await;
        assert_eq!(installed.status(), 400, "{what}");
    }
    let listed = answered(atelier.get("/api/v1/plugins").send().await.expect("answered")).await.1;
    assert_eq!(listed["data"], json!([]));
    let kept = atelier.folder.path().join("host/data/plugins");
    assert!(!kept.exists() || kept.read_dir().expect("a folder").next().is_none(), "nothing is kept");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_asks_the_running_server() {
    let upstream = MockUpstream::start(Config::default()).await.expect("the upstream");
    let atelier = Atelier::start(&upstream);
    let dir = atelier.folder.path().join("host");
    let text = std::fs::read_to_string(dir.join("atelier.toml")).expect("the configuration");
    let address = atelier.base.strip_prefix("http://").expect("an address");
    // The port was the system's choice; a real configuration names it.
    let config = dir.join("running.toml");
    std::fs::write(&config, text.replacen("127.0.0.1:0", address, 1)).expect("written");
    let file = built("openai-0.1.0.wasm");
    let run = |arguments: &[&str], key: Option<&str>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.arg("plugin").args(arguments).arg("--config").arg(&config).env_remove("ATELIER_KEY");
        let output = command.envs(key.map(|key| ("ATELIER_KEY", key))).output().expect("it runs");
        let told = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&told).into_owned())
    };
    let key = Some(atelier.key.as_str());
    let file = file.to_str().expect("a path");
    let (refused, told) = run(&["list"], None);
    assert!(!refused && told.contains("set ATELIER_KEY"), "{told}");
    let (installed, told) = run(&["install", file, "--yes"], key);
    assert!(installed && told.contains("use the secret api-key as a bearer token"), "{told}");
    assert_eq!(atelier.chat().await.0, 200, "the server has it at once");
    let (again, told) = run(&["install", file, "--yes"], key);
    assert!(again && told.contains("is installed already"), "{told}");
    assert!(run(&["disable", "atelier/openai"], key).1.contains("atelier/openai 0.1.0 disabled"));
    assert_eq!(atelier.chat().await.0, 404);
    assert!(run(&["list"], key).1.contains("atelier/openai 0.1.0 disabled"));
    assert!(!run(&["rollback", "atelier/openai"], key).0, "there is no previous version");
    assert!(run(&["remove", "atelier/openai"], key).0);
    assert_eq!(run(&["list"], key), (true, String::new()));
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = out[at..].windows(from.len()).position(|window| window == from) {
        out[at + found..at + found + to.len()].copy_from_slice(to);
        at += found + to.len();
    }
    out
}
