//! The host under measurement: as an operator sets it up, with limits that no run meets.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{servers, subject::Subject};
use crate::{
    cache::Cache,
    demo::config::{Instance, Limit, Settings},
    dev_key,
    host::{self, Host},
};

/// More than any run can send: the limiter counts, and never refuses.
const FREE: i64 = 1_000_000_000;
const CLASSES: [&str; 5] = ["chat", "generation", "status", "administration", "callback"];

/// A folder that `atelier init` made, with plugins installed.
#[derive(Debug)]
pub struct Atelier {
    binary: PathBuf,
    config: PathBuf,
    log: PathBuf,
    listen: SocketAddr,
    admin: SocketAddr,
    key: String,
}

impl Atelier {
    /// Set up; nothing runs yet. `others` are settings as [`Settings::others`].
    pub fn new(
        cache: &Cache,
        binaries: &Path,
        scratch: &Path,
        instances: Vec<Instance>,
        files: &[PathBuf],
        others: Vec<(&'static str, &'static str, toml::Value)>,
    ) -> Result<Self> {
        let binary = binaries.join("atelier");
        let dir = scratch.join("host");
        let key = host::init(&binary, &dir)?;
        let (listen, admin) = (servers::free()?, servers::free()?);
        let trusted_key = dev_key::open(cache)?.pair.pk.to_base64();
        let limits = CLASSES.map(|class| Limit { class, requests: FREE, seconds: 60 }).into();
        let config = Settings {
            listen,
            admin,
            trusted_key,
            instances,
            limits,
            receivers: Vec::new(),
            others,
            prices: Vec::new(),
            mail: None,
        }
        .write(&dir)?;
        for file in files {
            host::install(&binary, &config, file)?;
        }
        Ok(Self { binary, config, log: scratch.join("host.log"), listen, admin, key })
    }

    /// Start, and wait until it is ready.
    pub fn start(&self) -> Result<Host> {
        let never = AtomicBool::new(false);
        Host::start(&self.binary, &self.config, &self.log, self.admin, &never)
    }

    /// Start, and ask again and again until the first chat completion succeeds; returns how long that took.
    pub fn start_to_first_answer(&self, model: &'static str) -> Result<(Host, Duration)> {
        let started = Instant::now();
        let host = Host::launch(&self.binary, &self.config, &self.log)?;
        servers::until_answered(&self.subject(model, host.process()), Duration::from_millis(1))?;
        Ok((host, started.elapsed()))
    }

    /// The host with one of its models.
    pub fn subject(&self, model: &'static str, process: u32) -> Subject {
        Subject { name: "atelier", address: self.listen, model, key: self.key.clone(), process }
    }
}
