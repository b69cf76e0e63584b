//! The host that the client suites meet: which instances it has, and how much it lets through.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Result, ensure};

use crate::{
    cache::Cache,
    demo::config::{Instance, Limit, MailServer, Price, Secret, Settings},
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
/// An instance whose provider calls back.
const NOTIFYING: &str = "notifying";
/// What its provider signs callbacks with (`goods.py` does as well).
pub const WEBHOOK_SECRET: &str = "whsec_b3JjaGFyZCB3YWxsIG5pbmUgbGFudGVybnM=";
/// So that there is something to give back.
const PRICES: [Price; 2] = [
    Price { models: "notifying/*", meter: "compute-ms", per_million: 2_000_000 },
    Price { models: "claude/claude-haiku-4-5", meter: "input-tokens", per_million: 1_000_000 },
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
        webhook_secret: None,
    });
    let notifying = Instance {
        name: NOTIFYING,
        plugin: "replicate",
        address: mock,
        path: "/replicate/v1",
        secret: ("api-token", Secret::Value("sk-operator")),
        webhook_secret: Some(WEBHOOK_SECRET),
    };
    let free = FREE_CLASSES.map(|class| Limit { class, requests: FREE.0, seconds: FREE.1 });
    let met = Limit { class: MET_CLASS, requests: MET.0, seconds: MET.1 };
    let limits = free.into_iter().chain([met]).collect();
    let receivers = vec![receiver];
    Ok(Settings {
        listen,
        admin,
        trusted_key,
        instances: instances.into_iter().chain([notifying]).collect(),
        limits,
        receivers,
        // Then providers are told where to call back.
        others: vec![("server", "public_url", format!("http://{listen}").into())],
        prices: PRICES.into(),
        mail: Some(mail),
    })
}

/// The signed files of the instances' plugins, each once.
pub fn plugin_files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let mut names: Vec<_> = INSTANCES.iter().map(|(_, plugin, ..)| *plugin).collect();
    names.dedup();
    names.into_iter().map(|name| signed_file(workspace, name)).collect()
}

/// Plugins that no instance uses, signed, in `dir`: two versions of one, `first.wasm` and `second.wasm`, and two others, `leaving.wasm` and `arriving.wasm`.
pub fn spare_plugins(workspace: &Workspace, cache: &Cache, dir: &Path) -> Result<()> {
    let first = fs::read(plugins::file(workspace, "hostile")?)?;
    let second = plugins::altered(&first, "\"version\":\"0.1.0\"", "\"version\":\"0.2.0\"")?;
    let named =
        |id: &str| plugins::altered(&first, "\"id\":\"dev/hostile\"", &format!("\"id\":\"dev/{id}\""));
    let (leaving, arriving) = (named("leaving")?, named("arrives")?);
    fs::create_dir_all(dir)?;
    let components = [
        ("first.wasm", first),
        ("second.wasm", second),
        ("leaving.wasm", leaving),
        ("arriving.wasm", arriving),
    ];
    for (name, component) in components {
        plugins::write_signed(cache, dir, name, &component)?;
    }
    Ok(())
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
