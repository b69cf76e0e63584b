//! A server of its own for a test: real listener, real store, a folder that removes itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use atelier_domain::account::{Role, Scope};
use atelier_domain::provider::Provider;
use atelier_server::app::Running;
use atelier_server::config::{Config, template};
use reqwest::{Client, RequestBuilder, Response};
use serde_json::Value;

pub struct TestHost {
    running: Option<Running>,
    pub client: Client,
    /// An administrator's key.
    pub key: String,
    _folder: tempfile::TempDir,
}

impl TestHost {
    /// A server with the in-house model configured and nothing else.
    pub async fn start() -> Self {
        Self::with("").await
    }

    /// With more in its configuration file.
    pub async fn with(more: &str) -> Self {
        Self::edited(|text| format!("{text}\n{more}")).await
    }

    /// With its configuration file changed.
    pub async fn edited(change: impl FnOnce(String) -> String) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = config(folder.path(), change);
        let running = Running::start(config).await.expect("it starts");
        let accounts = &running.app.accounts;
        let admin = accounts.create_user("admin", Role::Administrator).await.expect("a user");
        let key = accounts.create_key(admin.id, "test", Scope::ALL.to_vec(), None).await.expect("a key");
        let key = key.secret.reveal().to_owned();
        let client =
            Client::builder().no_proxy().timeout(Duration::from_secs(120)).build().expect("a client");
        Self { running: Some(running), client, key, _folder: folder }
    }

    /// Adds a provider as an instance.
    #[allow(dead_code, reason = "not every test binary has providers of its own")]
    pub async fn put(&self, name: &str, provider: Arc<dyn Provider>) {
        self.running().app.registry.put(&name.parse().expect("a name"), provider).await;
    }

    pub fn running(&self) -> &Running {
        self.running.as_ref().expect("it runs until the test ends")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.running().address)
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).bearer_auth(&self.key)
    }

    pub fn post(&self, path: &str, body: &Value) -> RequestBuilder {
        self.client.post(self.url(path)).bearer_auth(&self.key).json(body)
    }

    /// A key of a new user who is no administrator.
    pub async fn user_key(&self, name: &str, scopes: &[Scope]) -> String {
        let accounts = &self.running().app.accounts;
        let user = accounts.create_user(name, Role::User).await.expect("a user");
        let key = accounts.create_key(user.id, "test", scopes.to_vec(), None).await.expect("a key");
        key.secret.reveal().to_owned()
    }

    pub async fn stop(mut self) {
        self.running.take().expect("it runs").stop().await;
    }
}

pub fn config(folder: &Path, change: impl FnOnce(String) -> String) -> Config {
    let path = folder.join("atelier.toml");
    let text =
        template::TEXT.replace("127.0.0.1:8484", "127.0.0.1:0").replace("127.0.0.1:8485", "127.0.0.1:0");
    std::fs::write(&path, change(text)).expect("the file is written");
    Config::load(&path).expect("a good configuration")
}

/// The body of an answer with this status.
pub async fn json(response: Response, status: u16) -> Value {
    let found = response.status().as_u16();
    let text = response.text().await.expect("a body");
    assert_eq!(found, status, "{text}");
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// What changes from run to run, replaced.
pub fn stable(mut value: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(members) => {
                for (name, member) in members.iter_mut() {
                    match name.as_str() {
                        "id" | "request_id"
                            if member.is_string() && !member.as_str().is_some_and(|id| id.contains('/')) =>
                        {
                            *member = "[id]".into();
                        }
                        "created" | "time" => *member = "[time]".into(),
                        _ => walk(member),
                    }
                }
            }
            Value::Array(items) => items.iter_mut().for_each(walk),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    walk(&mut value);
    value
}
