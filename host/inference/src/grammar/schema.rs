//! A schema from outside, bounded before anything is made of it.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::PARAMETER;
use crate::error::ModelError;

/// Bytes of a schema.
pub const SCHEMA_BYTES_MAX: usize = 64 * 1024;
/// How deep its objects and arrays lie in one another.
pub const SCHEMA_DEPTH_MAX: usize = 32;
/// Different targets of its `$ref`s. They are followed one from another, however deep.
pub const REFERENCES_MAX: usize = 128;
/// Members of all its `patternProperties`, each of which is held against each other.
pub const PATTERNS_MAX: usize = 32;
/// Members of one `oneOf`, each of which is held against each other.
pub const ALTERNATIVES_MAX: usize = 128;
/// llguidance's own member of a schema, with settings for the compiler.
const SETTINGS: &str = "x-guidance";
/// White space between an answer's parts: none, a space, or a line break with indentation. Without a bound, a small model at a loss what to
/// write fills its answer with it.
const WHITE_SPACE: &str = r"\x20|\x0A\x20{0,32}";

/// The schema of any JSON object.
pub(super) fn any_object() -> Value {
    with_settings(json!({"type": "object"}))
}

/// Read a schema, and see to its bounds.
pub(super) fn checked(text: &str) -> Result<Value, ModelError> {
    let refuse = |reason: String| Err(ModelError::Unanswerable { parameter: PARAMETER, reason });
    if text.len() > SCHEMA_BYTES_MAX {
        return refuse(format!("the schema has {} bytes; at most {SCHEMA_BYTES_MAX} are read", text.len()));
    }
    let schema: Value = match serde_json::from_str(text) {
        Ok(schema) => schema,
        Err(error) => return refuse(format!("the schema is not JSON: {error}")),
    };
    if !schema.is_object() {
        return refuse("the schema must be an object".to_owned());
    }
    if depth(&schema) > SCHEMA_DEPTH_MAX {
        return refuse(format!("the schema is more than {SCHEMA_DEPTH_MAX} levels deep"));
    }
    let mut found = Found::default();
    found.look_through(&schema);
    let Found { references, patterns, alternatives } = found;
    for (what, count, max) in [
        ("different references", references.len(), REFERENCES_MAX),
        ("pattern properties", patterns, PATTERNS_MAX),
        ("alternatives in a oneOf", alternatives, ALTERNATIVES_MAX),
    ] {
        if count > max {
            return refuse(format!("the schema has {count} {what}; at most {max} are allowed"));
        }
    }
    Ok(with_settings(schema))
}

/// Settings are ours: a caller's would loosen what an answer keeps to.
fn with_settings(mut schema: Value) -> Value {
    if let Some(members) = schema.as_object_mut() {
        members.insert(SETTINGS.to_owned(), json!({"whitespace_pattern": WHITE_SPACE}));
    }
    schema
}

/// Levels of objects and arrays. The parser's own limit of 128 bounds the recursion.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// What compiling takes more work for than its length tells.
#[derive(Default)]
struct Found<'v> {
    references: HashSet<&'v str>,
    patterns: usize,
    /// In the longest `oneOf`.
    alternatives: usize,
}

impl<'v> Found<'v> {
    fn look_through(&mut self, value: &'v Value) {
        match value {
            Value::Array(items) => items.iter().for_each(|item| self.look_through(item)),
            Value::Object(members) => {
                self.references.extend(members.get("$ref").and_then(Value::as_str));
                let patterns = members.get("patternProperties").and_then(Value::as_object);
                self.patterns += patterns.map_or(0, |patterns| patterns.len());
                let alternatives = members.get("oneOf").and_then(Value::as_array).map_or(0, Vec::len);
                self.alternatives = self.alternatives.max(alternatives);
                members.values().for_each(|member| self.look_through(member));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
}
