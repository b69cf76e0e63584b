//! A look at a whole JSON body, without keeping it: whether it is JSON, and where a text in it has a NUL.

use std::borrow::Cow;
use std::fmt;

use memchr::memmem;
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// How JSON writes U+0000; as it is, it may not stand in a text.
const NUL: &[u8] = b"\\u0000";

/// Whether a text of this JSON may have a NUL: one look at bytes that were read anyway.
pub(super) fn may_have_nul(body: &[u8]) -> bool {
    memmem::find(body, NUL).is_some()
}

/// The path of the first text with a NUL in it.
///
/// # Errors
/// It is no JSON.
pub(super) fn nul(body: &[u8]) -> Result<Option<String>, serde_json::Error> {
    let (mut path, mut found) = (String::new(), None);
    let mut reader = serde_json::Deserializer::from_slice(body);
    Walk { path: &mut path, found: &mut found }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(found)
}

struct Walk<'w> {
    path: &'w mut String,
    found: &'w mut Option<String>,
}

impl Walk<'_> {
    fn inner(&mut self) -> Walk<'_> {
        Walk { path: self.path, found: self.found }
    }
    fn look(&mut self, text: &str) {
        if self.found.is_none() && text.contains('\0') {
            *self.found = Some(self.path.trim_start_matches('.').to_owned());
        }
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_str<E>(mut self, text: &str) -> Result<(), E> {
        self.look(text);
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<(), A::Error> {
        let depth = self.path.len();
        for index in 0_usize.. {
            self.path.push_str(&format!("[{index}]"));
            let next = items.next_element_seed(self.inner())?;
            self.path.truncate(depth);
            if next.is_none() {
                break;
            }
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<(), A::Error> {
        let depth = self.path.len();
        while let Some(name) = members.next_key::<Cow<'_, str>>()? {
            self.look(&name);
            self.path.push('.');
            self.path.push_str(&name);
            members.next_value_seed(self.inner())?;
            self.path.truncate(depth);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_by_its_path_and_a_backslash_before_it_is_none() {
        let found = |text: &str| nul(text.as_bytes()).expect("JSON");
        assert_eq!(found(r#"{"a": [1, {"b": "x\u0000"}]}"#).as_deref(), Some("a[1].b"));
        assert_eq!(found(r#"{"a\u0000": 1}"#).as_deref(), Some(""));
        assert_eq!(found(r#"["\u0000"]"#).as_deref(), Some("[0]"));
        let escaped = r#"{"a": "\\u0000", "b": null, "c": -1, "d": 1.5, "e": true}"#;
        assert!(may_have_nul(escaped.as_bytes()));
        assert_eq!(found(escaped), None);
        assert!(nul(b"{\"a\": \"\\ud800\"}").is_err() && nul(b"{} {}").is_err());
    }
}
