//! The configuration with which the repository's own commands run a host. Everything that has to agree with the
//! host's configuration format is in this file.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::{Context, Result};
use toml::{Table, Value};

use crate::dev_key;

/// The publisher in the ids of this repository's plugins. The development key stands in for its real key.
const PUBLISHER: &str = "atelier";

/// What is put over the configuration that `atelier init` wrote.
#[derive(Debug)]
pub struct Settings {
    /// The API's address.
    pub listen: SocketAddr,
    /// The admin listener's address.
    pub admin: SocketAddr,
    /// The development public key, as minisign writes it in base64.
    pub trusted_key: String,
    /// A file with the administrator's key, which is also what the plugin presents to this same host.
    pub key_file: PathBuf,
}

impl Settings {
    /// The text of `atelier.toml`, from the text that is there.
    pub fn apply_to(&self, written: &str) -> Result<String> {
        let mut document: Table = toml::from_str(written).context("the configuration is not valid TOML")?;
        set(&mut document, "server", "listen", self.listen.to_string().into())?;
        set(&mut document, "admin", "listen", self.admin.to_string().into())?;
        let trusted = [PUBLISHER, dev_key::PUBLISHER].map(|publisher| {
            table([("publisher", publisher.into()), ("key", self.trusted_key.clone().into())])
        });
        set(&mut document, "plugins", "trusted_keys", Value::Array(trusted.to_vec()))?;
        document.insert("instance".to_owned(), Value::Array(vec![self.instance()]));
        Ok(document.to_string())
    }

    /// The `openai` plugin with this host's own API as its provider.
    fn instance(&self) -> Value {
        let key_file = self.key_file.display().to_string();
        table([
            ("name", "loop".into()),
            ("plugin", "atelier/openai".into()),
            ("base_url", format!("http://{}/v1", self.listen).into()),
            ("private_hosts", Value::Array(vec![self.listen.to_string().into()])),
            ("secrets", table([("api-key", table([("file", key_file.into())]))])),
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
            key_file: PathBuf::from("/somewhere/key"),
        };
        let written = "[server]\nlisten = \"127.0.0.1:8484\"\nconnections = 7\n[sandbox]\nmemory_mib = 64\n";
        let once = settings.apply_to(written).expect("valid");
        assert_eq!(settings.apply_to(&once).expect("valid"), once);

        let document: Table = toml::from_str(&once).expect("valid");
        assert_eq!(document["server"]["listen"].as_str(), Some("127.0.0.1:9000"));
        assert_eq!(document["server"]["connections"].as_integer(), Some(7));
        assert_eq!(document["sandbox"]["memory_mib"].as_integer(), Some(64));
        assert_eq!(document["plugins"]["trusted_keys"].as_array().map(Vec::len), Some(2));
        let instance = &document["instance"][0];
        assert_eq!(instance["base_url"].as_str(), Some("http://127.0.0.1:9000/v1"));
        assert_eq!(instance["secrets"]["api-key"]["file"].as_str(), Some("/somewhere/key"));
    }
}
