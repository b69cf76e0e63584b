//! The host that the client suites meet: which instances it has, and how much it lets through.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Result, ensure};

use crate::{
    cache::Cache,
    demo::config::{Instance, Limit, MailServer, Secret, Settings},
    dev_key, plugins,
    workspace::Workspace,
};

/// Names of instances, their plugins, where the mock upstream has their provider's API, and their secrets.
const INSTANCES: [(&str, &str, &str, &str); 5] = [
    ("mock", "openai", "/v1", "api-key"),
    // Whose provider fails: a circuit breaker that opens must not keep other tests from their models.
    ("faulty", "openai", "/v1", "api-key"),
    ("claude", "anthropic", "/anthropic/v1", "api-key"),
    ("eleven", "elevenlabs", "/elevenlabs", "api-key"),
    ("replicate", "replicate", "/replicate/v1", "api-token"),
];
/// Classes of routes whose limits no test is to meet.
const FREE_CLASSES: [&str; 8] =
    ["chat", "generation", "transcription", "upload", "shares", "status", "administration", "sign-in"];
const FREE: (i64, i64) = (1_000_000, 60);
/// The one class whose limit tests do meet: as a user of their own, since it is each user's. No window ends in mid-test.
const MET_CLASS: &str = "analysis";
const MET: (i64, i64) = (200, 3600);

/// The configuration: `addresses` are the API's and the admin listener's, `mock` is the mock upstream's, and at `receiver` a suite
/// receives webhooks, at `mail` the host's mail.
pub fn settings(
    cache: &Cache,
    addresses: (SocketAddr, SocketAddr),
    mock: SocketAddr,
    receiver: SocketAddr,
    mail: MailServer,
) -> Result<Settings> {
    let (listen, admin) = addresses;
    let trusted_key = dev_key::open(cache)?.pair.pk.to_base64();
    let instances = INSTANCES.map(|(name, plugin, path, secret)| Instance {
        name,
        plugin,
        address: mock,
        path,
        secret: (secret, Secret::Value("sk-operator")),
    });
    let free = FREE_CLASSES.map(|class| Limit { class, requests: FREE.0, seconds: FREE.1 });
    let met = Limit { class: MET_CLASS, requests: MET.0, seconds: MET.1 };
    let limits = free.into_iter().chain([met]).collect();
    let receivers = vec![receiver];
    Ok(Settings {
        listen,
        admin,
        trusted_key,
        instances: instances.into(),
        limits,
        receivers,
        mail: Some(mail),
    })
}

/// The signed files of the instances' plugins, each once.
pub fn plugin_files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut names: Vec<_> = INSTANCES.iter().map(|(_, plugin, ..)| *plugin).collect();
    names.dedup();
    names.into_iter().map(|name| signed_file(workspace, name)).collect()
}

fn signed_file(workspace: &Workspace, name: &str) -> Result<PathBuf> {
    let file = plugins::file(workspace, name)?;
    let mut signature = file.clone().into_os_string();
    signature.push(".minisig");
    for path in [&file, &PathBuf::from(signature)] {
        ensure!(path.is_file(), "{} is missing: run `cargo xtask plugins {name}`", path.display());
    }
    Ok(file)
}
