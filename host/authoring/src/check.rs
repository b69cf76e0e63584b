//! Reads a plugin's file and tells its author everything that is wrong with it, and what its operators will be asked for.

use std::fmt;
use std::path::Path;

use anyhow::Context as _;
use atelier_domain::manifest::{Manifest, SecretPlace};
use atelier_runtime::{FILE_BYTES_MAX, Package, examine};
use atelier_service::plugins::Permissions;
use serde::Serialize;
use url::Url;

/// What a file was found to be.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    /// `publisher/name version`, if the manifest could be read.
    pub plugin: Option<String>,
    pub bytes: usize,
    pub wit: Option<String>,
    pub capabilities: Vec<String>,
    pub imports: Vec<String>,
    /// What an operator would be asked to grant, one line each.
    pub permissions: Vec<String>,
    /// Each keeps a host from installing it, or its users from using it.
    pub mistakes: Vec<String>,
    /// Not wrong, but likely not meant.
    pub warnings: Vec<String>,
}

impl Findings {
    /// Whether it can be installed.
    pub fn passed(&self) -> bool {
        self.mistakes.is_empty()
    }
}

/// Reads a file. Nothing of it is run.
///
/// # Errors
/// The file cannot be read: what is wrong with its content is among the findings.
pub fn check(file: &Path) -> anyhow::Result<Findings> {
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
    let examination = examine(&bytes);
    let mut findings = Findings { bytes: bytes.len(), ..Findings::default() };
    findings.mistakes.extend(examination.mistakes.iter().map(ToString::to_string));
    if let Some(package) = &examination.package {
        describe(package, &mut findings);
        contents(package, &mut findings);
    }
    Ok(findings)
}

fn describe(package: &Package, findings: &mut Findings) {
    let manifest = &package.manifest;
    findings.plugin = Some(format!("{} {}", manifest.id, manifest.version));
    findings.wit = Some(manifest.wit.clone());
    findings.capabilities.clone_from(&package.capabilities);
    findings.imports.clone_from(&package.imports);
    findings.permissions = Permissions::of(manifest).lines().map(str::to_owned).collect();
}

/// What the host takes, and an author should not leave so.
fn contents(package: &Package, findings: &mut Findings) {
    let manifest = &package.manifest;
    if let Some(schema) = &manifest.settings {
        match jsonschema::options().with_draft(jsonschema::Draft::Draft202012).build(schema) {
            Err(error) => findings.mistakes.push(format!("the manifest's settings are no JSON Schema: {error}")),
            Ok(_) if schema.get("type").and_then(|kind| kind.as_str()) != Some("object") => {
                findings.mistakes.push("the manifest's settings must be of type \"object\"".to_owned());
            }
            Ok(_) if schema.get("additionalProperties").is_none() => findings.warnings.push(
                "settings without additionalProperties = false: a misspelt setting will be taken and do nothing".to_owned(),
            ),
            Ok(_) => {}
        }
    }
    base_url(manifest, findings);
    secrets(manifest, findings);
    jobs(package, findings);
    for host in manifest.hosts.iter().chain(&manifest.download_hosts) {
        if host.strip_prefix("*.").is_some_and(|rest| rest.matches('.').count() == 0) {
            findings
                .warnings
                .push(format!("{host} covers a whole top-level domain: operators will refuse it"));
        }
    }
    // A quarter of what a host takes still compiles in seconds.
    if findings.bytes > FILE_BYTES_MAX / 4 {
        findings.warnings.push(format!("{} MiB take long to compile at every install", findings.bytes >> 20));
    }
}

fn base_url(manifest: &Manifest, findings: &mut Findings) {
    let Some(text) = &manifest.default_base_url else { return };
    match Url::parse(text) {
        Err(error) => findings.mistakes.push(format!("default-base-url {text:?} is malformed: {error}")),
        Ok(url) if url.scheme() != "https" => {
            findings.mistakes.push(format!(
                "default-base-url {text:?} must be https: plain http needs an operator's grant"
            ));
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() || text.ends_with('/') => {
            findings
                .mistakes
                .push(format!("default-base-url {text:?} must have no query, fragment or trailing slash"));
        }
        Ok(_) => {}
    }
}

fn secrets(manifest: &Manifest, findings: &mut Findings) {
    for (index, secret) in manifest.secrets.iter().enumerate() {
        if manifest.secrets[..index].iter().any(|other| other.name == secret.name) {
            findings.mistakes.push(format!("the secret {} is declared twice", secret.name));
        }
        if secret.title.is_none() {
            findings
                .warnings
                .push(format!("the secret {} has no title: operators see its name alone", secret.name));
        }
    }
    let Some(webhook) = &manifest.webhook else { return };
    let verifies = |name: &String| {
        manifest.secrets.iter().any(|secret| secret.name == *name && secret.place == SecretPlace::Webhook)
    };
    if let Some(name) = webhook.secret.as_ref().filter(|name| !verifies(name)) {
        findings.mistakes.push(format!(
            "[webhook] names the secret {name}, which no [[secrets]] of place = \"webhook\" declares"
        ));
    }
}

fn jobs(package: &Package, findings: &mut Findings) {
    let exports = |name: &str| package.capabilities.iter().any(|known| known == name);
    let manifest = &package.manifest;
    if (exports("media") || exports("training")) && manifest.state_versions.is_empty() {
        findings.warnings.push(
            "it runs jobs and names no state-versions: jobs of an earlier version will not go on after an upgrade".to_owned(),
        );
    }
    match (exports("webhook"), manifest.webhook.is_some()) {
        (true, false) => findings
            .warnings
            .push("it exports webhook, but its manifest has no [webhook]: callbacks are refused".to_owned()),
        (false, true) => {
            findings.mistakes.push("its manifest has [webhook], but it does not export webhook".to_owned())
        }
        _ => {}
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} ({} KB)",
            self.plugin.as_deref().unwrap_or("not a plugin"),
            self.bytes.div_ceil(1000)
        )?;
        if let Some(wit) = &self.wit {
            writeln!(f, "  contract     atelier:provider@{wit}")?;
            writeln!(f, "  capabilities {}", self.capabilities.join(", "))?;
            writeln!(f, "  imports      {}", self.imports.join(", "))?;
            writeln!(f, "  An operator will be asked to let it:")?;
            for line in &self.permissions {
                writeln!(f, "    {line}")?;
            }
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {warning}")?;
        }
        for mistake in &self.mistakes {
            writeln!(f, "  mistake: {mistake}")?;
        }
        match self.mistakes.len() {
            0 => write!(f, "  It can be installed."),
            1 => write!(f, "  1 mistake: it cannot be installed."),
            count => write!(f, "  {count} mistakes: it cannot be installed."),
        }
    }
}
