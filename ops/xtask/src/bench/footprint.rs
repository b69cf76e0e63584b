//! `cargo xtask bench footprint`: how soon the host answers, and what it keeps in memory.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Result, ensure};
use serde_json::json;

use super::{
    atelier::Atelier,
    report::{Budgets, median},
    servers,
    subject::Subject,
};
use crate::{
    cache::Cache,
    demo::config::{Instance, Secret},
    host, plugins,
    workspace::Workspace,
};

/// Instance, plugin, where the mock upstream has its provider, and the secret's name.
const INSTANCES: [(&str, &str, &str, &str); 10] = [
    ("openai", "openai", "/v1", "api-key"),
    ("anthropic", "anthropic", "/anthropic/v1", "api-key"),
    ("replicate", "replicate", "/replicate/v1", "api-token"),
    ("elevenlabs", "elevenlabs", "/elevenlabs", "api-key"),
    ("gemini", "gemini-python", "/gemini/v1beta", "api-key"),
    ("compatible", "compatible-js", "/v1", "api-key"),
    // Plugins of their own to the host: other ids, other digests, compiled and loaded apart.
    ("copy1", "opena1", "/v1", "api-key"),
    ("copy2", "opena2", "/v1", "api-key"),
    ("copy3", "opena3", "/v1", "api-key"),
    ("copy4", "opena4", "/v1", "api-key"),
];
const COPIED: &str = "openai";
const CHATS: [&str; 8] = [
    "openai/mock-chat",
    "anthropic/claude-haiku-4-5",
    "gemini/gemini-2.5-flash",
    "compatible/mock-chat",
    "copy1/mock-chat",
    "copy2/mock-chat",
    "copy3/mock-chat",
    "copy4/mock-chat",
];
/// After the last call: connections and caches settle.
const IDLE: Duration = Duration::from_secs(10);

/// Start to first answer with compiled plugins, and resident memory with ten plugins, each called once.
///
/// One of the ten is written in Python and one in JavaScript; four are the openai plugin under other names, so that each is
/// compiled and loaded by itself. No in-house model is loaded.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// How often the host is started
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    starts: u32,
}

/// Run the verb.
pub fn run(workspace: &Workspace, cache: &Cache, binaries: &Path, options: &Options) -> Result<Budgets> {
    plugins::build(workspace, cache, &plugins::Options::default())?;
    let scratch = servers::scratch(workspace.target(), "footprint")?;
    let (_mock, upstream) = servers::mock(binaries, &scratch, "mock", &[])?;
    let instances = INSTANCES.map(|(name, plugin, path, secret)| Instance {
        name,
        plugin,
        address: upstream,
        path,
        secret: (secret, Secret::Value("sk-bench")),
        webhook_secret: None,
    });
    let files = INSTANCES
        .iter()
        .map(|(_, plugin, ..)| file(workspace, cache, &scratch, plugin))
        .collect::<Result<Vec<_>>>()?;
    let atelier = Atelier::new(cache, binaries, &scratch, instances.into(), &files, Vec::new())?;

    // The first start compiles; from then on artefacts are there.
    let (first, compiling) = atelier.start_to_first_answer(CHATS[0])?;
    println!("first start, compiling: {:.0} ms", compiling.as_secs_f64() * 1e3);
    call_each(&atelier, first.process())?;
    first.stop()?;
    let mut times = Vec::new();
    for _ in 0..options.starts {
        let (host, time) = atelier.start_to_first_answer(CHATS[0])?;
        println!("start to first answer: {:.0} ms", time.as_secs_f64() * 1e3);
        times.push(time.as_secs_f64() * 1e3);
        host.stop()?;
    }
    let host = atelier.start()?;
    let fresh = atelier.subject(CHATS[0], host.process()).resident_mb()?;
    call_each(&atelier, host.process())?;
    thread::sleep(IDLE);
    let idle = atelier.subject(CHATS[0], host.process()).resident_mb()?;
    println!("resident: {fresh:.1} MB after the start, {idle:.1} MB after a call of each plugin");
    host.stop()?;

    let mut budgets = Budgets::default();
    budgets.at_most("start to first answer, plugins compiled", median(times), 300.0, "ms");
    budgets.at_most("resident memory, idle, ten plugins called", idle, 60.0, "MB");
    Ok(budgets)
}

/// A plugin's signed file; for a copy, made from the original with another id of the same length.
fn file(workspace: &Workspace, cache: &Cache, scratch: &Path, plugin: &str) -> Result<PathBuf> {
    if plugin.len() != COPIED.len() || plugin == COPIED {
        return plugins::file(workspace, plugin);
    }
    let (from, to) = (format!("\"atelier/{COPIED}\""), format!("\"atelier/{plugin}\""));
    let copy = plugins::altered(&fs::read(plugins::file(workspace, COPIED)?)?, &from, &to)?;
    plugins::write_signed(cache, scratch, &format!("{plugin}.wasm"), &copy)
}

/// One call of each plugin, and each must succeed.
fn call_each(atelier: &Atelier, process: u32) -> Result<()> {
    for model in CHATS {
        servers::until_answered(&atelier.subject(model, process), servers::POLL)?;
    }
    let host = atelier.subject(CHATS[0], process);
    post(
        &host,
        "/v1/audio/speech",
        &json!({"model": "elevenlabs/mock-speech", "voice": "mockvoice01", "input": "hello"}),
    )?;
    post(&host, "/v1/images/generations", &json!({"model": "replicate/mock/image", "prompt": "a bridge"}))
}

fn post(host: &Subject, path: &str, body: &serde_json::Value) -> Result<()> {
    let mut answer = host::agent(Duration::from_secs(60))
        .post(format!("http://{}{path}", host.address))
        .header("authorization", format!("Bearer {}", host.key))
        .header("content-type", "application/json")
        .send(body.to_string())?;
    let status = answer.status();
    let text = answer.body_mut().with_config().limit(16 << 20).read_to_vec()?;
    ensure!(status == 200, "{path}: {status}: {}", String::from_utf8_lossy(&text));
    Ok(())
}
