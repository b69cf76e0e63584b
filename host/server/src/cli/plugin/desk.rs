//! Plugins for command-line verbs: through the running server if there is one, else in the store itself.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use atelier_domain::plugin::{InstalledPlugin, PluginVersion, Trust};
use atelier_service::plugins::{Change, Consent, Inspection, Plugins};
use bytes::Bytes;
use http::Method;
use serde::Deserialize;

use crate::cli::Configured;
use crate::cli::desk::server::Server;
use crate::cli::office::Office;

/// Installing compiles the component, in a child of the server's with its own limit.
const PATIENCE: Duration = Duration::from_secs(330);
/// Stands in no component: it is random, and as long as RFC 2046 allows.
const BOUNDARY: &str = "atelier-3c1f0e8a5b7d4f6e9a2c8d1b0f7e6a5d4c3b2a1908f7e6d5c4b3a29181f0";

/// Where plugins are administered.
pub(super) enum PluginDesk {
    Store(Arc<Plugins>),
    Server(Box<Server>),
}

/// An installed plugin in a line.
#[derive(Debug, Deserialize)]
pub(super) struct Row {
    pub id: String,
    pub enabled: bool,
    pub current: Version,
    pub previous: Option<Version>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub version: String,
    pub digest: String,
}

/// What an operator should know before saying yes.
#[derive(Debug, Deserialize)]
pub(super) struct Seen {
    pub id: String,
    pub version: String,
    pub digest: String,
    pub signed_by: Option<String>,
    pub capabilities: Vec<String>,
    pub permissions: Vec<String>,
    pub replaces: Option<String>,
    pub added: Vec<String>,
    pub dropped: Vec<String>,
    pub consent: String,
}

/// A plugin's file and, if there is one, its signature.
pub(super) struct File {
    pub component: Bytes,
    pub signature: Option<String>,
}

/// A change without a body, by its last word in the API.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verb {
    Enable,
    Disable,
    Rollback,
}

impl PluginDesk {
    /// The server's, if it answers at the configured address; else the store's.
    pub(super) async fn open(configured: &Configured) -> anyhow::Result<Self> {
        let config = configured.load()?;
        Ok(match Server::at_work(&config).await? {
            Some(server) => Self::Server(Box::new(server)),
            None => Self::Store(Office::plugins(&config).await?),
        })
    }

    pub(super) async fn list(&self) -> anyhow::Result<Vec<Row>> {
        #[derive(Deserialize)]
        struct Page {
            data: Vec<Row>,
        }
        match self {
            Self::Store(plugins) => Ok(plugins.list().await?.iter().map(Row::from).collect()),
            Self::Server(server) => {
                let page: Page = server.ask_for(Method::GET, "/api/v1/plugins", None).await?;
                Ok(page.data)
            }
        }
    }

    pub(super) async fn inspect(&self, file: &File) -> anyhow::Result<Seen> {
        match self {
            Self::Store(plugins) => {
                let seen = plugins.inspect(&file.component, file.signature.as_deref()).await?;
                Ok(Seen::from(seen))
            }
            Self::Server(server) => sent(server, "/api/v1/plugins/inspect", file, None).await,
        }
    }

    /// Installs what `consent` was given to.
    pub(super) async fn install(&self, file: File, consent: String) -> anyhow::Result<Row> {
        match self {
            Self::Store(plugins) => {
                let consent = Consent::Token(consent);
                let installed = plugins.install(file.component, file.signature.as_deref(), &consent).await?;
                Ok(Row::from(&installed))
            }
            Self::Server(server) => sent(server, "/api/v1/plugins", &file, Some(&consent)).await,
        }
    }

    pub(super) async fn change(&self, id: &str, verb: Verb) -> anyhow::Result<Row> {
        match self {
            Self::Store(plugins) => {
                let changed = match verb {
                    Verb::Enable => plugins.set_enabled(id, true).await?,
                    Verb::Disable => plugins.set_enabled(id, false).await?,
                    Verb::Rollback => plugins.roll_back(id).await?,
                };
                Ok(Row::from(&changed))
            }
            Self::Server(server) => {
                let verb = match verb {
                    Verb::Enable => "enable",
                    Verb::Disable => "disable",
                    Verb::Rollback => "rollback",
                };
                server.ask_for(Method::POST, &address(id, verb)?, None).await
            }
        }
    }

    pub(super) async fn remove(&self, id: &str) -> anyhow::Result<()> {
        match self {
            Self::Store(plugins) => plugins.remove(id).await.map(drop).map_err(Into::into),
            Self::Server(server) => {
                let path = address(id, "remove")?;
                let nothing = Bytes::new();
                server.send(Method::POST, &path, "application/json", nothing, PATIENCE).await.map(drop)
            }
        }
    }
}

/// A plugin's address in the API. An id is lower-case letters, digits, hyphens and one slash, so nothing has to be encoded.
fn address(id: &str, verb: &str) -> anyhow::Result<String> {
    let good = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let parts = id.split_once('/').filter(|(publisher, name)| good(publisher) && good(name));
    let (publisher, name) = parts.with_context(|| format!("{id:?} is no id: it reads publisher/name"))?;
    Ok(format!("/api/v1/plugins/{publisher}/{name}/{verb}"))
}

/// Sends a plugin's file as a form (RFC 7578).
async fn sent<T: serde::de::DeserializeOwned>(
    server: &Server,
    path: &str,
    file: &File,
    consent: Option<&str>,
) -> anyhow::Result<T> {
    let mut body = Vec::with_capacity(file.component.len() + 2048);
    for (name, text) in [("signature", file.signature.as_deref()), ("consent", consent)] {
        let Some(text) = text else { continue };
        let part =
            format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
        body.extend_from_slice(part.as_bytes());
    }
    let head = format!(
        "--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"component\"; filename=\"plugin.wasm\"\r\n\
         content-type: application/wasm\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(&file.component);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let answer = server.send(Method::POST, path, &kind, body.into(), PATIENCE).await?;
    serde_json::from_slice(&answer).context("the server's answer is not what this version expects")
}

impl From<&InstalledPlugin> for Row {
    fn from(plugin: &InstalledPlugin) -> Self {
        let version =
            |of: &PluginVersion| Version { version: of.manifest.version.clone(), digest: of.digest.clone() };
        Self {
            id: plugin.id().to_owned(),
            enabled: plugin.enabled,
            current: version(&plugin.current),
            previous: plugin.previous.as_deref().map(version),
        }
    }
}

impl From<Inspection> for Seen {
    fn from(seen: Inspection) -> Self {
        let (mut added, mut dropped) = (Vec::new(), Vec::new());
        for change in seen.changes {
            match change {
                Change::Added(line) => added.push(line),
                Change::Dropped(line) => dropped.push(line),
            }
        }
        Self {
            id: seen.examined.manifest.id,
            version: seen.examined.manifest.version,
            digest: seen.examined.digest,
            signed_by: match seen.trust {
                Trust::Signed { key_id } => Some(key_id),
                Trust::Unsigned { .. } => None,
            },
            capabilities: seen.examined.capabilities,
            permissions: seen.permissions.lines().map(str::to_owned).collect(),
            replaces: seen.replaces,
            added,
            dropped,
            consent: seen.consent,
        }
    }
}
