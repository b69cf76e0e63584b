//! The configuration with which the repository's own commands run a host. Everything that has to agree with the
//! host's configuration format is in this file.

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::{cache::write_private, dev_key};

/// The publisher in the ids of this repository's plugins. The development key stands in for its real key.
const PUBLISHER: &str = "atelier";

/// Micro-credits set aside for a job of which nobody knows what it will use.
const JOB_HOLD: i64 = 1_000;

/// What is put over the configuration that `atelier init` wrote.
#[derive(Debug)]
pub struct Settings {
    /// The API's address.
    pub listen: SocketAddr,
    /// The admin listener's address.
    pub admin: SocketAddr,
    /// The development public key, as minisign writes it in base64.
    pub trusted_key: String,
    /// Takes the place of all instances that are there.
    pub instances: Vec<Instance>,
    /// Those of other classes stay as they are.
    pub limits: Vec<Limit>,
    /// Where webhooks may go on this machine.
    pub receivers: Vec<SocketAddr>,
    /// Whatever else is wanted: section, key and value.
    pub others: Vec<(&'static str, &'static str, Value)>,
    /// What a million units of a meter cost with models, in micro-credits: then credits are needed, and all other models are free.
    pub prices: Vec<Price>,
    /// Who takes its mail; then anybody may sign up, however often.
    pub mail: Option<MailServer>,
}

/// A mail server on this machine that is spoken to with STARTTLS.
#[derive(Debug)]
pub struct MailServer {
    /// Its address.
    pub address: SocketAddr,
    /// A PEM file: who signed its certificate.
    pub ca: PathBuf,
    /// Name and password that it lets in.
    pub login: (&'static str, &'static str),
}

/// A plugin with a provider on this machine.
#[derive(Debug)]
pub struct Instance {
    /// Begins its models' ids.
    pub name: &'static str,
    /// The plugin's name; with its publisher, if that is not this repository's.
    pub plugin: &'static str,
    /// The provider's address, which the plugin is granted though it is private.
    pub address: SocketAddr,
    /// Below that address, where its API begins: empty, or with a leading slash.
    pub path: &'static str,
    /// The name of the plugin's one required secret, and where its value is.
    pub secret: (&'static str, Secret),
    /// What the provider signs its callbacks with, if it calls back.
    pub webhook_secret: Option<&'static str>,
}

/// Where a secret is.
#[derive(Debug)]
pub enum Secret {
    /// In a file.
    File(PathBuf),
    /// In the configuration itself.
    Value(&'static str),
}

/// How often each caller may ask for a class of routes.
#[derive(Debug)]
pub struct Limit {
    /// The class.
    pub class: &'static str,
    /// Requests within `seconds`.
    pub requests: i64,
    /// The span.
    pub seconds: i64,
}

/// What a million units of a meter cost, in micro-credits.
#[derive(Clone, Copy, Debug)]
pub struct Price {
    /// A model, or all that begin alike: `replicate/*`.
    pub models: &'static str,
    /// The meter.
    pub meter: &'static str,
    /// Micro-credits.
    pub per_million: i64,
}

impl Settings {
    /// Put these settings over `atelier.toml` in `dir`; returns that file.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        let path = dir.join("atelier.toml");
        let written = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        write_private(&path, self.apply_to(&written)?.as_bytes())?;
        Ok(path)
    }

    /// The text of `atelier.toml`, from the text that is there.
    fn apply_to(&self, written: &str) -> Result<String> {
        let mut document: Table = toml::from_str(written).context("the configuration is not valid TOML")?;
        set(&mut document, "server", "listen", self.listen.to_string().into())?;
        set(&mut document, "admin", "listen", self.admin.to_string().into())?;
        for (section, key, value) in &self.others {
            set(&mut document, section, key, value.clone())?;
        }
        let trusted = [PUBLISHER, dev_key::PUBLISHER].map(|publisher| {
            table([("publisher", publisher.into()), ("key", self.trusted_key.clone().into())])
        });
        set(&mut document, "plugins", "trusted_keys", Value::Array(trusted.to_vec()))?;
        for limit in &self.limits {
            let rate = table([("requests", limit.requests.into()), ("seconds", limit.seconds.into())]);
            set(&mut document, "limits", limit.class, rate)?;
        }
        if !self.receivers.is_empty() {
            let hosts = self.receivers.iter().map(|address| address.to_string().into()).collect();
            set(&mut document, "webhooks", "private_hosts", Value::Array(hosts))?;
        }
        if !self.prices.is_empty() {
            let free = table([("model", "*".into()), ("free", true.into())]);
            let prices = self.prices.iter().map(Price::entry).chain([free]).collect();
            document.insert("price".to_owned(), Value::Array(prices));
            set(&mut document, "money", "accounting", "enforce".into())?;
        }
        if let Some(mail) = &self.mail {
            set(&mut document, "accounts", "sign_up", true.into())?;
            for limit in ["sign_ups_per_hour", "mails_per_10_minutes", "mailbox_per_hour"] {
                set(&mut document, "accounts", limit, 1_000_000.into())?;
            }
            document.insert("mail".to_owned(), mail.section());
        }
        let instances = self.instances.iter().map(Instance::entry).collect();
        document.insert("instance".to_owned(), Value::Array(instances));
        Ok(document.to_string())
    }
}

impl Price {
    fn entry(&self) -> Value {
        let per_million = table([(self.meter, self.per_million.into())]);
        table([("model", self.models.into()), ("hold", JOB_HOLD.into()), ("per_million", per_million)])
    }
}

impl MailServer {
    fn section(&self) -> Value {
        let (user, password) = self.login;
        table([
            ("server", self.address.to_string().into()),
            ("from", "Atelier <noreply@atelier.dev>".into()),
            ("ca", self.ca.display().to_string().into()),
            ("user", user.into()),
            ("password", table([("value", password.into())])),
        ])
    }
}

impl Instance {
    /// The `openai` plugin with the host at `listen` itself as its provider; `key_file` holds a key of that host.
    pub fn of_this_host(listen: SocketAddr, key_file: PathBuf) -> Self {
        let secret = ("api-key", Secret::File(key_file));
        Self { name: "loop", plugin: "openai", address: listen, path: "/v1", secret, webhook_secret: None }
    }

    fn entry(&self) -> Value {
        let (name, secret) = &self.secret;
        let secret = match secret {
            Secret::File(path) => table([("file", path.display().to_string().into())]),
            Secret::Value(value) => table([("value", (*value).into())]),
        };
        let webhook = self.webhook_secret.map(|value| ("webhook-secret", table([("value", value.into())])));
        let plugin = match self.plugin.contains('/') {
            true => self.plugin.to_owned(),
            false => format!("{PUBLISHER}/{}", self.plugin),
        };
        let secrets = [(*name, secret)].into_iter().chain(webhook);
        let secrets = secrets.map(|(name, secret)| (name.to_owned(), secret)).collect();
        table([
            ("name", self.name.into()),
            ("plugin", plugin.into()),
            ("base_url", format!("http://{}{}", self.address, self.path).into()),
            ("private_hosts", Value::Array(vec![self.address.to_string().into()])),
            ("secrets", Value::Table(secrets)),
        ])
    }
}

fn set(document: &mut Table, section: &str, key: &str, value: Value) -> Result<()> {
    let section = document.entry(section).or_insert_with(|| Value::Table(Table::new()));
    section
        .as_table_mut()
        .context("a section of the configuration is no table")?
        .insert(key.to_owned(), value);
    Ok(())
}

fn table<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Table(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_go_over_what_init_wrote_and_may_be_applied_again() {
        let settings = Settings {
            listen: SocketAddr::from(([127, 0, 0, 1], 9000)),
            admin: SocketAddr::from(([127, 0, 0, 1], 9001)),
            trusted_key: "RWkey".to_owned(),
            instances: vec![Instance::of_this_host(
                SocketAddr::from(([127, 0, 0, 1], 9000)),
                PathBuf::from("/somewhere/key"),
            )],
            limits: vec![Limit { class: "chat", requests: 7, seconds: 3 }],
            receivers: vec![SocketAddr::from(([127, 0, 0, 1], 9002))],
            others: vec![("server", "public_url", "http://127.0.0.1:9000".into())],
            prices: vec![Price { models: "some/*", meter: "images", per_million: 5 }],
            mail: Some(MailServer {
                address: SocketAddr::from(([127, 0, 0, 1], 9003)),
                ca: PathBuf::from("/somewhere/ca.pem"),
                login: ("atelier", "secret"),
            }),
        };
        let written = "[server]\nlisten = \"127.0.0.1:8484\"\nconnections = 7\n[sandbox]\nmemory_mib = 64\n\
                       [limits]\nchat = { requests = 1, seconds = 1 }\nstatus = { requests = 2, seconds = 2 }\n";
        let once = settings.apply_to(written).expect("valid");
        assert_eq!(settings.apply_to(&once).expect("valid"), once);

        let document: Table = toml::from_str(&once).expect("valid");
        assert_eq!(document["server"]["listen"].as_str(), Some("127.0.0.1:9000"));
        assert_eq!(document["server"]["public_url"].as_str(), Some("http://127.0.0.1:9000"));
        assert_eq!(document["server"]["connections"].as_integer(), Some(7));
        assert_eq!(document["sandbox"]["memory_mib"].as_integer(), Some(64));
        assert_eq!(document["plugins"]["trusted_keys"].as_array().map(Vec::len), Some(2));
        assert_eq!(document["limits"]["chat"]["requests"].as_integer(), Some(7));
        assert_eq!(document["limits"]["status"]["seconds"].as_integer(), Some(2));
        assert_eq!(document["webhooks"]["private_hosts"][0].as_str(), Some("127.0.0.1:9002"));
        assert_eq!(document["money"]["accounting"].as_str(), Some("enforce"));
        assert_eq!(document["price"][1]["free"].as_bool(), Some(true));
        assert_eq!(document["price"][0]["per_million"]["images"].as_integer(), Some(5));
        assert_eq!(document["accounts"]["sign_up"].as_bool(), Some(true));
        assert_eq!(document["mail"]["server"].as_str(), Some("127.0.0.1:9003"));
        assert_eq!(document["mail"]["password"]["value"].as_str(), Some("secret"));
        let instance = &document["instance"][0];
        assert_eq!(instance["plugin"].as_str(), Some("atelier/openai"));
        assert_eq!(instance["private_hosts"][0].as_str(), Some("127.0.0.1:9000"));
        assert_eq!(instance["base_url"].as_str(), Some("http://127.0.0.1:9000/v1"));
        assert_eq!(instance["secrets"]["api-key"]["file"].as_str(), Some("/somewhere/key"));
    }
}
