use std::collections::BTreeMap;

use semver::Version;
use serde_json::{Map, Value};

use crate::PackageError;

/// A plugin's manifest as its author wrote it, checked as far as packaging depends on it.
///
/// Whether hosts, secrets and limits make sense is the host's to say: it reads the manifest of every component it is
/// given, whoever packaged it.
#[derive(Debug, Clone)]
pub struct Manifest {
    version: Version,
    fields: BTreeMap<String, Value>,
}

impl Manifest {
    /// Read a `manifest.toml`.
    ///
    /// # Errors
    /// It is not TOML, has no semantic `version`, or holds a value without a counterpart in JSON.
    pub fn from_toml(text: &str) -> Result<Self, PackageError> {
        let table: toml::Table = toml::from_str(text)?;
        let fields = table
            .into_iter()
            .map(|(key, value)| Ok((key.clone(), to_json(&key, value)?)))
            .collect::<Result<BTreeMap<_, _>, PackageError>>()?;
        let version = match fields.get("version") {
            Some(Value::String(text)) => Version::parse(text).map_err(|error| {
                PackageError::Manifest(format!("`version = \"{text}\"` is not a semantic version: {error}"))
            })?,
            _ => {
                return Err(PackageError::Manifest(
                    "write `version = \"0.1.0\"` at its top level".to_owned(),
                ));
            }
        };
        Ok(Self { version, fields })
    }

    /// The plugin's own version.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// `NAME-VERSION.wasm`, of the id's part after the slash.
    ///
    /// # Errors
    /// It has no `id` of the form `publisher/name`.
    pub fn file_name(&self) -> Result<String, PackageError> {
        let id = self.fields.get("id").and_then(Value::as_str);
        match id.and_then(|id| id.split_once('/')) {
            Some((_, name)) => Ok(format!("{name}-{}.wasm", self.version)),
            None => {
                Err(PackageError::Manifest("write `id = \"publisher/name\"` at its top level".to_owned()))
            }
        }
    }

    /// The manifest as the component carries it: compact JSON with sorted keys, so that equal manifests are equal
    /// bytes, with `wit` naming the contract that the component was found to use as its folder does: `0.1` for every
    /// `0.1.x`.
    ///
    /// # Errors
    /// The author stated another `wit` version than `provider`.
    pub fn stamped(&self, provider: &Version) -> Result<Vec<u8>, PackageError> {
        let stamp = Value::String(format!("{}.{}", provider.major, provider.minor));
        let mut fields = self.fields.clone();
        if let Some(stated) = fields.insert("wit".to_owned(), stamp.clone())
            && stated != stamp
        {
            return Err(PackageError::Manifest(format!(
                "it says `wit = {stated}` but the component uses {stamp}; leave `wit` out, packaging writes it"
            )));
        }
        Ok(Value::Object(fields.into_iter().collect()).to_string().into_bytes())
    }
}

/// `path` names the value in errors. Keys come out sorted even where `serde_json` keeps insertion order.
fn to_json(path: &str, value: toml::Value) -> Result<Value, PackageError> {
    Ok(match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Float(number) => serde_json::Number::from_f64(number)
            .map(Value::Number)
            .ok_or_else(|| PackageError::Manifest(format!("`{path}` is not a finite number")))?,
        toml::Value::Datetime(_) => {
            return Err(PackageError::Manifest(format!("`{path}` is a date: write it as a string")));
        }
        toml::Value::Array(items) => Value::Array(
            items
                .into_iter()
                .enumerate()
                .map(|(index, item)| to_json(&format!("{path}[{index}]"), item))
                .collect::<Result<_, _>>()?,
        ),
        toml::Value::Table(table) => {
            let sorted = table
                .into_iter()
                .map(|(key, item)| {
                    let value = to_json(&format!("{path}.{key}"), item)?;
                    Ok((key, value))
                })
                .collect::<Result<BTreeMap<_, _>, PackageError>>()?;
            Value::Object(sorted.into_iter().collect::<Map<_, _>>())
        }
    })
}
