//! Reading a tree of values while collecting every mistake, where serde would stop at the first.

use std::cell::RefCell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use atelier_domain::text::nearest;
use figment::value::{Dict, Value};

/// Something wrong in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, e.g. `server.listen`.
    pub path: String,
    /// What is wrong and what to do.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.what)
    }
}

/// A table being read. What nobody asked for by its end is an unknown key.
#[derive(Debug)]
pub struct Section {
    path: String,
    values: Dict,
    asked: Vec<&'static str>,
    mistakes: Rc<RefCell<Vec<Mistake>>>,
}

impl Section {
    /// The whole file.
    pub fn root(values: Dict) -> Self {
        Self { path: String::new(), values, asked: Vec::new(), mistakes: Rc::default() }
    }

    fn inner(&self, path: String, values: Dict) -> Self {
        Self { path, values, asked: Vec::new(), mistakes: self.mistakes.clone() }
    }

    /// The full name of a setting.
    pub fn name_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Reports a mistake.
    pub fn wrong(&self, key: &str, what: impl Into<String>) {
        self.mistakes.borrow_mut().push(Mistake { path: self.name_of(key), what: what.into() });
    }

    fn take(&mut self, key: &'static str) -> Option<Value> {
        self.asked.push(key);
        self.values.remove(key)
    }

    /// Reads a table, empty if absent.
    pub fn section<T>(&mut self, key: &'static str, read: impl FnOnce(&mut Section) -> T) -> T {
        let values = match self.take(key) {
            None => Dict::new(),
            Some(Value::Dict(_, values)) => values,
            Some(_) => {
                self.wrong(key, format!("must be a table: write [{}]", self.name_of(key)));
                Dict::new()
            }
        };
        let mut inner = self.inner(self.name_of(key), values);
        let read = read(&mut inner);
        inner.report_unknown();
        read
    }

    /// Reads an array of tables.
    pub fn sections<T>(
        &mut self,
        key: &'static str,
        mut read: impl FnMut(&mut Section) -> Option<T>,
    ) -> Vec<T> {
        let items = match self.take(key) {
            None => Vec::new(),
            Some(Value::Array(_, items)) => items,
            Some(_) => {
                self.wrong(key, format!("must be a list of tables: write [[{}]]", self.name_of(key)));
                Vec::new()
            }
        };
        let mut all = Vec::new();
        for (i, item) in items.into_iter().enumerate() {
            let path = format!("{}[{i}]", self.name_of(key));
            let Value::Dict(_, values) = item else {
                self.wrong(key, format!("entry {i} must be a table"));
                continue;
            };
            let mut inner = self.inner(path, values);
            all.extend(read(&mut inner));
            inner.report_unknown();
        }
        all
    }

    /// A table whose keys the operator chooses, each value read by `read`.
    pub fn map<T>(
        &mut self,
        key: &'static str,
        read: impl Fn(&Value) -> Result<T, String>,
    ) -> Vec<(String, T)> {
        let mut found = Vec::new();
        match self.take(key) {
            None => {}
            Some(Value::Dict(_, values)) => {
                for (name, value) in values {
                    match read(&value) {
                        Ok(value) => found.push((name, value)),
                        Err(what) => self.wrong(&format!("{key}.{name}"), what),
                    }
                }
            }
            Some(_) => self.wrong(key, "must be a table"),
        }
        found
    }

    /// A value of its own form, read by `read`.
    pub fn value<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.take(key)?;
        read(&value).inspect_err(|what| self.wrong(key, what.as_str())).ok()
    }

    /// A free-form table.
    pub fn table(&mut self, key: &'static str) -> Dict {
        match self.take(key) {
            None => Dict::new(),
            Some(Value::Dict(_, values)) => values,
            Some(_) => {
                self.wrong(key, "must be a table");
                Dict::new()
            }
        }
    }

    /// A text.
    pub fn text(&mut self, key: &'static str) -> Option<String> {
        match self.take(key) {
            None => None,
            Some(Value::String(_, text)) => Some(text),
            // The environment knows no quotes: there `5` may be meant as a text.
            Some(Value::Num(_, number)) => {
                Some(number.to_u128().map_or_else(|| format!("{number:?}"), |n| n.to_string()))
            }
            Some(_) => {
                self.wrong(key, "must be a text in quotes");
                None
            }
        }
    }

    /// A list of texts.
    pub fn texts(&mut self, key: &'static str) -> Vec<String> {
        let Some(value) = self.take(key) else { return Vec::new() };
        let items = match value {
            Value::Array(_, items) => items.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
            _ => None,
        };
        items.unwrap_or_else(|| {
            self.wrong(key, "must be a list of texts in quotes");
            Vec::new()
        })
    }

    /// `true` or `false`.
    pub fn flag(&mut self, key: &'static str, usual: bool) -> bool {
        match self.take(key) {
            None => usual,
            Some(value) => value.to_bool().unwrap_or_else(|| {
                self.wrong(key, "must be true or false");
                usual
            }),
        }
    }

    /// A whole number within bounds.
    pub fn number(&mut self, key: &'static str, usual: u64, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        self.optional_number(key, bounds).unwrap_or(usual)
    }

    /// A whole number within bounds that must be there.
    pub fn required_number(&mut self, key: &'static str, bounds: std::ops::RangeInclusive<u64>) -> u64 {
        let is_there = self.values.contains_key(key);
        let found = self.optional_number(key, bounds.clone());
        if !is_there {
            self.wrong(key, "is missing; `atelier init` writes a file that names every limit: copy its line");
        }
        found.unwrap_or(*bounds.start())
    }

    /// A whole number within bounds, if it is there.
    pub fn optional_number(
        &mut self,
        key: &'static str,
        bounds: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = self.take(key)?;
        // TOML's integers are signed, those of the environment are not.
        let number =
            value.to_u128().or_else(|| value.to_i128().and_then(|number| u128::try_from(number).ok()));
        match number.and_then(|number| u64::try_from(number).ok()) {
            Some(number) if bounds.contains(&number) => Some(number),
            _ => {
                self.wrong(
                    key,
                    format!("must be a whole number from {} to {}", bounds.start(), bounds.end()),
                );
                None
            }
        }
    }

    /// `address:port`.
    pub fn socket(&mut self, key: &'static str, usual: &str) -> SocketAddr {
        let text = self.text(key).unwrap_or_else(|| usual.to_owned());
        text.parse().unwrap_or_else(|_| {
            self.wrong(key, format!("{text:?} is not address:port, for example {usual:?}"));
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn report_unknown(&mut self) {
        for key in std::mem::take(&mut self.values).into_keys() {
            let near = nearest(&key, self.asked.iter().copied());
            let hint = match near.first() {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("known here: {}", self.asked.join(", ")),
            };
            self.wrong(&key, format!("is not a setting; {hint}"));
        }
    }

    /// All mistakes of the file.
    pub fn finish(mut self) -> Vec<Mistake> {
        self.report_unknown();
        self.mistakes.take()
    }
}
