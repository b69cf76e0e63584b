//! The configuration of the host that is tortured.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use toml::{Table, Value};

use super::prices;

/// The one of instances whose provider takes an idempotency key.
pub const STEADY: &str = "steady";
const WEBHOOK_SECRET: &str = "whsec_bW9jay11cHN0cmVhbS13ZWJob29rLXNlY3JldA==";
const SECRET: &str = "sk-torture-0123456789";
/// Below what is sent at times, so that jobs wait for their turn.
const RUNNING_PER_USER: i64 = 12;
/// All of a run.
const EVENTS_KEPT: i64 = 1_000_000;
/// Set aside for live calls at once: little, so that new allowances are taken now and then.
const ALLOWANCE: i64 = 20_000;

/// The configuration with the three instances in it, and their prices.
pub fn complete(written: &str, mock: SocketAddr) -> Result<String> {
    let mut document: Table = toml::from_str(written).context("the configuration is not valid TOML")?;
    let settings: [(&str, &str, Value); 6] = [
        ("log", "level", "warn".into()),
        ("local", "enabled", false.into()),
        ("jobs", "running_per_user", RUNNING_PER_USER.into()),
        ("events", "keep_per_user", EVENTS_KEPT.into()),
        ("money", "accounting", "enforce".into()),
        ("money", "allowance", ALLOWANCE.into()),
    ];
    for (section, key, value) in settings {
        let section = document.entry(section).or_insert_with(|| Value::Table(Table::new()));
        section.as_table_mut().context("a section is no table")?.insert(key.to_owned(), value);
    }
    document.insert("price".to_owned(), prices::tables());
    let instances = [
        (
            "calls",
            "atelier/replicate",
            "/replicate/v1",
            vec![("api-token", SECRET), ("webhook-secret", WEBHOOK_SECRET)],
        ),
        ("polls", "atelier/openai", "/v1", vec![("api-key", SECRET)]),
        (STEADY, "dev/hostile", "/v1", vec![("api-key", SECRET)]),
    ];
    let instances = instances.into_iter().map(|(name, plugin, path, secrets)| {
        let secrets = secrets.into_iter().map(|(secret, value)| {
            (secret.to_owned(), Value::Table(Table::from_iter([("value".to_owned(), value.into())])))
        });
        Value::Table(Table::from_iter([
            ("name".to_owned(), name.into()),
            ("plugin".to_owned(), plugin.into()),
            ("base_url".to_owned(), format!("http://{mock}{path}").into()),
            ("private_hosts".to_owned(), Value::Array(vec![mock.to_string().into()])),
            ("secrets".to_owned(), Value::Table(secrets.collect())),
        ]))
    });
    document.insert("instance".to_owned(), Value::Array(instances.collect()));
    Ok(document.to_string())
}
