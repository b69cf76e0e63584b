//! The real binary, serving from a folder of its own with a mock upstream behind it; ended with the test.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mock_upstream::MockUpstream;
use reqwest::{Client, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};

pub const MODEL: &str = "mock/mock-chat";
/// The secret that the instance's provider wants.
pub const SECRET: &str = "sk-test-0123456789";

pub struct Binary {
    child: Child,
    config: PathBuf,
    /// `http://ADDRESS` of the callers' listener and of the operators'.
    pub base: String,
    pub admin: String,
    /// An administrator's key.
    pub key: String,
    pub client: Client,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for Binary {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Binary {
    /// Starts it with the openai plugin as the instance `mock`, its configuration changed.
    pub fn start(upstream: &MockUpstream, change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let dir = folder.path().join("host");
        let init =
            Command::new(env!("CARGO_BIN_EXE_atelier")).arg("init").arg(&dir).output().expect("it runs");
        let printed = String::from_utf8_lossy(&init.stdout).into_owned();
        let key = printed.lines().find_map(|line| line.strip_prefix("key: ")).expect("a key").to_owned();
        let config = dir.join("atelier.toml");
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let text = text.replace("127.0.0.1:8484", "127.0.0.1:0").replace("127.0.0.1:8485", "127.0.0.1:0");
        let (url, address) = (upstream.url(), upstream.address());
        let more = format!(
            "[[plugins.trusted_keys]]\npublisher = \"atelier\"\nkey = \"{}\"\n\
             [[instance]]\nname = \"mock\"\nplugin = \"atelier/openai\"\nbase_url = \"{url}/v1\"\n\
             private_hosts = [\"{address}\"]\nsecrets = {{ api-key = {{ value = \"{SECRET}\" }} }}\n",
            dev_key(),
        );
        std::fs::write(&config, change(format!("{text}\n{more}"))).expect("written");
        let install = Command::new(env!("CARGO_BIN_EXE_atelier"))
            .args(["plugin", "install", "--yes", "--config"])
            .arg(&config)
            .arg(built("openai-0.1.0.wasm"))
            .output()
            .expect("it runs");
        assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stderr));
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        let Served { child, base, admin, log, reader } = Served::start(&config);
        Self { child, config, base, admin, key, client, log, reader: Some(reader), _folder: folder }
    }

    /// Kills it in the middle of whatever it does, and starts it again over what it left.
    #[allow(dead_code, reason = "not every test binary kills its server")]
    pub fn kill_and_restart(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).expect("it runs");
        self.child.wait().expect("it can be waited for");
        self.reader.take().expect("one reader").join().expect("it read to the end");
        let Served { child, base, admin, log, reader } = Served::start(&self.config);
        (self.child, self.base, self.admin, self.log, self.reader) = (child, base, admin, log, Some(reader));
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    pub fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(format!("{}{path}", self.base)).bearer_auth(&self.key)
    }

    pub fn chat(&self, prompt: &str, stream: bool) -> RequestBuilder {
        let messages = serde_json::json!([{"role": "user", "content": prompt}]);
        let body = serde_json::json!({"model": MODEL, "messages": messages, "stream": stream});
        self.post("/v1/chat/completions").json(&body)
    }

    /// One good call, so that the provider's models are known: the next request that it gets is a test's own.
    pub async fn warm(&self) {
        let answer = self.chat("hi", false).send().await.expect("answered");
        assert_eq!(answer.status(), 200, "{}", answer.text().await.unwrap_or_default());
    }

    /// SIGTERM, as a service manager sends it.
    pub fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).expect("it runs");
    }

    /// How it ended, and all that it said. It is to end by itself, in time.
    pub fn ended(mut self, within: Duration) -> (ExitStatus, Vec<String>) {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("it can be asked") {
                break status;
            }
            assert!(begun.elapsed() < within, "it still runs after {within:?}");
            std::thread::sleep(Duration::from_millis(10));
        };
        self.reader.take().expect("one reader").join().expect("it read to the end");
        let log = self.log.lock().expect("no reader panics").clone();
        (status, log)
    }
}

/// The process, and what it says.
struct Served {
    child: Child,
    base: String,
    admin: String,
    log: Arc<Mutex<Vec<String>>>,
    reader: JoinHandle<()>,
}

impl Served {
    fn start(config: &Path) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_atelier"))
            .args(["serve", "--config"])
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut errors = BufReader::new(child.stderr.take().expect("piped")).lines();
        let mut first = Vec::new();
        let told = errors.by_ref().map(|line| line.expect("text")).inspect(|line| first.push(line.clone()));
        let line =
            { told }.find(|line| line.contains("atelier listens on")).expect("it says where it listens");
        let mut addresses = line.split(['(', ')', ' ']).filter(|word| word.starts_with("http://"));
        let mut address = || addresses.next().expect("two addresses").to_owned();
        let (base, admin) = (address(), address());
        let log = Arc::new(Mutex::new(first));
        let lines = log.clone();
        // What it says later is read, so that it never waits for a reader.
        let reader = std::thread::spawn(move || {
            for line in errors.map_while(Result::ok) {
                lines.lock().expect("no reader panics").push(line);
            }
        });
        Self { child, base, admin, log, reader }
    }
}

/// A plugin's file.
pub fn built(name: &str) -> PathBuf {
    let folder = std::env::var_os("ATELIER_PLUGINS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins"), PathBuf::from);
    let file = folder.join(name);
    assert!(file.is_file(), "{} is missing: run `cargo xtask plugins`", file.display());
    file
}

/// The development public key: the second line of its file.
fn dev_key() -> String {
    let file = std::env::var_os("ATELIER_DEV_KEY").expect("ATELIER_DEV_KEY names the development public key");
    let text = std::fs::read_to_string(file).expect("the key");
    text.lines().nth(1).expect("two lines").to_owned()
}
