//! The host that is tortured, the providers behind it, and its users.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::AtomicBool,
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    client::{Client, Name, Sent},
    receiver::Receiver,
    settings,
};
use crate::{
    cache::{Cache, write_private},
    demo::config::{Limit, Settings},
    dev_key,
    host::{self, Host},
    mock::Mock,
    plugins, process,
    workspace::Workspace,
};

/// Plugins of the providers.
pub const PLUGINS: [&str; 3] = ["openai", "replicate", "hostile"];
/// The user who is granted little at a time.
pub const POOR: &str = "bob";
/// What the others are granted: more than any run takes.
const PLENTY: u64 = 1_000_000_000_000;
/// Providers take a moment to answer what they charged for, in which many a kill falls.
const MOCK: [&str; 6] =
    ["--charged-answer-delay-ms", "60", "--event-interval-ms", "10", "--polls-to-finish", "2"];
const CLASSES: [&str; 5] = ["chat", "generation", "status", "administration", "analytics"];
/// More than any run sends.
const FREE: i64 = 1_000_000_000;

/// Who sends requests.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub key: String,
    /// Granted little at a time, so that credits run out.
    pub is_poor: bool,
}

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
    /// Set up; the host does not run yet. `seed` is that of the providers' faults.
    pub fn new(
        workspace: &Workspace,
        cache: &Cache,
        binaries: &Path,
        seed: u64,
        receiver: SocketAddr,
    ) -> Result<Self> {
        let scratch = workspace.target().join("torture");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).with_context(|| format!("cannot remove {}", scratch.display()))?;
        }
        fs::create_dir_all(&scratch)?;
        let binary = binaries.join("atelier");
        let seed = seed.to_string();
        let mock = [&MOCK[..], &["--chaos", &seed]].concat();
        let mock = Mock::start(&binaries.join("mock-upstream"), &mock)?;
        let dir = scratch.join("host");
        let key = host::init(&binary, &dir)?;
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let (listen, admin) = (host::free_address(any)?, host::free_address(any)?);
        let trusted_key = dev_key::open(cache)?.pair.pk.to_base64();
        let limits = CLASSES.map(|class| Limit { class, requests: FREE, seconds: 60 }).into();
        let config = Settings {
            listen,
            admin,
            trusted_key,
            instances: Vec::new(),
            limits,
            receivers: vec![receiver],
            others: vec![("server", "public_url", format!("http://{listen}").into())],
            prices: Vec::new(),
            mail: None,
        }
        .write(&dir)?;
        let written = fs::read_to_string(&config)?;
        write_private(&config, settings::complete(&written, mock.address())?.as_bytes())?;
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

    /// A client of its API.
    pub fn client(&self) -> Client {
        Client::new(self.listen)
    }

    /// Where the host's API is.
    pub fn address(&self) -> SocketAddr {
        self.listen
    }

    /// Where data and logs are.
    pub fn scratch(&self) -> &Path {
        &self.scratch
    }

    /// A client of the mock upstream.
    pub fn upstream(&self) -> Client {
        Client::new(self.mock.address())
    }

    /// The administrator's key.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The users that send requests, the administrator first, each with an endpoint for webhooks at the receiver and, but for the poor
    /// one, with credits.
    pub fn users(&self, receiver: &Receiver) -> Result<Vec<User>> {
        let client = self.client();
        let admin = client.get("/api/v1/users", &self.key).expect(200)?;
        let admin = admin["data"][0]["name"].as_str().context("there is an administrator")?.to_owned();
        let mut users = vec![User { name: admin, key: self.key.clone(), is_poor: false }];
        for name in ["ada", POOR] {
            client.post("/api/v1/users", &self.key, Name::None, &json!({"name": name})).expect(201)?;
            let wanted = json!({"name": "torture", "scopes": ["read", "generate"], "user": name});
            let made = client.post("/api/v1/keys", &self.key, Name::None, &wanted).expect(201)?;
            let key = made["secret"].as_str().context("a key has a secret")?.to_owned();
            users.push(User { name: name.to_owned(), key, is_poor: name == POOR });
        }
        for (place, user) in users.iter().enumerate() {
            let events = ["queued", "processing", "progress", "succeeded", "failed", "canceled"];
            let wanted = json!({"url": receiver.url(place), "description": "torture",
                "events": events.map(|event| format!("generation.{event}"))});
            let path = "/api/v1/webhook-endpoints";
            let made = client.post(path, &user.key, Name::None, &wanted).expect(201)?;
            receiver.expect(place, made["secret"].as_str().context("an endpoint has a secret")?)?;
            if !user.is_poor {
                self.grant(user)?;
            }
        }
        Ok(users)
    }

    /// Grant a user plenty, on the command line.
    pub fn grant(&self, user: &User) -> Result<()> {
        let mut grant = Command::new(&self.binary);
        grant.args(["credit", "grant", "--user", &user.name, "--amount", &PLENTY.to_string(), "--config"]);
        process::capture(grant.arg(&self.config).env("ATELIER_KEY", &self.key)).map(drop)
    }

    /// `atelier credit audit`: what it prints, and whether it says that nothing is wrong. The host must not run.
    pub fn audit(&self) -> Result<(String, bool)> {
        let mut audit = Command::new(&self.binary);
        let output = audit.args(["credit", "audit", "--config"]).arg(&self.config).output()?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(!printed.is_empty(), "no audit: {}", String::from_utf8_lossy(&output.stderr));
        Ok((printed, output.status.success()))
    }

    /// Let the providers fail no more.
    pub fn calm(&self) -> Result<()> {
        self.upstream().post("/_mock/calm", "", Name::None, &json!({})).expect(200).map(drop)
    }

    /// A page of the operators' listener.
    pub fn metrics(&self) -> Sent {
        Client::new(self.admin).get("/metrics", &self.key)
    }
}
