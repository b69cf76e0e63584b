//! Plugins installed into the running binary, over its API.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mock_upstream::{Config, MockUpstream};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};

#[path = "plugins/upgrade.rs"]
mod upgrade;

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

fn built(name: &str) -> PathBuf {
    let folder = std::env::var_os("ATELIER_PLUGINS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"), PathBuf::from);
    let file = folder.join(name);
    assert!(file.is_file(), "{} is missing: run `cargo xtask plugins`", file.display());
    file
}

fn openai() -> (Vec<u8>, String) {
    let component = std::fs::read(built("openai-0.1.0.wasm")).expect("the plugin");
    let signature = std::fs::read_to_string(built("openai-0.1.0.wasm.minisig")).expect("its signature");
    (component, signature)
}

/// The development public key: the second line of its file.
fn dev_key() -> String {
    let file = std::env::var_os("ATELIER_DEV_KEY").expect("ATELIER_DEV_KEY names the development public key");
    let text = std::fs::read_to_string(file).expect("the key");
    text.lines().nth(1).expect("two lines").to_owned()
}

impl Atelier {
    fn start(upstream: &MockUpstream) -> Self {
        Self::trusting(upstream, &dev_key())
    }

    /// With plugins of `atelier`'s signed by this public key.
    fn trusting(upstream: &MockUpstream, key: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("host");
        let init =
            Command::new(env!("CARGO_BIN_EXE_atelier")).arg("init").arg(&dir).output().expect("it runs");
        let printed = String::from_utf8_lossy(&init.stdout).into_owned();
        let admin = printed.lines().find_map(|line| line.strip_prefix("key: ")).expect("a key").to_owned();
        let config = dir.join("atelier.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let text = text.replace("127.0.0.1:8484", "127.0.0.1:0").replace("127.0.0.1:8485", "127.0.0.1:0");
        let more = format!(
            "[[plugins.trusted_keys]]\npublisher = \"atelier\"\nkey = \"{}\"\n\
             [[instance]]\nname = \"mock\"\nplugin = \"atelier/openai\"\nbase_url = \"{}/v1\"\n\
             private_hosts = [\"{}\"]\nsecrets = {{ api-key = {{ value = \"sk-test-0123456789\" }} }}\n",
            key,
            upstream.url(),
            upstream.address(),
        );
        std::fs::write(&config, format!("{text}\n{more}")).expect("written");
        let mut child = Command::new(env!("CARGO_BIN_EXE_atelier"))
            .args(["serve", "--config"])
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("piped"));
        let mut told = errors.by_ref().lines().map(|line| line.expect("text"));
        let line = told.find(|line| line.contains("listens on")).expect("it says where it listens");
        let base =
            line.split_whitespace().find(|word| word.starts_with("http://")).expect("an address").to_owned();
        // What it says later is read, so that it never waits for a reader.
        std::thread::spawn(move || errors.read_to_end(&mut Vec::new()));
        let client =
            Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().expect("a client");
        Self { child, base, key: admin, client, folder }
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
