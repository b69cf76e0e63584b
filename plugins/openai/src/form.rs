//! Options as fields of a form.

use atelier_plugin_sdk::{Failure, json};
use serde_json::value::RawValue;

/// Add the members of `options` to a form's fields as OpenAI's own client libraries write them: strings as they are, lists as
/// repeated `name[]`, objects as `name[member]`, all else as JSON.
///
/// # Errors
/// `invalid-request` if `options` is no object, or has one of the `reserved` members.
pub fn options(options: &str, reserved: &[&str], fields: &mut Vec<(String, String)>) -> Result<(), Failure> {
    let not_options = || Failure::invalid("options", "the options must be a JSON object");
    for member in json::members(options).ok_or_else(not_options)? {
        if reserved.contains(&member.name.as_ref()) {
            let path = ["options.", &member.name].concat();
            return Err(Failure::invalid(
                path,
                "this is a field of the request itself: leave it out of the options",
            ));
        }
        if member.value.starts_with('[') {
            let items: Vec<&RawValue> = json::parse_text(member.value).map_err(|_| not_options())?;
            let name = [&member.name, "[]"].concat();
            for item in items {
                fields.push((name.clone(), plain(item.get())));
            }
        } else if let Some(members) = json::members(member.value) {
            for inner in members {
                fields.push(([&member.name, "[", &inner.name, "]"].concat(), plain(inner.value)));
            }
        } else if member.value != "null" {
            fields.push((member.name.into_owned(), plain(member.value)));
        }
    }
    Ok(())
}

/// A string's own text, or any other value's JSON.
fn plain(value: &str) -> String {
    json::parse_text::<String>(value).unwrap_or_else(|_| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_fields() {
        let mut fields = Vec::new();
        options(r#"{"a":"x \"y\"","b":[1,"two"],"c":{"d":true},"e":null,"f":2.5}"#, &["model"], &mut fields)
            .unwrap();
        let fields: Vec<_> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(fields, [("a", "x \"y\""), ("b[]", "1"), ("b[]", "two"), ("c[d]", "true"), ("f", "2.5")]);
    }

    #[test]
    fn reserved_fields_and_other_values_are_refused() {
        for text in [r#"{"model":"x"}"#, "[]", "7", "{"] {
            assert_eq!(
                options(text, &["model"], &mut Vec::new()).unwrap_err().code,
                "invalid-request",
                "{text}"
            );
        }
    }
}
