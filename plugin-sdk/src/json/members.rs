//! The members of an object, each value left as the text it is.

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// A member of an object: its name, and its value's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member<'a> {
    pub name: Cow<'a, str>,
    pub value: &'a str,
}

/// The members of a JSON object such as a request's options, in their order; `None` if the text is no object.
pub fn members(object: &str) -> Option<Vec<Member<'_>>> {
    if object == "{}" {
        return Some(Vec::new());
    }
    let mut reader = serde_json::Deserializer::from_str(object);
    let members = reader.deserialize_map(Members).ok()?;
    reader.end().ok()?;
    Some(members)
}

struct Members;

/// A member's name, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Visitor<'de> for Members {
    type Value = Vec<Member<'de>>;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<Name<'de>, &'de RawValue>()? {
            members.push(Member { name: name.0, value: value.get() });
        }
        Ok(members)
    }
}
