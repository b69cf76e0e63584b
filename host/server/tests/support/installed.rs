//! The binary itself, serving from a folder of its own, with plugins installed over its API.

#[path = "served.rs"]
mod served;

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Child;
use std::thread::JoinHandle;
use std::time::Duration;

use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, Response};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use served::{Log, Prepared, Served, built, dev_key, on_free_ports, prepared, trusting};

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
    log: Log,
    reader: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

impl Drop for Atelier {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A plugin's file and its signature.
pub fn plugin(name: &str) -> (Vec<u8>, String) {
    let component = std::fs::read(built(&format!("{name}-0.1.0.wasm"))).expect("the plugin");
    let signature = built(&format!("{name}-0.1.0.wasm.minisig"));
    (component, std::fs::read_to_string(signature).expect("its signature"))
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
        let listen = format!("127.0.0.1:{port}\"\n{server}\n#\"");
        let keys = trusting(&dev_key());
        let Prepared { folder, config, key } = prepared(|text| {
            let text = text.replace("127.0.0.1:8484\"", &listen);
            format!("{}\n{keys}{more}", on_free_ports(&text))
        });
        let log = Log::default();
        let Served { child, base, admin, reader } = Served::start(&config, environment, &log);
        let reader = Some(reader);
        Self { child, base, admin, key, client: client(), config, environment, log, reader, _folder: folder }
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
        self.reader.take().expect("one reader").join().expect("it read to the end");
        self.log.lock().expect("no reader panics").join("\n")
    }

    /// Starts it again after it was killed, on what it left.
    pub fn restart(&mut self) {
        let Served { child, base, admin, reader } = Served::start(&self.config, self.environment, &self.log);
        (self.child, self.base, self.admin, self.reader) = (child, base, admin, Some(reader));
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
