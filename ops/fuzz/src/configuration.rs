//! The operator's configuration.

use std::path::Path;

use atelier_server::config::Config;
use atelier_server::fuzzing::configuration_in_backup;
use toml::{Table, Value};

/// Where the configuration seems to lie: nothing is there, so that no file that it names is.
const PATH: &str = "/nonexistent/atelier.toml";
const PLANTED: &str = "planted-where-a-secret-stands";

/// Any text is a configuration or has mistakes, and neither what is told of it nor its copy in a backup has a secret.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    told(text);
    // However it ends, it ends.
    let _ = configuration_in_backup(text, true);
    if text.contains(PLANTED) {
        return;
    }
    match text.parse::<Table>() {
        Ok(mut table) => {
            if plant(&mut table)
                && let Ok(text) = toml::to_string(&table)
            {
                tells_nothing(&text);
                is_backed_up_without(&text);
            }
        }
        // Where it cannot be read, a value is one by its looks.
        Err(_) => {
            let planted = planted_by_looks(text);
            if planted.parse::<Table>().is_err() {
                tells_nothing(&planted);
            }
        }
    }
}

/// All that is ever shown of a configuration.
fn told(text: &str) -> String {
    match Config::parse(text, Path::new(PATH)) {
        Ok(config) => format!("{config:?}"),
        Err(bad) => {
            assert!(!bad.mistakes.is_empty(), "a refusal says why");
            format!("{bad} {bad:?}")
        }
    }
}

fn tells_nothing(text: &str) {
    let told = told(text);
    assert!(!told.contains(PLANTED), "a secret is told: {told}");
}

/// A configuration that a server can have is one after a restore, and its secrets are in no backup that is not to have them.
fn is_backed_up_without(text: &str) {
    let path = Path::new(PATH);
    if Config::parse(text, path).is_ok() {
        let whole = configuration_in_backup(text, true).expect("a configuration");
        let restored = Config::parse(&whole, path).expect("a configuration after a restore");
        assert!(restored.storage.path.ends_with("data"));
        let copy = configuration_in_backup(text, false).expect("a configuration");
        assert!(!copy.contains(PLANTED), "a secret is backed up: {copy}");
    }
}

/// Puts [`PLANTED`] wherever a secret stands, or something in its place. Whether there was any.
fn plant(table: &mut Table) -> bool {
    let mut planted = false;
    if let Some(password) = table.get_mut("mail").and_then(|mail| mail.get_mut("password")) {
        planted |= plant_in(password);
    }
    let instances = table.get_mut("instance").and_then(Value::as_array_mut);
    for instance in instances.into_iter().flatten() {
        if let Some(secrets) = instance.get_mut("secrets") {
            planted |= plant_in(secrets);
        }
    }
    planted
}

fn plant_in(value: &mut Value) -> bool {
    match value {
        Value::String(text) => {
            PLANTED.clone_into(text);
            true
        }
        Value::Array(items) => items.iter_mut().fold(false, |planted, item| plant_in(item) | planted),
        // Names of variables and files are told: they are what to do.
        Value::Table(members) => members
            .iter_mut()
            .filter(|(name, _)| !matches!(name.as_str(), "env" | "file"))
            .fold(false, |planted, (_, member)| plant_in(member) | planted),
        _ => false,
    }
}

/// Puts [`PLANTED`] into each `value = "…"`.
fn planted_by_looks(text: &str) -> String {
    const BEGIN: &str = "value = \"";
    let mut parts = text.split(BEGIN);
    let mut planted = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let end = part.find(['"', '\n']).unwrap_or(part.len());
        planted.extend([BEGIN, PLANTED, &part[end..]]);
    }
    planted
}
