//! The binary itself, serving from a folder of its own, with plugins installed over its API.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A running server; ended with the test.
pub struct Atelier {
    child: Child,
    pub base: String,
    /// Where operators reach it.
    pub admin: String,
    /// An administrator's.
    pub key: String,
    pub client: Client,
    config: PathBuf,
    environment: &'static [(&'static str, &'static str)],
    /// What it said on standard error.
    log: Arc<Mutex<Vec<u8>>>,
    _folder: tempfile::TempDir,
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

/// A plugin's file and its signature.
fn plugin(name: &str) -> (Vec<u8>, String) {
    let component = std::fs::read(built(&format!("{name}-0.1.0.wasm"))).expect("the plugin");
    let signature = built(&format!("{name}-0.1.0.wasm.minisig"));
    (component, std::fs::read_to_string(signature).expect("its signature"))
}

/// The development public key: the second line of its file.
fn dev_key() -> String {
    let file = std::env::var_os("ATELIER_DEV_KEY").expect("ATELIER_DEV_KEY names the development public key");
    let text = std::fs::read_to_string(file).expect("the key");
    text.lines().nth(1).expect("two lines").to_owned()
}

fn client() -> Client {
    Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().expect("a client")
}

/// A port of this machine that is free at the moment.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
    listener.local_addr().expect("bound").port()
}

impl Atelier {
    /// Starts it on `port`, with more at the end of its configuration and `server` in its section `[server]`.
    pub fn start(port: u16, server: &str, more: &str) -> Self {
        Self::start_in(&[], port, server, more)
    }

    /// The same, with variables of its environment, which come before its configuration.
    pub fn start_in(
        environment: &'static [(&'static str, &'static str)],
        port: u16,
        server: &str,
        more: &str,
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("host");
        let init =
            Command::new(env!("CARGO_BIN_EXE_atelier")).arg("init").arg(&dir).output().expect("it runs");
        let printed = String::from_utf8_lossy(&init.stdout).into_owned();
        let key = printed.lines().find_map(|line| line.strip_prefix("key: ")).expect("a key").to_owned();
        let config = dir.join("atelier.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let listen = format!("127.0.0.1:{port}\"\n{server}\n#\"");
        let text = text.replace("127.0.0.1:8484\"", &listen).replace("127.0.0.1:8485", "127.0.0.1:0");
        let keys = format!("[[plugins.trusted_keys]]\npublisher = \"atelier\"\nkey = \"{}\"\n", dev_key());
        std::fs::write(&config, format!("{text}\n{keys}{more}")).expect("written");
        let log = Arc::default();
        let (child, base, admin) = Self::serve(&config, environment, &log);
        Self { child, base, admin, key, client: client(), config, environment, log, _folder: folder }
    }

    /// Starts the server; gives where callers and operators reach it.
    fn serve(
        config: &Path,
        environment: &[(&str, &str)],
        log: &Arc<Mutex<Vec<u8>>>,
    ) -> (Child, String, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_atelier"))
            .args(["serve", "--config"])
            .arg(config)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("piped"));
        let mut told = errors.by_ref().lines().map(|line| line.expect("text"));
        let line = told.find(|line| line.contains("listens on")).expect("it says where it listens");
        let mut urls = line.split([' ', ')']).filter(|word| word.starts_with("http://"));
        let base = urls.next().expect("an address").to_owned();
        let admin = urls.next().expect("the operators' address").to_owned();
        // What it says later is read, so that it never waits for a reader.
        let log = log.clone();
        std::thread::spawn(move || {
            for line in errors.split(b'\n').map_while(Result::ok) {
                log.lock().expect("no panic").extend_from_slice(&[&line, b"\n".as_slice()].concat());
            }
        });
        (child, base, admin)
    }

    /// SIGKILL, whatever it is doing.
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("waited");
    }

    /// Ends it as a service manager does; gives all that it said.
    #[allow(dead_code, reason = "not every test binary looks at the log")]
    pub fn end(&mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
        self.child.wait().expect("waited");
        // The reader lets go of the log when it has read it whole.
        while Arc::strong_count(&self.log) > 1 {
            std::thread::yield_now();
        }
        String::from_utf8_lossy(&self.log.lock().expect("no panic")).into_owned()
    }

    /// Starts it again after it was killed, on what it left.
    pub fn restart(&mut self) {
        (self.child, self.base, self.admin) = Self::serve(&self.config, self.environment, &self.log);
        // The connections that the old one kept are dead.
        self.client = client();
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    /// Sends a plugin's file to a route that takes one.
    async fn send(&self, path: &str, component: &[u8], signature: &str, consent: Option<&str>) -> Response {
        let mut form = Form::new()
            .part("component", Part::bytes(component.to_vec()).file_name("plugin.wasm"))
            .text("signature", signature.to_owned());
        if let Some(consent) = consent {
            form = form.text("consent", consent.to_owned());
        }
        self.post(path).multipart(form).send().await.expect("answered")
    }

    /// Installs one of this repository's plugins, whatever it asks for.
    pub async fn install(&self, name: &str) {
        let (component, signature) = plugin(name);
        let inspected = self.send("/api/v1/plugins/inspect", &component, &signature, None).await;
        let (status, seen) = answered(inspected).await;
        assert_eq!(status, 200, "{seen}");
        let consent = seen["consent"].as_str().expect("a token");
        let (status, made) =
            answered(self.send("/api/v1/plugins", &component, &signature, Some(consent)).await).await;
        assert_eq!(status, 201, "{made}");
    }
}

/// An answer's status and body.
pub async fn answered(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
