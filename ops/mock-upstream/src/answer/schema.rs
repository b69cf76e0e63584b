//! The smallest value that a JSON Schema (2020-12, the part that providers accept) allows.

use serde_json::{Map, Value, json};

/// Deepest nesting followed, so that a schema that refers to itself ends.
const DEPTH_MAX: usize = 16;
/// Most items made for one array.
const ITEMS_MAX: u64 = 64;

/// A value that satisfies `schema`; `text` fills free strings.
pub(crate) fn instance(schema: &Value, text: &str) -> Value {
    Maker { root: schema, text }.make(schema, "", 0)
}

struct Maker<'a> {
    root: &'a Value,
    text: &'a str,
}

impl Maker<'_> {
    fn make(&self, schema: &Value, name: &str, depth: usize) -> Value {
        if depth > DEPTH_MAX {
            return Value::Null;
        }
        if let Some(target) = schema["$ref"].as_str() {
            let found = target.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return found.map_or(Value::Null, |found| self.make(found, name, depth + 1));
        }
        if let Some(fixed) = schema.get("const") {
            return fixed.clone();
        }
        if let Some(first) = schema["enum"].get(0) {
            return first.clone();
        }
        for choice in ["anyOf", "oneOf", "allOf"] {
            if let Some(first) = schema[choice].get(0) {
                return self.make(first, name, depth + 1);
            }
        }
        let kind = schema["type"].as_str().or_else(|| schema["type"].get(0).and_then(Value::as_str));
        match kind {
            Some("string") => Value::String(self.string(schema, name)),
            Some("integer") => json!(number(schema).ceil() as i64),
            Some("number") => json!(number(schema)),
            Some("boolean") => Value::Bool(true),
            Some("null") => Value::Null,
            Some("array") => {
                let count = schema["minItems"].as_u64().unwrap_or(1).min(ITEMS_MAX);
                (0..count).map(|_| self.make(&schema["items"], name, depth + 1)).collect()
            }
            Some("object") => self.object(schema, depth),
            _ if schema["properties"].is_object() => self.object(schema, depth),
            _ => Value::String(self.text.to_owned()),
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let Some(properties) = schema["properties"].as_object() else { return json!({}) };
        let fields = properties.iter().map(|(name, field)| (name.clone(), self.make(field, name, depth + 1)));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    fn string(&self, schema: &Value, name: &str) -> String {
        let by_format = match schema["format"].as_str() {
            Some("date-time") => Some("2026-01-01T00:00:00Z"),
            Some("date") => Some("2026-01-01"),
            Some("time") => Some("00:00:00Z"),
            Some("email") => Some("mock@example.com"),
            Some("uuid") => Some("00000000-0000-4000-8000-000000000000"),
            Some("uri") => Some("https://example.com/"),
            Some("ipv4") => Some("192.0.2.1"),
            _ => matches!(name, "city" | "location" | "place").then_some("Paris"),
        };
        let mut text = by_format.unwrap_or(self.text).to_owned();
        let least = schema["minLength"].as_u64().unwrap_or(0).min(4096) as usize;
        while text.chars().count() < least {
            text.push('x');
        }
        match schema["maxLength"].as_u64() {
            Some(most) => text.chars().take(most as usize).collect(),
            None => text,
        }
    }
}

fn number(schema: &Value) -> f64 {
    let least =
        schema["minimum"].as_f64().or_else(|| schema["exclusiveMinimum"].as_f64().map(|least| least + 1.0));
    let most = schema["maximum"].as_f64();
    least.unwrap_or_else(|| most.map_or(1.0, |most| most.min(1.0)))
}
