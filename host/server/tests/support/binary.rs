//! The real binary, serving from a folder of its own with a mock upstream behind it; ended with the test.

#[path = "served.rs"]
mod served;

use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mock_upstream::MockUpstream;
use reqwest::{Client, RequestBuilder};
use rustix::process::{Pid, Signal, kill_process};

pub use served::built;
#[allow(unused_imports, reason = "not every test binary trusts more")]
pub use served::dev_key;
use served::{Log, Prepared, Served, on_free_ports, prepared, trusting};

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
    log: Log,
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
        Self::with_plugins(upstream, &[], change)
    }

    /// The same, with more plugins installed, by their files' names.
    pub fn with_plugins(
        upstream: &MockUpstream,
        more: &[&str],
        change: impl FnOnce(String) -> String,
    ) -> Self {
        let (url, address) = (upstream.url(), upstream.address());
        let instance = format!(
            "{}[[instance]]\nname = \"mock\"\nplugin = \"atelier/openai\"\nbase_url = \"{url}/v1\"\n\
             private_hosts = [\"{address}\"]\nsecrets = {{ api-key = {{ value = \"{SECRET}\" }} }}\n",
            trusting(&dev_key()),
        );
        let Prepared { folder, config, key } =
            prepared(|text| change(format!("{}\n{instance}", on_free_ports(&text))));
        for plugin in ["openai-0.1.0.wasm"].iter().chain(more) {
            let install = Command::new(env!("CARGO_BIN_EXE_atelier"))
                .args(["plugin", "install", "--yes", "--config"])
                .arg(&config)
                .arg(built(plugin))
                .output()
                .expect("it runs");
            assert!(install.status.success(), "{}", String::from_utf8_lossy(&install.stderr));
        }
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(60)).build().expect("a client");
        let log = Log::default();
        let Served { child, base, admin, reader } = Served::start(&config, &[], &log);
        Self { child, config, base, admin, key, client, log, reader: Some(reader), _folder: folder }
    }

    /// Kills it in the middle of whatever it does, and starts it again over what it left.
    #[allow(dead_code, reason = "not every test binary kills its server")]
    pub fn kill_and_restart(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::KILL).expect("it runs");
        self.child.wait().expect("it can be waited for");
        self.reader.take().expect("one reader").join().expect("it read to the end");
        self.log = Log::default();
        let Served { child, base, admin, reader } = Served::start(&self.config, &[], &self.log);
        (self.child, self.base, self.admin, self.reader) = (child, base, admin, Some(reader));
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

    /// Where content lies that was stored as it is.
    #[allow(dead_code, reason = "not every test binary looks for content")]
    pub fn blob(&self, content: &[u8]) -> PathBuf {
        let name = blake3::hash(content).to_hex();
        let folder = self.config.parent().expect("a file lies in a folder");
        folder.join("data/blobs").join(&name[..2]).join(&name[2..])
    }

    /// Runs a verb of the command line on the same configuration.
    #[allow(dead_code, reason = "not every test binary asks the command line")]
    pub fn verb(&self, arguments: &[&str]) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_atelier"));
        command.args(arguments).arg("--config").arg(&self.config).output().expect("it runs")
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
