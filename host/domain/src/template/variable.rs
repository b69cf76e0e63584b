//! The blanks of a template, and what may be filled in.

use serde::{Deserialize, Serialize};

use crate::text::{InvalidPrompt, check_chat_text};

/// What kind of file a variable takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    Image,
    /// Sound, or a video.
    Audio,
    /// Any, in a chat.
    Document,
}

/// The type of a variable, with its bounds and what it is where a caller does not say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum VariableKind {
    Text {
        characters_max: u32,
        default: Option<String>,
    },
    Number {
        min: Option<f64>,
        max: Option<f64>,
        /// Whether it is a whole one.
        is_whole: bool,
        default: Option<f64>,
    },
    Choice {
        options: Vec<String>,
        default: Option<String>,
    },
    Boolean {
        default: Option<bool>,
    },
    /// A file of the caller's. The prompt knows only whether there is one.
    File {
        kind: FileKind,
        /// Its role among the inputs of media, e.g. `first-frame`.
        role: Option<String>,
    },
}

/// A blank of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Variable {
    /// As the prompt names it: a letter, then letters, digits and underscores.
    pub name: String,
    /// For people.
    pub description: String,
    pub required: bool,
    pub kind: VariableKind,
}

/// What a variable is filled with. A text is a text, whatever it looks like: it is never rendered itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Number(f64),
    Boolean(bool),
    /// Whether there is a file; which one is not the prompt's business.
    File(bool),
}

/// Why a value cannot be filled in.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum InvalidValue {
    #[error("is required")]
    Missing,
    #[error("must be {0}")]
    Type(&'static str),
    #[error("may have {max} characters at most")]
    TooLong { max: u32 },
    #[error("{0}")]
    Text(InvalidPrompt),
    #[error("must be {0}")]
    Outside(String),
    #[error("must be one of {0}")]
    NoChoice(String),
}

impl Variable {
    /// What this variable is filled with, given what a caller sent for it. A file is checked by whoever opens it: here it is its id.
    ///
    /// # Errors
    /// It is required and absent, or of another type, or out of its bounds.
    pub fn filled(&self, given: Option<&serde_json::Value>) -> Result<Value, InvalidValue> {
        use serde_json::Value as Json;
        let given = given.filter(|given| !given.is_null());
        if given.is_none() && self.required {
            return Err(InvalidValue::Missing);
        }
        match (&self.kind, given) {
            (VariableKind::Text { characters_max, .. }, Some(Json::String(text))) => {
                checked_text(text, *characters_max).map(|()| Value::Text(text.clone()))
            }
            (VariableKind::Text { default, .. }, None) => {
                Ok(Value::Text(default.clone().unwrap_or_default()))
            }
            (VariableKind::Number { min, max, is_whole, .. }, Some(Json::Number(number))) => {
                let number = number.as_f64().ok_or(InvalidValue::Type("a number"))?;
                within(number, *min, *max, *is_whole).map(|()| Value::Number(number))
            }
            // An optional number has a default, or could not be written.
            (VariableKind::Number { default, .. }, None) => {
                default.map(Value::Number).ok_or(InvalidValue::Missing)
            }
            (VariableKind::Choice { options, .. }, Some(Json::String(word))) => {
                match options.contains(word) {
                    true => Ok(Value::Text(word.clone())),
                    false => Err(InvalidValue::NoChoice(options.join(", "))),
                }
            }
            (VariableKind::Choice { default, .. }, None) => {
                Ok(Value::Text(default.clone().unwrap_or_default()))
            }
            (VariableKind::Boolean { .. }, Some(Json::Bool(is))) => Ok(Value::Boolean(*is)),
            (VariableKind::Boolean { default }, None) => Ok(Value::Boolean(default.unwrap_or(false))),
            (VariableKind::File { .. }, Some(Json::String(_))) => Ok(Value::File(true)),
            (VariableKind::File { .. }, None) => Ok(Value::File(false)),
            (kind, Some(_)) => Err(InvalidValue::Type(kind.wanted())),
        }
    }
}

impl VariableKind {
    fn wanted(&self) -> &'static str {
        match self {
            VariableKind::Text { .. } | VariableKind::Choice { .. } => "a text",
            VariableKind::Number { .. } => "a number",
            VariableKind::Boolean { .. } => "true or false",
            VariableKind::File { .. } => "the id of a file of yours",
        }
    }
}

/// Checks what a caller writes in their own words.
///
/// # Errors
/// It is too long, or has control characters.
pub(super) fn checked_text(text: &str, characters_max: u32) -> Result<(), InvalidValue> {
    if text.chars().count() > characters_max as usize {
        return Err(InvalidValue::TooLong { max: characters_max });
    }
    check_chat_text(text).map_err(InvalidValue::Text)
}

fn within(number: f64, min: Option<f64>, max: Option<f64>, is_whole: bool) -> Result<(), InvalidValue> {
    if is_whole && number.fract() != 0.0 {
        return Err(InvalidValue::Type("a whole number"));
    }
    if min.is_some_and(|min| number < min) || max.is_some_and(|max| number > max) {
        let least = min.map(|min| format!("at least {min}"));
        let most = max.map(|max| format!("at most {max}"));
        let bounds: Vec<_> = least.into_iter().chain(most).collect();
        return Err(InvalidValue::Outside(bounds.join(" and ")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn variable(required: bool, kind: VariableKind) -> Variable {
        Variable { name: "v".to_owned(), description: String::new(), required, kind }
    }

    #[test]
    fn a_value_is_of_its_variables_type_and_within_its_bounds() {
        let text = variable(true, VariableKind::Text { characters_max: 5, default: None });
        assert_eq!(
            text.filled(Some(&json!("{{ x"))),
            Ok(Value::Text("{{ x".to_owned())),
            "data, not a template"
        );
        assert_eq!(text.filled(Some(&json!("äöüäöü"))), Err(InvalidValue::TooLong { max: 5 }));
        assert!(matches!(text.filled(Some(&json!("a\u{1b}b"))), Err(InvalidValue::Text(_))));
        assert_eq!(text.filled(None), Err(InvalidValue::Missing));
        assert_eq!(text.filled(Some(&json!(null))), Err(InvalidValue::Missing));
        assert_eq!(text.filled(Some(&json!(["a"]))), Err(InvalidValue::Type("a text")));
        let kind =
            VariableKind::Number { min: Some(1.0), max: Some(4.0), is_whole: true, default: Some(2.0) };
        let number = variable(false, kind);
        assert_eq!(number.filled(None), Ok(Value::Number(2.0)));
        assert_eq!(number.filled(Some(&json!(4))), Ok(Value::Number(4.0)));
        assert_eq!(
            number.filled(Some(&json!(4.1))).expect_err("no whole one").to_string(),
            "must be a whole number"
        );
        assert_eq!(
            number.filled(Some(&json!(5))).expect_err("too large").to_string(),
            "must be at least 1 and at most 4"
        );
        assert_eq!(number.filled(Some(&json!("4"))), Err(InvalidValue::Type("a number")));
        let options = vec!["oil".to_owned(), "ink".to_owned()];
        let choice = variable(false, VariableKind::Choice { options, default: None });
        assert_eq!(choice.filled(None), Ok(Value::Text(String::new())));
        assert_eq!(
            choice.filled(Some(&json!("Oil"))).expect_err("another").to_string(),
            "must be one of oil, ink"
        );
        let flag = variable(false, VariableKind::Boolean { default: Some(true) });
        assert_eq!(flag.filled(None), Ok(Value::Boolean(true)));
        assert_eq!(flag.filled(Some(&json!("false"))), Err(InvalidValue::Type("true or false")));
        let file = variable(false, VariableKind::File { kind: FileKind::Image, role: None });
        assert_eq!(file.filled(Some(&json!("file-1"))), Ok(Value::File(true)));
        assert_eq!(file.filled(Some(&json!(1))), Err(InvalidValue::Type("the id of a file of yours")));
    }
}
