//! The host that is tortured, and the providers behind it.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;
use toml::{Table, Value};

use super::client::{Client, Sent};
use crate::{
    cache::{Cache, write_private},
    demo::config::{Limit, Settings},
    dev_key,
    host::{self, Host},
    mock::Mock,
    plugins,
    workspace::Workspace,
};

/// Plugins of the providers.
pub const PLUGINS: [&str; 3] = ["openai", "replicate", "hostile"];
/// The one of instances whose provider takes an idempotency key.
pub const STEADY: &str = "steady";
/// Providers take a moment to answer what they charged for, in which many a kill falls.
const MOCK: [&str; 6] =
    ["--charged-answer-delay-ms", "60", "--event-interval-ms", "10", "--polls-to-finish", "2"];
const WEBHOOK_SECRET: &str = "whsec_bW9jay11cHN0cmVhbS13ZWJob29rLXNlY3JldA==";
const SECRET: &str = "sk-torture-0123456789";
const CLASSES: [&str; 4] = ["chat", "generation", "status", "administration"];
/// Below what is sent at times, so that jobs wait for their turn.
const RUNNING_PER_USER: i64 = 12;
/// More than any run sends.
const FREE: i64 = 1_000_000_000;

/// A folder with a host in it, and a mock upstream that runs.
#[derive(Debug)]
pub struct Site {
    binary: PathBuf,
    config: PathBuf,
    scratch: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
    key: String,
    mock: Mock,
}

impl Site {
    /// Set up; the host does not run yet.
    pub fn new(workspace: &Workspace, cache: &Cache, binaries: &Path) -> Result<Self> {
        let scratch = workspace.target().join("torture");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
        }
        fs::create_dir_all(&scratch)?;
        let binary = binaries.join("atelier");
        let mock = Mock::start(&binaries.join("mock-upstream"), &MOCK)?;
        let dir = scratch.join("host");
        let key = host::init(&binary, &dir)?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listen, admin) = (host::free_address(any)?, host::free_address(any)?);
        let trusted_key = dev_key::open(cache)?.pair.pk.to_base64();
        let limits = CLASSES.map(|class| Limit { class, requests: FREE, seconds: 60 }).into();
        let config =
            Settings { listen, admin, trusted_key, instances: Vec::new(), limits, receivers: Vec::new() }
                .write(&dir)?;
        let written = fs::read_to_string(&config)?;
        write_private(&config, complete(&written, listen, mock.address())?.as_bytes())?;
        for name in PLUGINS {
            let file = plugins::file(workspace, name)?;
            ensure!(file.is_file(), "{} is missing: run `cargo xtask plugins {name}`", file.display());
            host::install(&binary, &config, &file)?;
        }
        Ok(Self { binary, config, scratch, listen, admin, key, mock })
    }

    /// Start the host for the `life`th time, and wait until it is ready.
    pub fn start(&self, life: u32, interrupted: &AtomicBool) -> Result<Host> {
        let log = self.scratch.join(format!("host-{life}.log"));
        Host::launch(&self.binary, &self.config, &log)?.until_ready(&log, self.admin, interrupted)
    }

    /// Where the host's API is.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Where data and logs are.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// The root of the mock upstream.
    pub fn mock_url(&self) -> String {
        self.mock.url()
    }

    /// The administrator's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Keys of the users that send requests: the administrator's and two others'.
    pub fn users(&self) -> Result<Vec<String>> {
        let client = Client::new(self.listen);
        let mut keys = vec![self.key.clone()];
        for name in ["ada", "bob"] {
            client.post("/api/v1/users", &self.key, None, &json!({"name": name})).expect(201)?;
            let wanted = json!({"name": "torture", "scopes": ["read", "generate"], "user": name});
            let made = client.post("/api/v1/keys", &self.key, None, &wanted).expect(201)?;
            keys.push(made["secret"].as_str().context("a key has a secret")?.to_owned());
        }
        Ok(keys)
    }

    /// A page of the operators' listener.
    pub fn metrics(&self) -> Sent {
        Client::new(self.admin).get("/metrics", &self.key)
    }
}

/// The configuration with the three instances in it, and an address for callbacks.
fn complete(written: &str, listen: SocketAddr, mock: SocketAddr) -> Result<String> {
    let mut document: Table = toml::from_str(written).context("the configuration is not valid TOML")?;
    let section = |document: &mut Table, name: &str, key: &str, value: Value| -> Result<()> {
        let section = document.entry(name).or_insert_with(|| Value::Table(Table::new()));
        section.as_table_mut().context("a section is no table")?.insert(key.to_owned(), value);
        Ok(())
    };
    section(&mut document, "server", "public_url", format!("http://{listen}").into())?;
    section(&mut document, "log", "level", "warn".into())?;
    section(&mut document, "local", "enabled", false.into())?;
    section(&mut document, "jobs", "running_per_user", RUNNING_PER_USER.into())?;
    let instances = [
        (
            "calls",
            "atelier/replicate",
            "/replicate/v1",
            vec![("api-token", SECRET), ("webhook-secret", WEBHOOK_SECRET)],
        ),
        ("polls", "atelier/openai", "/v1", vec![("api-key", SECRET)]),
        (STEADY, "dev/hostile", "/v1", vec![("api-key", SECRET)]),
    ];
    let instances = instances.into_iter().map(|(name, plugin, path, secrets)| {
        let secrets = secrets.into_iter().map(|(secret, value)| {
            (secret.to_owned(), Value::Table(Table::from_iter([("value".to_owned(), value.into())])))
        });
        Value::Table(Table::from_iter([
            ("name".to_owned(), name.into()),
            ("plugin".to_owned(), plugin.into()),
            ("base_url".to_owned(), format!("http://{mock}{path}").into()),
            ("private_hosts".to_owned(), Value::Array(vec![mock.to_string().into()])),
            ("secrets".to_owned(), Value::Table(secrets.collect())),
        ]))
    });
    document.insert("instance".to_owned(), Value::Array(instances.collect()));
    Ok(document.to_string())
}
